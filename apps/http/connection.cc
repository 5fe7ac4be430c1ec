// A connection from its beginning to its end: time, waiting for the socket, closing.
#include "apps/http/connection.h"

#include <utility>

#include "apps/http/exchange.h"
#include "apps/http/problem.h"

namespace jack::http {
namespace {

using SteadyClock = std::chrono::steady_clock;
using Outcome = Step::Outcome;

// A buffer that has grown beyond this is not kept while nothing is in it.
constexpr std::size_t kKeptBytes = 1024;

// Of what a client sends after our last byte, at once.
constexpr int kDiscardsAtOnce = 16;

std::string address_of(const ByteStream::Socket::endpoint_type& endpoint) {
  return endpoint.address().to_string();
}

ByteStream::Socket::endpoint_type peer_of(const ByteStream::Socket& socket) {
  boost::system::error_code ignored;  // it has left already
  return socket.remote_endpoint(ignored);
}

}  // namespace

void release(std::string& buffer) {
  buffer.clear();
  if (buffer.capacity() > kKeptBytes) buffer.shrink_to_fit();
}

Connection::Connection(Common& common, std::unique_ptr<ByteStream> stream, Entrance entrance)
    : common_(common),
      stream_(std::move(stream)),
      entrance_(entrance),
      peer_(address_of(peer_of(stream_->socket()))),
      peer_is_loopback_(peer_of(stream_->socket()).address().is_loopback()),
      since_(SteadyClock::now()),
      reader_(common.options.limits) {}

Connection::~Connection() { static_cast<void>(end_exchange()); }

void Connection::start() { shake_hands(); }

void Connection::turn_away() {
  turned_away_ = true;
  ++common_.turned_away;
  Counts::add(common_.counts.too_many_connections);
  answer(problem({Code::unavailable, "this server has too many connections; try again"}));
}

void Connection::on_time(Time now) {
  const auto self = shared_from_this();
  if (unsent() > 0 && now - moved_ >= common_.options.limits.write_stall) {
    Counts::add(common_.counts.stalled);
    common_.log(LogLevel::warning,
                "HTTP: " + peer_ + " does not take its answer: the connection is cut");
    close();
  } else if (now - since_ < time_limit()) {
    return;
  } else if (phase_ == Phase::receiving && reader_.started()) {
    Counts::add(common_.counts.too_slow);
    refuse(problem(408, {Code::timed_out, "the request took too long to arrive"}));
  } else {
    if (phase_ == Phase::handshake) Counts::add(common_.counts.too_slow);
    close();
  }
}

SteadyClock::duration Connection::time_limit() const {
  const HttpLimits& limits = common_.options.limits;
  switch (phase_) {
    case Phase::handshake: return limits.header_time;
    case Phase::receiving:
      if (!reader_.started()) return limits.idle_time;
      return reader_.stage() == RequestReader::Stage::header ? limits.header_time
                                                             : limits.request_time;
    case Phase::lingering: return limits.linger;
    case Phase::handling:
    case Phase::streaming:
    case Phase::finishing:
    case Phase::closed: break;
  }
  return SteadyClock::duration::max();
}

void Connection::stop_gently() {
  const auto self = shared_from_this();
  const bool idle = phase_ == Phase::receiving && !reader_.started() && ahead_.empty();
  if (idle || phase_ == Phase::handshake) {
    close();
  } else if (exchange_ != nullptr && exchange_->on_stopping) {
    std::exchange(exchange_->on_stopping, nullptr)();
  }
}

void Connection::cut() {
  const auto self = shared_from_this();
  close();
}

void Connection::wait_readable() {
  if (waits_readable_ || peer_ended_ || phase_ == Phase::closed) return;
  waits_readable_ = true;
  stream_->socket().async_wait(ByteStream::Socket::wait_read,
                               [self = shared_from_this()](const auto& error) {
                                 self->waits_readable_ = false;
                                 if (!error) self->on_readable();
                               });
}

void Connection::wait_writable() {
  if (waits_writable_ || phase_ == Phase::closed) return;
  waits_writable_ = true;
  stream_->socket().async_wait(ByteStream::Socket::wait_write,
                               [self = shared_from_this()](const auto& error) {
                                 self->waits_writable_ = false;
                                 if (!error) self->on_writable();
                               });
}

void Connection::wait_for(const Step& step) {
  if (step.outcome == Outcome::wait_writable) {
    wait_writable();
  } else {
    readable_ = false;
    wait_readable();
  }
}

void Connection::on_readable() {
  readable_ = true;
  if (unsent() > 0) flush();  // TLS may have to read before it can write
  switch (phase_) {
    case Phase::handshake: shake_hands(); break;
    case Phase::receiving: proceed(); break;
    case Phase::handling:
    case Phase::streaming:
    case Phase::finishing: read_ahead(); break;
    case Phase::lingering: discard(); break;
    case Phase::closed: break;
  }
}

void Connection::on_writable() {
  if (unsent() > 0) {
    flush();
  } else {
    on_readable();  // TLS may have to write before it can read
  }
}

void Connection::shake_hands() {
  const Step step = stream_->handshake();
  switch (step.outcome) {
    case Outcome::done:
      phase_ = Phase::receiving;
      since_ = SteadyClock::now();
      // The first request may have come together with the last message of the handshake.
      readable_ = entrance_.tls;
      proceed();
      break;
    case Outcome::wait_readable:
    case Outcome::wait_writable: wait_for(step); break;
    case Outcome::ended:
    case Outcome::failed:
      Counts::add(common_.counts.tls_failures);
      common_.log(LogLevel::debug, "HTTP: " + peer_ + " did not complete the TLS handshake");
      close();
      break;
  }
}

// Closing at once would reset the connection where the client is still sending, and take the answer
// away from it.
void Connection::linger() {
  phase_ = Phase::lingering;
  since_ = SteadyClock::now();
  drop_ahead();
  stream_->end_sending();
  if (peer_ended_) {
    close();
  } else {
    discard();
  }
}

void Connection::discard() {
  boost::system::error_code error;
  for (int i = 0; i < kDiscardsAtOnce && !error; ++i) {
    stream_->socket().read_some(boost::asio::buffer(common_.input), error);
  }
  if (!error || error == boost::asio::error::would_block) {
    wait_readable();
  } else {
    close();
  }
}

void Connection::close() {
  if (phase_ == Phase::closed) return;
  const auto self = shared_from_this();
  phase_ = Phase::closed;
  forget_body();
  release(output_);
  output_sent_ = 0;
  boost::system::error_code ignored;
  stream_->socket().close(ignored);
  common_.remove(*this);
  if (const std::function<void()> act = end_exchange()) act();
}

// From here on the Responder has nobody to answer. Returns what wanted to hear if that is because
// the client has left.
std::function<void()> Connection::end_exchange() {
  Exchange* const exchange = std::exchange(exchange_, nullptr);
  if (exchange == nullptr) return nullptr;
  exchange->connection = nullptr;
  if (exchange->on_answered) exchange->on_answered();
  // They may hold the last Responders, so `exchange` may go together with them.
  const auto drained = std::exchange(exchange->on_drained, nullptr);
  const auto stopping = std::exchange(exchange->on_stopping, nullptr);
  return std::exchange(exchange->on_closed, nullptr);
}

}  // namespace jack::http

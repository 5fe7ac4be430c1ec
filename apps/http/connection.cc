#include "apps/http/connection.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <exception>
#include <utility>

#include <boost/asio/post.hpp>

#include "apps/http/exchange.h"
#include "apps/http/problem.h"
#include "engine/assert.h"

namespace jack::http {
namespace {

using SteadyClock = std::chrono::steady_clock;
using Outcome = Step::Outcome;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// A buffer that has grown beyond this is not kept while nothing is in it.
constexpr std::size_t kKeptBytes = 1024;

// Of what a client sends after our last byte, at once.
constexpr int kDiscardsAtOnce = 16;

void release(std::string& buffer) {
  buffer.clear();
  if (buffer.capacity() > kKeptBytes) buffer.shrink_to_fit();
}

bool has_no_body(int status) { return status < 200 || status == 204 || status == 304; }

void append_number(std::string& text, std::size_t number, int base = 10) {
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, base).ptr;
  text.append(digits.data(), end);
}

// Values may quote what somebody sent: a line end in one would begin another field.
void append_field(std::string& head, const Field& field) {
  head.append(field.name).append(": ");
  for (const char c : field.value) {
    const auto byte = static_cast<unsigned char>(c);
    head += byte < 0x20 || byte == 0x7f ? ' ' : c;
  }
  head.append("\r\n");
}

bool has_cache_control(const Response& response) {
  return std::any_of(response.headers.begin(), response.headers.end(),
                     [](const Field& field) { return same_name(field.name, "cache-control"); });
}

std::string address_of(const ByteStream::Socket::endpoint_type& endpoint) {
  return endpoint.address().to_string();
}

ByteStream::Socket::endpoint_type peer_of(const ByteStream::Socket& socket) {
  boost::system::error_code ignored;  // it has left already
  return socket.remote_endpoint(ignored);
}

Response internal_problem() {
  return problem({Code::internal, "the server failed to answer; its log tells more"});
}

}  // namespace

void Common::add(std::shared_ptr<Connection> connection) {
  connection->place = connections.size();
  connections.push_back(std::move(connection));
  Counts::add(counts.connections_total);
  counts.connections.store(connections.size(), std::memory_order_relaxed);
}

void Common::remove(Connection& connection) {
  JACK_ASSERT(connections.at(connection.place).get() == &connection);
  if (connection.turned_away()) --turned_away;
  std::swap(connections[connection.place], connections.back());
  connections[connection.place]->place = connection.place;
  const std::shared_ptr<Connection> removed = std::move(connections.back());
  connections.pop_back();
  counts.connections.store(connections.size(), std::memory_order_relaxed);
  if (connections.empty() && on_empty) on_empty();
}

void Common::log(LogLevel level, std::string_view message) const {
  if (options.log) options.log(level, message);
}

std::string_view Common::date() {
  const std::time_t now = std::time(nullptr);
  if (now == dated_) return date_;
  static constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed",
                                                       "Thu", "Fri", "Sat"};
  static constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 80> text{};
  std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                kDays.at(static_cast<std::size_t>(parts.tm_wday)), parts.tm_mday,
                kMonths.at(static_cast<std::size_t>(parts.tm_mon)), parts.tm_year + 1900,
                parts.tm_hour, parts.tm_min, parts.tm_sec);
  dated_ = now;
  date_ = text.data();
  return date_;
}

Connection::Connection(Common& common, std::unique_ptr<ByteStream> stream, bool tls)
    : common_(common),
      stream_(std::move(stream)),
      tls_(tls),
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

// Waiting
// ------------------------------------------------------------------------------------------

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
      readable_ = tls_;  // the first request may have come together with the last handshake message
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

// Receiving
// ----------------------------------------------------------------------------------------

// Requests that are answered at once are served in a loop, not in each other's call.
void Connection::proceed() {
  if (proceeding_) return;
  const auto self = shared_from_this();
  proceeding_ = true;
  while (phase_ == Phase::receiving && take_input()) {
  }
  proceeding_ = false;
  const bool waits_for_handler = phase_ == Phase::handling || phase_ == Phase::streaming;
  if (waits_for_handler && ahead_.size() < common_.options.limits.ahead_bytes_max) wait_readable();
}

// Feeds the reader with what has come. Whether there may be more to do.
bool Connection::take_input() {
  const bool from_ahead = !ahead_.empty();
  const std::string_view bytes =
      from_ahead ? std::string_view(ahead_).substr(ahead_taken_) : read_input();
  if (bytes.empty()) return false;

  const bool fresh = !reader_.started();
  const std::size_t taken = reader_.feed(bytes);
  if (fresh) since_ = SteadyClock::now();
  if (from_ahead) {
    ahead_taken_ += taken;
    if (taken == bytes.size()) drop_ahead();
  } else {
    ahead_ = bytes.substr(taken);
  }
  on_stage();
  return true;
}

// Valid until another connection reads. Empty: there is nothing now.
std::string_view Connection::read_input() {
  if (peer_ended_) {
    close();
    return {};
  }
  if (!readable_) {
    wait_readable();
    return {};
  }
  const Step step = stream_->read(common_.input);
  switch (step.outcome) {
    case Outcome::done:
      readable_ = step.bytes == common_.input.size() || stream_->holds_input();
      return {common_.input.data(), step.bytes};
    case Outcome::wait_readable:
    case Outcome::wait_writable: wait_for(step); break;
    case Outcome::ended:
    case Outcome::failed: close(); break;
  }
  return {};
}

void Connection::drop_ahead() {
  release(ahead_);
  ahead_taken_ = 0;
}

void Connection::on_stage() {
  switch (reader_.stage()) {
    case RequestReader::Stage::header: break;
    case RequestReader::Stage::body:
      if (!admitted_ && admit() && reader_.expects_continue() && ahead_.empty()) put(kContinue, {});
      if (phase_ == Phase::receiving) check_body();
      break;
    case RequestReader::Stage::complete:
      if (admitted_ || admit()) handle();
      break;
    case RequestReader::Stage::refused: on_refusal(); break;
  }
}

void Connection::on_refusal() {
  const Refusal refusal = reader_.refusal();
  const bool size = refusal.status == 413 || refusal.status == 414 || refusal.status == 431;
  Counts::add(size ? common_.counts.too_large : common_.counts.malformed);
  common_.log(LogLevel::debug, "HTTP: " + peer_ + " is refused: " + refusal.error.message);
  head_only_ = reader_.request().method == Method::head;
  refuse(problem(refusal.status, refusal.error));
}

// Where the next request would begin is not known.
void Connection::refuse(Response response) {
  keeps_alive_ = false;
  answer(std::move(response));
}

// Whether the request may be handled; else it has been answered.
bool Connection::admit() {
  admitted_ = true;
  Request& request = reader_.request();
  request.peer = peer_;
  request.peer_is_loopback = peer_is_loopback_;
  request.tls = tls_;
  keeps_alive_ = reader_.keeps_alive();
  http_1_0_ = reader_.http_1_0();
  head_only_ = request.method == Method::head;
  if (!common_.options.admit) return true;

  Admission admission;
  try {
    admission = common_.options.admit(request);
  } catch (const std::exception& error) {
    common_.log(LogLevel::error, std::string("HTTP: admitting a request failed: ") + error.what());
    admission.answer = internal_problem();
  }
  extra_headers_ = std::move(admission.headers);
  request.principal = std::move(admission.principal);
  if (!admission.answer) return true;

  if (admission.answer->status >= 400) Counts::add(common_.counts.not_admitted);
  if (reader_.stage() == RequestReader::Stage::complete) {
    static_cast<void>(reader_.take());
  } else {
    keeps_alive_ = false;  // its body is not read
  }
  answer(std::move(*admission.answer));
  return false;
}

void Connection::check_body() {
  const std::size_t bytes = reader_.request().body.size();
  common_.bodies_bytes += bytes - body_bytes_;
  body_bytes_ = bytes;
  if (common_.bodies_bytes <= common_.options.limits.bodies_bytes_max) return;
  Counts::add(common_.counts.too_many_bodies);
  refuse(problem({Code::unavailable, "too many large requests arrive at once; try again"}));
}

void Connection::forget_body() { common_.bodies_bytes -= std::exchange(body_bytes_, 0); }

void Connection::handle() {
  Counts::add(common_.counts.requests);
  forget_body();
  phase_ = Phase::handling;
  const auto exchange = std::make_shared<Exchange>(*this);  // outlives what the handler throws
  exchange_ = exchange.get();
  try {
    common_.options.handle(reader_.take(), Responder(exchange));
  } catch (const std::exception& error) {
    common_.log(LogLevel::error, std::string("HTTP: a handler failed: ") + error.what());
    if (phase_ == Phase::handling) send(internal_problem());
    if (phase_ == Phase::streaming) close();
  }
}

// While a request is handled: the next one, or the end of the connection.
void Connection::read_ahead() {
  const std::size_t most = common_.options.limits.ahead_bytes_max;
  while (ahead_.size() - ahead_taken_ < most && !peer_ended_ && phase_ != Phase::closed) {
    const std::size_t room = most - (ahead_.size() - ahead_taken_);
    const Step step = stream_->read(std::span(common_.input).first(std::min(room, kInputBytes)));
    switch (step.outcome) {
      case Outcome::done: ahead_.append(common_.input.data(), step.bytes); break;
      case Outcome::wait_readable:
      case Outcome::wait_writable: wait_for(step); return;
      case Outcome::ended: peer_ended_ = true; break;
      case Outcome::failed: close(); break;
    }
  }
  if (peer_ended_) on_peer_ended();
}

// It may have closed its sending side alone, and still read.
void Connection::on_peer_ended() {
  if (peer_ended_ && exchange_ != nullptr && exchange_->on_closed) cut();
}

// Answering
// ----------------------------------------------------------------------------------------

void Connection::send(Response response) {
  if (phase_ != Phase::handling) return;
  const auto self = shared_from_this();
  static_cast<void>(end_exchange());
  answer(std::move(response));
}

void Connection::answer(Response response) {
  forget_body();
  make_head(response, false);
  if (head_only_ || has_no_body(response.status)) response.body.clear();
  phase_ = Phase::finishing;
  put(common_.head, std::move(response.body));
}

void Connection::begin(Response head) {
  if (phase_ != Phase::handling) return;
  const auto self = shared_from_this();
  phase_ = Phase::streaming;
  if (http_1_0_) keeps_alive_ = false;  // the end of the connection is the end of the answer
  make_head(head, true);
  append(common_.head);
  if (head_only_) return end({});  // who asked for the head has all of the answer
  if (!head.body.empty()) append_chunk(head.body);
  flush_soon();
}

Written Connection::write(std::string_view bytes) {
  if (phase_ != Phase::streaming) return Written::gone;
  if (bytes.empty()) return Written::taken;  // an empty chunk would be the last one
  const std::size_t most = common_.options.limits.stream_bytes_max;
  if (unsent() > 0 && unsent() + bytes.size() > most) {
    wants_drained_ = true;
    return Written::full;
  }
  append_chunk(bytes);
  flush_soon();
  return Written::taken;
}

void Connection::end(std::string_view last) {
  if (phase_ == Phase::handling) send(Response{204, {}, {}});
  if (phase_ != Phase::streaming) return;
  const auto self = shared_from_this();
  if (!last.empty() && !head_only_) append_chunk(last);
  static_cast<void>(end_exchange());
  if (!http_1_0_ && !head_only_) append("0\r\n\r\n");
  phase_ = Phase::finishing;
  flush();
}

// The last Responder has gone.
void Connection::abandoned() {
  const auto self = shared_from_this();
  exchange_ = nullptr;
  if (phase_ == Phase::handling) {
    common_.log(LogLevel::error, "HTTP: a request was not answered by its handler");
    answer(internal_problem());
  } else if (phase_ == Phase::streaming) {
    common_.log(LogLevel::error, "HTTP: an answer was not ended by its handler");
    close();
  }
}

void Connection::make_head(const Response& response, bool streamed) {
  if (common_.stopping) keeps_alive_ = false;
  std::string& head = common_.head;
  head.assign("HTTP/1.1 ");
  append_number(head, static_cast<std::size_t>(response.status));
  head.append(" ").append(reason_of(response.status));
  head.append("\r\nDate: ").append(common_.date()).append("\r\n");
  for (const Field& field : response.headers) append_field(head, field);
  for (const Field& field : extra_headers_) append_field(head, field);
  if (!has_cache_control(response)) head.append("Cache-Control: no-store\r\n");
  head.append("X-Content-Type-Options: nosniff\r\n");
  if (streamed) {
    if (!http_1_0_) head.append("Transfer-Encoding: chunked\r\n");
  } else if (!has_no_body(response.status)) {
    head.append("Content-Length: ");
    append_number(head, response.body.size());
    head.append("\r\n");
  }
  if (!keeps_alive_) head.append("Connection: close\r\n");
  if (keeps_alive_ && http_1_0_) head.append("Connection: keep-alive\r\n");
  head.append("\r\n");
}

// Sends both, usually at once and without copying them.
void Connection::put(std::string_view head, std::string body) {
  if (unsent() > 0) {
    append(head);
    append(body);
    return;
  }
  const Step step = stream_->write(head, body);
  if (step.outcome == Outcome::failed) {
    close();
    return;
  }
  if (step.bytes < head.size()) {
    append(head.substr(step.bytes));
    append(body);
  } else if (step.bytes < head.size() + body.size()) {
    output_ = std::move(body);
    output_sent_ = step.bytes - head.size();
    moved_ = SteadyClock::now();
  }
  if (step.outcome == Outcome::done) {
    flush();
  } else {
    wait_for(step);
  }
}

void Connection::append(std::string_view bytes) {
  if (unsent() == 0) moved_ = SteadyClock::now();
  if (output_sent_ > output_.size() / 2) output_.erase(0, std::exchange(output_sent_, 0));
  output_.append(bytes);
}

void Connection::append_chunk(std::string_view bytes) {
  if (head_only_) return;
  if (!http_1_0_) {
    std::string size;
    append_number(size, bytes.size(), 16);
    append(size.append("\r\n"));
  }
  append(bytes);
  if (!http_1_0_) append("\r\n");
}

void Connection::flush_soon() {
  if (flush_posted_ || waits_writable_) return;
  flush_posted_ = true;
  boost::asio::post(common_.io, [self = shared_from_this()] {
    self->flush_posted_ = false;
    self->flush();
  });
}

void Connection::flush() {
  while (unsent() > 0 && phase_ != Phase::closed) {
    const Step step = stream_->write(std::string_view(output_).substr(output_sent_), {});
    if (step.outcome == Outcome::failed || step.outcome == Outcome::ended) {
      close();
    } else if (step.outcome == Outcome::done) {
      output_sent_ += step.bytes;
      moved_ = SteadyClock::now();
    } else {
      wait_for(step);
      break;
    }
  }
  on_progress();
}

void Connection::on_progress() {
  if (unsent() == 0) {
    release(output_);
    output_sent_ = 0;
    if (phase_ == Phase::finishing) finish();
  }
  if (wants_drained_ && unsent() <= common_.options.limits.stream_bytes_max / 2) {
    wants_drained_ = false;
    // A copy, because it may set another one.
    const auto act = exchange_ != nullptr ? exchange_->on_drained : nullptr;
    if (act) act();
  }
}

// The answer is on its way: on to the next request, or to the end.
void Connection::finish() {
  extra_headers_.clear();
  admitted_ = false;
  wants_drained_ = false;
  if (!keeps_alive_ || common_.stopping) {
    linger();
    return;
  }
  phase_ = Phase::receiving;
  since_ = SteadyClock::now();
  if (proceeding_) return;
  // Not from here: whoever gave this answer must not be made to wait for the next one.
  if (ahead_.empty() && !readable_ && !peer_ended_) {
    wait_readable();
  } else {
    boost::asio::post(common_.io, [self = shared_from_this()] { self->proceed(); });
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

// The receiving half of a connection: bytes become requests, and requests go to the handler.
#include <exception>
#include <utility>

#include "apps/http/connection.h"
#include "apps/http/exchange.h"
#include "apps/http/problem.h"

namespace jack::http {
namespace {

using SteadyClock = std::chrono::steady_clock;
using Outcome = Step::Outcome;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

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
  request.came_to_loopback = entrance_.is_loopback;
  request.tls = entrance_.tls;
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

}  // namespace jack::http

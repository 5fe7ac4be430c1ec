// The answering half of a connection: answers, whole or in parts, become bytes.
#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <boost/asio/post.hpp>

#include "apps/http/connection.h"
#include "apps/http/exchange.h"
#include "apps/http/problem.h"
#include "engine/assert.h"

namespace jack::http {
namespace {

using SteadyClock = std::chrono::steady_clock;
using Outcome = Step::Outcome;

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

}  // namespace

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

}  // namespace jack::http

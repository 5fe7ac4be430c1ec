// An engine that says what the test tells it to: a Router without anything behind it.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/wire/messages.h"
#include "engine/wire/router.h"
#include "engine/wire/socket.h"
#include "tests/catch.hpp"

namespace jack::test {

// How long a test waits for what must come. Only a test that fails waits so long.
inline constexpr std::chrono::seconds kSoon{20};

// Until somebody has said something to `router`.
inline void wait_for_a_message(wire::Router& router) {
  const auto end = std::chrono::steady_clock::now() + kSoon;
  std::vector<Inbound> arrived;
  std::vector<SessionId> gone;
  while (arrived.empty() && std::chrono::steady_clock::now() < end) {
    router.wait({}, std::chrono::milliseconds{50});
    router.drain(1, arrived, gone);
  }
  REQUIRE_FALSE(arrived.empty());
}

class FakeEngine {
 public:
  explicit FakeEngine(const wire::RouterOptions& options) {
    auto opened = wire::open_context();
    REQUIRE(opened.has_value());
    context_ = *std::move(opened);
    auto router = wire::Router::open(*context_, options);
    if (!router) FAIL(to_string(router.error()));
    router_ = *std::move(router);
  }
  // In `data_dir`, at its default endpoint.
  static wire::RouterOptions in(const std::string& data_dir) {
    wire::RouterOptions options;
    options.listen = {wire::default_endpoint(data_dir)};
    options.data_dir = data_dir;
    return options;
  }

  wire::Router& router() { return *router_; }
  zmq::context_t& context() { return *context_; }
  std::string endpoint() const { return router_->endpoints().at(0); }

  // Lets the router work for a moment: until something happens, or `most` is over.
  void turn(std::chrono::milliseconds most = std::chrono::milliseconds{50}) {
    router_->wait({}, most);
    std::vector<Inbound> arrived;
    router_->drain(100, arrived, gone_);
    for (Inbound& inbound : arrived) arrived_.push_back(std::move(inbound));
  }

  // Waits until `condition`; false after kSoon.
  template <typename Condition>
  bool until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + kSoon;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      turn();
    }
    return true;
  }

  // The next message that is no ping; pings are answered.
  const Inbound& next() {
    REQUIRE(until([this] {
      answer_pings();
      return !arrived_.empty();
    }));
    last_ = std::move(arrived_.front());
    arrived_.pop_front();
    auto request = wire::decode_request(unpacker_, last_.frame);
    REQUIRE(request.has_value());
    request_ = *std::move(request);
    return last_;
  }

  // The next message, which must be one of these. Its texts are valid until the next one.
  template <typename Message>
  Message take() {
    next();
    CAPTURE(request_->index());
    REQUIRE(std::holds_alternative<Message>(*request_));
    return std::get<Message>(*request_);
  }

  // Takes the greeting of a session and welcomes it.
  void welcome(std::uint64_t result_bytes_max = 1 << 20) {
    const auto hello = take<wire::Hello>();
    wire::Welcome welcome;
    welcome.correlation = hello.correlation;
    welcome.engine = "0123456789abcdef";
    welcome.incarnation = "fedcba9876543210";
    welcome.lease_default = Duration{30'000};
    welcome.payload_bytes_max = 1 << 20;
    welcome.result_bytes_max = result_bytes_max;
    say(welcome);
  }

  // To the session of the last message.
  template <typename Message>
  void say(const Message& message) {
    say_to(last_.session, message);
  }
  template <typename Message>
  void say_to(SessionId session, const Message& message) {
    say_bytes_to(session, wire::encode(message));
  }
  void say_bytes(std::string frame) { say_bytes_to(last_.session, std::move(frame)); }

  // Everything that was asked for went well.
  void agree(wire::Correlation correlation, std::size_t items = 1) {
    wire::Done done;
    done.correlation = correlation;
    done.items.resize(items);
    say(done);
  }

  SessionId session() const { return last_.session; }
  const Inbound& last() const { return last_; }
  std::vector<SessionId>& gone() { return gone_; }

  // Waits for `condition`, until which nothing but pings may come.
  template <typename Condition>
  void idle_until(Condition condition) {
    REQUIRE(until([&] {
      answer_pings();
      REQUIRE(arrived_.empty());
      return condition();
    }));
  }
  // Whether something has, but pings, which are answered.
  bool has_arrived() {
    answer_pings();
    return !arrived_.empty();
  }
  int pings() const { return pings_; }

 private:
  void say_bytes_to(SessionId session, std::string frame) {
    std::vector<Outbound> out;
    out.push_back({session, std::move(frame)});
    router_->send(out);
  }

  // Up to the next message that is none.
  void answer_pings() {
    while (!arrived_.empty()) {
      const auto request = wire::decode_request(unpacker_, arrived_.front().frame);
      if (!request || !std::holds_alternative<wire::Ping>(*request)) return;
      const wire::Pong pong{std::get<wire::Ping>(*request).correlation, false};
      say_to(arrived_.front().session, pong);
      arrived_.pop_front();
      ++pings_;
    }
  }

  std::unique_ptr<zmq::context_t> context_;
  std::unique_ptr<wire::Router> router_;
  std::deque<Inbound> arrived_;
  std::vector<SessionId> gone_;
  int pings_ = 0;
  Inbound last_;
  std::optional<wire::Request> request_;
  Unpacker unpacker_;
};

}  // namespace jack::test

// A session with an engine, as clients and workers have it: greets the engine after each connection
// and whenever it asks who this is, and tells its user when to say again what has no answer.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <jack_engine/client.h>
#include <jack_engine/error.h>
#include <jack_engine/time.h>

#include "engine/format/unpack.h"
#include "engine/wire/dealer.h"
#include "engine/wire/messages.h"

namespace jack {

// What an engine said about itself when it was greeted.
struct EngineFacts {
  Duration lease_default{30'000};
  std::uint64_t payload_bytes_max = 0;  // 0: not said
  std::uint64_t result_bytes_max = 0;   // 0: not said
};

// Not thread-safe. May move to another thread between two calls.
class Link {
 public:
  enum class News {
    nothing,  // the time is over
    reply,    // reply() holds it
    renewed,  // the engine knows nothing of this session: say again what has no answer
    lost,     // no connection at the moment
    refused,  // the engine does not take this session (any more: its key is gone), or what it says
              // cannot be read: refusal()
    woken,    // by the Wake
    closed,   // the engine of this process stops
  };

  // Begins to connect. `name` is for people; empty: program and process id. Within the engine's
  // process `key` and `answers` are as in wire::Hello.
  // Errors: invalid_argument, unavailable
  static Result<Link> open(wire::Route route, std::string name, std::string key = {},
                           std::string answers = {});

  // Waits for the next news, at most `timeout`.
  News wait(std::chrono::milliseconds timeout, wire::Wake* wake = nullptr);

  // As Dealer::descriptor().
  int descriptor() const { return dealer_.descriptor(); }

  // The last reply; valid until the next wait(). Greetings are not among them. An answer that
  // cannot be read comes as the refusal of its request.
  wire::Reply& reply() { return *reply_; }
  const Error& refusal() const { return refusal_; }

  // False where it cannot leave now. What was sent may still be lost: repeat it when `renewed`.
  bool send(std::string frame) { return dealer_.send(std::move(frame)) == wire::Sent::done; }
  template <typename Message>
  bool say(const Message& message) {
    return send(wire::encode(message));
  }

  wire::Correlation next_correlation() { return ++last_correlation_; }
  // Whether the engine has been greeted over the connection of now, so that it takes requests.
  bool ready() const { return greeted_ && dealer_.connected(); }
  bool in_process() const { return dealer_.route().in_process(); }
  const EngineFacts& facts() const { return facts_; }

  // What to tell people when no engine answers.
  Error unreachable() const;

 private:
  using SteadyClock = std::chrono::steady_clock;

  Link(wire::Dealer dealer, std::string name, std::string key, std::string answers)
      : dealer_(std::move(dealer)),
        name_(std::move(name)),
        key_(std::move(key)),
        answers_(std::move(answers)) {}

  void greet();
  std::optional<News> on_frame();
  std::optional<News> on_unreadable(const Error& error);
  News refused(Error error);
  std::chrono::milliseconds until_own_deadline(std::chrono::milliseconds timeout) const;
  std::optional<News> on_own_deadline();

  wire::Dealer dealer_;
  std::string name_;
  std::string key_;
  std::string answers_;
  Unpacker unpacker_;
  std::optional<wire::Reply> reply_;
  std::string unreadable_;  // what reply_ points into where it stands for an unreadable one
  Error refusal_;
  EngineFacts facts_;
  wire::Correlation last_correlation_ = 0;
  bool greeted_ = false;
  wire::Correlation greeting_ = 0;  // of the hello that has no answer yet; 0: welcomed
  SteadyClock::time_point next_look_{};
  SteadyClock::time_point greet_again_{};
};

// Which request a reply answers; 0 where it answers none.
wire::Correlation correlation_of(const wire::Reply& reply);

}  // namespace jack

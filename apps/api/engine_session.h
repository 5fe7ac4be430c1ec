// A session with the engine of this process, without waiting: requests are sent, and their answers
// come to a callback. One such session speaks for many HTTP clients.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <jack_engine/engine.h>
#include <jack_engine/error.h>

#include "engine/runtime/link.h"
#include "engine/wire/messages.h"

namespace jack::api {

// Used on one thread, that of the server. Callbacks come from poll() and on_time(), never from
// within ask().
class EngineSession {
 public:
  // The views in a reply are valid until the callback returns. Where the engine stops or forgets
  // the session, every request ends with an error: its fate is unknown.
  using OnReply = std::function<void(Result<wire::Reply>)>;

  // It acts for this key of the engine's list; "" is nobody's, and may do everything. `answers` as
  // in Attach::link(). Errors: as Link::open(). The engine outlives the session.
  static Result<std::unique_ptr<EngineSession>> open(Engine& engine, std::string name,
                                                     std::string key, std::string answers);

  // poll() is to be called whenever this is readable, and soon after `wants_poll` was called, which
  // happens within calls of ask() and the like.
  int descriptor() const { return link_.descriptor(); }
  std::function<void()> wants_poll;
  void poll();
  // Several times a second: keeps the session alive, and ends what has waited too long.
  void on_time();

  // How long an answer may take before the request ends with `unavailable`.
  static constexpr std::chrono::seconds kPatience{30};

  // Sends a request, whose correlation it chooses and returns. `on_reply` is called once.
  template <typename Message>
  wire::Correlation ask(Message message, OnReply on_reply,
                        std::chrono::seconds patience = kPatience) {
    return send(std::move(message), std::move(on_reply), {patience, false});
  }
  // The same for a request that the engine answers when it is time: it has no end but its answer.
  template <typename Message>
  wire::Correlation wait_for(Message message, OnReply on_reply) {
    return send(std::move(message), std::move(on_reply), {std::chrono::seconds{0}, false});
  }
  // `on_events` is called for each message of events, and once more with an error if it ends.
  wire::Correlation watch(wire::Watch message, OnReply on_events) {
    return send(std::move(message), std::move(on_events), {std::chrono::seconds{0}, true});
  }

  // A message without an answer.
  template <typename Message>
  void say(const Message& message) {
    if (greeted_) link_.say(message);  // it is about something that was asked
    want_poll();
  }

  // Ends a watch or a wait. Its callback is dropped, not called.
  void end(wire::Correlation correlation);

  // Ends every request with this error.
  void fail_all(const Error& error);
  // The same where the engine goes on to know the session: it hears which watches end.
  void refuse_all(const Error& error);

  // What the engine says without being asked.
  std::function<void(const wire::Deliver&)> on_deliver;
  std::function<void(const wire::Ended&)> on_ended;
  // The engine no longer knows subscriptions and leases of this session.
  std::function<void()> on_renewed;
  // The engine does not take this session any more, as its key is not good: nothing else comes.
  std::function<void()> on_refused;

  const EngineFacts& facts() const { return link_.facts(); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Terms {
    std::chrono::seconds patience{0};  // 0: endless
    bool is_watch = false;
  };
  struct Pending {
    OnReply on_reply;
    Clock::time_point until;
    bool is_watch = false;
  };

  explicit EngineSession(Link link) : link_(std::move(link)) {}

  template <typename Message>
  wire::Correlation send(Message message, OnReply on_reply, Terms terms) {
    message.correlation = link_.next_correlation();
    send(message.correlation, wire::encode(message), std::move(on_reply), terms);
    return message.correlation;
  }
  void send(wire::Correlation correlation, std::string frame, OnReply on_reply, Terms terms);
  void want_poll();
  void on_reply();
  void fail(wire::Correlation correlation, const Error& error);

  Link link_;
  bool poll_wanted_ = false;
  bool greeted_ = false;
  std::vector<std::string> before_greeting_;  // what the engine takes only after it
  bool stopped_ = false;
  bool refused_ = false;
  Clock::time_point pinged_{};
  std::map<wire::Correlation, Pending> pending_;  // in the order in which they were asked
};

}  // namespace jack::api

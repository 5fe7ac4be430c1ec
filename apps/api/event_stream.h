// One client that follows events.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include <jack_engine/task.h>

#include "apps/api/engine_session.h"
#include "apps/http/message.h"

namespace jack::api {

// One event in the form of text/event-stream. Its id is its position.
std::string to_sse(const Event& event);

// Lives as long as its answer or its watch does. On the server's thread.
class EventStream : public std::enable_shared_from_this<EventStream> {
 public:
  EventStream(EngineSession& engine, http::Responder to) : engine_(engine), to_(std::move(to)) {}

  void start(const wire::Watch& watch);

  // Several times a second: says something where nothing has happened for long, so that what lies
  // between does not take the connection for dead, and ends the stream of a reader that has taken
  // nothing for long.
  void on_time();

  // Proxies give up on connections on which nothing moves for a minute or less.
  static constexpr std::chrono::seconds kBeatEvery{15};
  // Before the server cuts the connection without a word (HttpLimits::write_stall).
  static constexpr std::chrono::seconds kPatience{20};

 private:
  using Clock = std::chrono::steady_clock;

  void on_reply(Result<wire::Reply> reply);
  void send_waiting();
  void finish(const std::string& why);
  void stop();

  EngineSession& engine_;
  http::Responder to_;
  wire::Correlation watch_ = 0;
  bool begun_ = false;
  std::deque<std::string> waiting_;  // not taken yet; no more than the watch has credit for
  bool stalled_ = false;             // until the reader has taken what came before them
  Clock::time_point moved_at_{};     // when something was last written
};

}  // namespace jack::api

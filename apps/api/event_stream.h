// One client that follows events.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
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

  // Now and then: sends a comment, so that what lies between does not take the connection for dead,
  // and cuts off a reader that has not taken what waits for it.
  void beat();

  // A reader that takes nothing for so long is cut off.
  static constexpr std::chrono::seconds kPatience{20};

 private:
  void on_reply(Result<wire::Reply> reply);
  void write(std::string text);
  void finish(const std::string& why);
  void stop();

  EngineSession& engine_;
  http::Responder to_;
  wire::Correlation watch_ = 0;
  bool begun_ = false;
  std::optional<std::chrono::steady_clock::time_point> stalled_;  // since when it takes nothing
};

}  // namespace jack::api

// One client that follows the output of a task while it is written.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include <jack_engine/id.h>

#include "apps/api/engine_session.h"
#include "apps/http/message.h"

namespace jack::api {

// Gives what there is and then what comes, and ends with the task. Lives as long as its answer or
// its watch does. On the server's thread.
class OutputStream : public std::enable_shared_from_this<OutputStream> {
 public:
  OutputStream(EngineSession& engine, const TaskId& task, std::uint64_t offset, http::Responder to)
      : engine_(engine), task_(task), offset_(offset), to_(std::move(to)) {}

  void start();

 private:
  void on_events(Result<wire::Reply> reply);
  void read();
  void on_output(Result<wire::Reply> reply);
  void write(std::string bytes);
  void go_on();
  void fail(const Error& error);
  void stop();

  EngineSession& engine_;
  const TaskId task_;
  std::uint64_t offset_;
  http::Responder to_;
  wire::Correlation watch_ = 0;
  bool begun_ = false;
  bool busy_ = false;      // reading or writing
  bool has_news_ = false;  // something has happened since the last read
  bool behind_ = false;    // there is more than was read
  bool ended_ = false;     // the task has
};

}  // namespace jack::api

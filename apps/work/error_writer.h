// What `jack work` and its commands write on standard error.
#pragma once

#include <memory>
#include <string_view>
#include <thread>

namespace jack::app {

// Writes from a thread of its own: where nobody reads, a write does not come back, and whoever
// looks after a command has other things to do. SIGPIPE must be ignored in this process.
class ErrorWriter {
 public:
  // The descriptor is not closed, and its flags stay: other processes may share it.
  explicit ErrorWriter(int descriptor);
  // Returns once all is written, or nothing of it was taken for a second.
  ~ErrorWriter();
  ErrorWriter(const ErrorWriter&) = delete;
  ErrorWriter& operator=(const ErrorWriter&) = delete;

  // Never waits. Up to 1 MiB is kept until it is taken; what is beyond it is left out, and a line
  // says so in its place. Any thread.
  void write(std::string_view text);

 private:
  struct State;

  const std::shared_ptr<State> state_;  // of the thread too, which may be left behind in a write
  std::thread thread_;
};

}  // namespace jack::app

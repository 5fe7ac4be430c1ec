// Being told to stop: once for in order, twice for at once.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <thread>

#include <jack_engine/error.h>

#include "apps/descriptor.h"

namespace jack::app {

// From its start SIGINT and SIGTERM no longer end the process. The first of them calls `on_first`,
// the second `on_second`, and then ends the process as that signal would have; both are called on a
// thread of its own. To be made before any other thread, which would still be ended by signals.
class SignalWatch {
 public:
  SignalWatch(std::function<void()> on_first, std::function<void()> on_second);
  // The number of the first one, if it has come. Any thread.
  std::optional<int> first() const;

  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;
  ~SignalWatch();  // signals stay blocked: the process is about to end

 private:
  void run(const std::function<void()>& on_first, const std::function<void()>& on_second);

  std::atomic<int> first_{0};
  Descriptor signals_;
  Descriptor end_;
  std::thread thread_;
};

// Ends the process as this signal does by default.
void end_by(int signal);

}  // namespace jack::app

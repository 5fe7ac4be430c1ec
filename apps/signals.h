// Being told to stop: once for in order, twice for at once.
#pragma once

#include <functional>
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
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;
  ~SignalWatch();  // signals stay blocked: the process is about to end

 private:
  void run(const std::function<void()>& on_first, const std::function<void()>& on_second);

  Descriptor signals_;
  Descriptor end_;
  std::thread thread_;
};

}  // namespace jack::app

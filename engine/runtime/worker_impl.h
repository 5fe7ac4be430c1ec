// Inside a Worker: the thread that talks to the engine, and the crew that runs the handlers.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include <jack_engine/worker.h>

#include "engine/guarded_by.h"
#include "engine/runtime/crew.h"
#include "engine/runtime/worker_loop.h"

namespace jack {

class Worker::Impl {
 public:
  static Result<std::unique_ptr<Impl>> start(wire::Route route, const WorkerOptions& options,
                                             Handler handler);
  ~Impl();

  void stop();
  Result<void> wait();
  std::uint64_t settled() const { return loop_.settled(); }

 private:
  Impl(Link link, const WorkerOptions& options, Handler handler, wire::Wake wake);

  wire::Wake wake_;
  Crew crew_;
  WorkerLoop loop_;
  std::thread thread_;

  // The end is told by the loop's thread and waited for on any other.
  std::mutex mutex_;
  std::condition_variable ended_;
  std::optional<Result<void>> outcome_ JACK_GUARDED_BY(mutex_);
};

}  // namespace jack

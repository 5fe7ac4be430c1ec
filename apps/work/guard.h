// Kills what is left of the running commands when this process dies without a chance to do so.
#pragma once

#include <sys/types.h>

#include <jack_engine/error.h>

#include "apps/descriptor.h"

namespace jack::app {

// The kernel's death signal reaches a command itself, but not the children that it has started. A
// small process beside this one is told of each process group, and kills those that are left when
// the pipe from here closes. Any thread.
class ProcessGuard {
 public:
  // To be called before any thread is started.
  // Errors: unavailable  no more processes or files
  static Result<ProcessGuard> start();

  ProcessGuard(ProcessGuard&&) noexcept = default;
  ProcessGuard& operator=(ProcessGuard&&) = delete;
  ~ProcessGuard();  // those still watched are killed

  // SIGPIPE must be ignored. Where the guard is gone these do nothing.
  void watch(pid_t group);
  void forget(pid_t group);  // before the group's id may be given to others

 private:
  ProcessGuard(Descriptor pipe, pid_t process) : pipe_(std::move(pipe)), process_(process) {}
  void tell(pid_t group);

  Descriptor pipe_;
  pid_t process_ = 0;
};

}  // namespace jack::app

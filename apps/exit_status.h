// What the program's exit statuses mean. Scripts depend on them: never change one.
#pragma once

#include <jack_engine/error.h>

namespace jack::app {

enum class ExitStatus : int {
  done = 0,
  task_failed = 1,  // the task did not succeed
  usage = 2,        // the command line itself is wrong
  not_found = 3,
  refused = 4,    // by the engine, or by what a configuration says
  no_engine = 5,  // no engine or transport; a data directory or address that is in use
  timed_out = 6,  // the caller's own wait ended
  not_permitted = 7,
  incomplete = 8,  // done, but for what could not be read or was refused
  internal = 70,   // a bug, or stored bytes that are damaged
};

// The status of a command that ended with an error of this code.
ExitStatus status_of(Code code);

}  // namespace jack::app

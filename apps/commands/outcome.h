// How the terminal outcome of a task becomes output and an exit status.
#pragma once

#include <optional>

#include <jack_engine/client.h>
#include <jack_engine/task.h>
#include <jack_engine/time.h>

#include "apps/exit_status.h"

namespace jack::app {

// As good as for ever; no wait of a command is longer.
inline constexpr Duration kForever{std::chrono::hours{24 * 365}};

// Waits for the outcome of a task, over outages of an engine that has answered before, and presents
// it. A result goes to standard output as it is, byte by byte; any other outcome to standard error.
// With `json` all of it goes to standard output, and where the task has not ended, its id and state
// do.
// Errors: not_found  no such task
//         timed_out  it has not ended
//         and those of every call
Result<ExitStatus> present_outcome(Client& client, const TaskId& task, Duration timeout, bool json);

}  // namespace jack::app

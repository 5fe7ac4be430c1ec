// The earlier program had flags where this one has commands: `jack --tasks --limit 5` is `jack list
// --limit 5` here.
#pragma once

#include <string>
#include <vector>

#include <jack_engine/error.h>

#include "apps/cli/command.h"

namespace jack::app {

// A line that begins with a flag and has one that stands for a command (Command::earlier_flags()),
// put as today: the command first, the flag's value last, behind "--". Any other line as it is. A
// value that looks like a flag must be written as "--add-task=-x".
//
// Errors: invalid_argument  two such flags, or one without its value; the message is for people
Result<std::vector<std::string>> without_earlier_flags(const std::vector<std::string>& arguments,
                                                       const std::vector<Command>& commands);

}  // namespace jack::app

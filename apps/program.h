// The program from its command line to its exit status.
#pragma once

#include <vector>

#include "apps/cli/command.h"

namespace jack::app {

// All commands, in the order of the help.
std::vector<Command> all_commands();

int run_program(int argc, const char* const* argv);

}  // namespace jack::app

// Scripts that let a shell complete the program's command lines.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/cli/command.h"

namespace jack::app {

// For "bash", "zsh" or "fish"; nothing for another shell.
std::optional<std::string> completion_script(std::string_view shell,
                                             const std::vector<Command>& commands);

}  // namespace jack::app

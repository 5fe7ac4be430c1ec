// The help texts, from what the commands say about themselves.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "apps/cli/command.h"

namespace jack::app {

// `jack --help`.
std::string help_of(const std::vector<Command>& commands);

// `jack NAME --help`.
std::string help_of(const Command& command);

// Breaks a paragraph into lines of at most `width` columns, each behind `indent` blanks. Words that
// are longer stand alone.
std::string wrapped(std::string_view paragraph, std::size_t indent, std::size_t width);

}  // namespace jack::app

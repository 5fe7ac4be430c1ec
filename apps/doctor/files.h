// What can be said about the files of a data directory, whether an engine runs or not.
#pragma once

#include <cstdint>
#include <string>

#include "apps/doctor/findings.h"

namespace jack::app {

// Sizes, free space, and how the last engine ended.
void check_files(const std::string& data_dir, bool running, Findings& findings);

// "1.5 MiB".
std::string size_text(std::uint64_t bytes);

}  // namespace jack::app

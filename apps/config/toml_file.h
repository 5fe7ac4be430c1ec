// A configuration file as settings. The TOML library is in toml_file.cc alone.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <jack_engine/error.h>

namespace jack::app {

// What a file says: texts by the key of their setting.
using FileSettings = std::map<std::string, std::vector<std::string>>;

// Nothing where there is no such file. Paths in it become absolute.
// Errors: invalid_argument  not TOML, an unknown key, a value of the wrong kind; the message begins
//                           with file and line
//         permission_denied, unavailable  the file cannot be read
Result<std::optional<FileSettings>> read_toml_file(const std::string& path);

}  // namespace jack::app

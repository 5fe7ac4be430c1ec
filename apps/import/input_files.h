// The files that an import is told to read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <jack_engine/error.h>

#include "apps/import/entry.h"

namespace jack::app {

inline constexpr std::uint64_t kImportFileBytesMax = 256u << 20;

struct InputFiles {
  std::vector<std::string> paths;
  std::uint64_t others = 0;     // in folders, and by their names of another kind
  std::vector<Error> problems;  // folders that cannot be read
};

// Files stand for themselves. Folders, with all below them, stand for the *.json and *-to-*.md in
// them, in the order of their paths; what begins with a dot is passed over, and so are links to
// folders. A file that is named twice is there once.
InputFiles find_files(const std::vector<std::string>& paths);

// Reads and parses a file of either kind.
// Errors: invalid_argument   it cannot be read, or is of another kind
//         payload_too_large  it has more than kImportFileBytesMax
Result<ParsedFile> parse_file(const std::string& path);

}  // namespace jack::app

// What a database file is, and how files of older versions become files of this one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <jack_engine/error.h>

namespace jack {

class Database;

// To change the layout of a file: append a step, never edit one that was released, and add the
// file as the old version wrote it to tests/storage/golden. The number of steps is the version,
// kept in user_version; a file of a newer version is refused.
struct Schema {
  std::string_view name;               // for messages: "task store"
  std::int32_t application_id = 0;     // part of the file format; tells our files from others'
  std::span<const char* const> steps;  // steps[n] leads from version n to version n + 1

  std::int64_t version() const { return static_cast<std::int64_t>(steps.size()); }
};

// Reads the first bytes of the file without SQLite, so that a file which is not ours, or is newer,
// stays as it was down to its last byte. A file that is missing or empty is fine.
//
// Errors: unsupported  a newer version: the message names both
//         corruption   not a database, or another program's
//         unavailable  the file cannot be read
Result<void> check_header(const std::string& path, const Schema& schema);

// The same by SQL, which also sees a version that is still in the WAL. Gives the version found; 0
// for a file that was only just made.
Result<std::int64_t> check_version(Database& database, const Schema& schema);

// Brings a file of version `found` up to date, one transaction per step.
Result<void> migrate(Database& database, const Schema& schema, std::int64_t found);

}  // namespace jack

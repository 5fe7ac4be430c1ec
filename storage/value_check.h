// Holds every value of tasks.db against its seal, for `jack doctor`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <jack_engine/error.h>

#include "storage/sqlite.h"

namespace jack {

struct ValueCheck {
  static constexpr std::size_t kNamedMax = 10;

  std::uint64_t values = 0;
  std::uint64_t damaged = 0;
  std::vector<std::string> named;  // the first kNamedMax of these: "the result of task 018b…"
};

// Reads the whole file, one row at a time; beside an engine it holds up only the copying of the
// WAL, for as long as one table takes.
// Errors: corruption  a table cannot be read to its end
//         stopped     the file cannot be read
Result<ValueCheck> check_values(Database& database);

}  // namespace jack

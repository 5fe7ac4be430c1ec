// The layout of tasks.db. Its version is kept by storage/schema.h; the steps are in task_schema.cc.
#pragma once

#include <cstdint>
#include <string>

#include "engine/store.h"
#include "storage/schema.h"

namespace jack {

Schema task_schema();

// The largest row is the events of one flush; unflushed changes are bounded far below this.
inline constexpr std::int64_t kTaskRowBytesMax = 512 << 20;

// What has become of a table of finished tasks. Part of the file format: never renumber.
enum class PartitionStage : std::int64_t {
  whole = 0,
  emptying = 1,  // specs, results and output count as gone and are being removed
  emptied = 2,
  dropping = 3,  // counts as gone and is being removed
};

// "finished_489104". The number is ours, so the name is safe to put into SQL.
std::string table_of(Partition partition);

// What makes that table.
std::string make_table_of(Partition partition);

// 16 bytes of a column as an id. Errors: corruption.
Result<TaskId> id_from(std::string_view column);

}  // namespace jack

// The layout of tasks.db. Its version is kept by storage/schema.h; the steps are in task_schema.cc.
// Every value has a seal beside it (storage/seal.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/store.h"
#include "storage/schema.h"
#include "storage/seal.h"
#include "storage/statement.h"

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

// In place of the state of a finished task that was removed by hand. Part of the file format.
inline constexpr std::int64_t kRemovedState = -1;

// "finished_489104". The number is ours, so the name is safe to put into SQL.
std::string table_of(Partition partition);

// What makes that table.
std::string make_table_of(Partition partition);

// 16 bytes of a column as an id. Errors: corruption.
Result<TaskId> id_from(std::string_view column);

// The seal of each value: with what it is sealed, in one place for all who write and read it.
inline Seal seal_of_meta(std::int64_t entry, std::string_view bytes) {
  return Seal(Sealed::meta, entry).add(bytes);
}
inline Seal seal_of_queue(std::int64_t number, std::string_view name, std::string_view record) {
  return Seal(Sealed::queue, number).add(name).add(record);
}
inline Seal seal_of_stage(Partition hour, std::int64_t stage) {
  return Seal(Sealed::hour, hour).add(stage);
}
inline Seal seal_of_events(std::int64_t first, std::int64_t last, std::int64_t at_ms,
                           std::string_view bytes) {
  return Seal(Sealed::events, first).add(last).add(at_ms).add(bytes);
}
inline Seal seal_of_numbers(std::int64_t first, std::int64_t at_ms, std::string_view ids) {
  return Seal(Sealed::numbers, first).add(at_ms).add(ids);
}
inline Seal seal_of_spec(const TaskId& id, std::string_view spec) {
  return Seal(Sealed::spec, id).add(spec);
}
inline Seal seal_of_result(const TaskId& id, std::string_view result) {
  return Seal(Sealed::result, id).add(result);
}
inline Seal seal_of_status(const TaskId& id, std::int64_t state, std::string_view queue,
                           std::string_view status) {
  return Seal(Sealed::status, id).add(state).add(queue).add(status);
}
// All output of a finished task is one chunk that starts at 0.
inline Seal seal_of_output(const TaskId& id, std::int64_t start, std::string_view chunk) {
  return Seal(Sealed::output, id).add(start).add(chunk);
}

// The columns to select for one value of a task with its seal. They have the same names in `live`
// and `spec` as in the tables of finished tasks.
std::string_view columns_of(Sealed what);

// That value, of a row in which the first of these columns is `column`. Views last as long as the
// row. Nothing where none was written, or its hour was emptied.
// Errors: corruption  it does not fit its seal
Result<std::optional<std::string_view>> unseal(const Statement& row, int column, Sealed what,
                                               const TaskId& id);

// The same where there must be one.
Result<std::string_view> unseal_some(const Statement& row, int column, Sealed what,
                                     const TaskId& id);

}  // namespace jack

#include "storage/task_schema.h"

#include <array>

#include "engine/assert.h"

namespace jack {
namespace {

// Part of the file format.
constexpr std::int32_t kApplicationId = 0x4a4b5453;  // "JKTS"

// Tables without row ids are one tree instead of a table and its index. Short columns come first,
// so that a scan by state and queue does not touch long ones. Specs are apart from live rows, so
// that a change of status does not write the payload anew.
constexpr std::array<const char*, 1> kSteps{
    "CREATE TABLE meta(one INTEGER PRIMARY KEY CHECK(one = 1), entry INTEGER NOT NULL,"
    " bytes BLOB NOT NULL, seal INTEGER NOT NULL);"
    "CREATE TABLE queue(number INTEGER PRIMARY KEY, name TEXT NOT NULL, record BLOB NOT NULL,"
    " seal INTEGER NOT NULL);"
    "CREATE TABLE live(id BLOB PRIMARY KEY, state INTEGER NOT NULL, queue TEXT NOT NULL,"
    " status BLOB NOT NULL, status_seal INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE spec(id BLOB PRIMARY KEY, spec BLOB NOT NULL, spec_seal INTEGER NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE output(id BLOB NOT NULL, start INTEGER NOT NULL, output BLOB NOT NULL,"
    " output_seal INTEGER NOT NULL, PRIMARY KEY(id, start)) WITHOUT ROWID;"
    "CREATE TABLE events(first INTEGER PRIMARY KEY, last INTEGER NOT NULL,"
    " at_ms INTEGER NOT NULL, bytes BLOB NOT NULL, seal INTEGER NOT NULL);"
    "CREATE TABLE numbers(first INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL,"
    " ids BLOB NOT NULL, seal INTEGER NOT NULL);"
    "CREATE TABLE partition(hour INTEGER PRIMARY KEY, stage INTEGER NOT NULL,"
    " seal INTEGER NOT NULL);"};

}  // namespace

Schema task_schema() { return {"task store", kApplicationId, kSteps}; }

std::string table_of(Partition partition) {
  JACK_ASSERT(partition >= 0);
  return "finished_" + std::to_string(partition);
}

std::string make_table_of(Partition partition) {
  return "CREATE TABLE " + table_of(partition) +
         "(id BLOB PRIMARY KEY, state INTEGER NOT NULL, queue TEXT NOT NULL, status BLOB NOT NULL,"
         " status_seal INTEGER NOT NULL, spec_seal INTEGER, result_seal INTEGER,"
         " output_seal INTEGER, spec BLOB, result BLOB, output BLOB) WITHOUT ROWID";
}

Result<TaskId> id_from(std::string_view column) {
  TaskId id;
  if (column.size() != id.bytes.size()) {
    return Error{Code::corruption, "the task store holds an id that is not 16 bytes long"};
  }
  std::memcpy(id.bytes.data(), column.data(), column.size());
  return id;
}

std::string_view columns_of(Sealed what) {
  switch (what) {
    case Sealed::status: return "status, status_seal, state, queue";
    case Sealed::spec: return "spec, spec_seal";
    case Sealed::result: return "result, result_seal";
    case Sealed::output: return "output, output_seal";
    default: break;
  }
  JACK_ASSERT(false);  // not of a task
  return {};
}

Result<std::optional<std::string_view>> unseal(const Statement& row, int column, Sealed what,
                                               const TaskId& id) {
  if (row.is_null(column) && row.is_null(column + 1)) return std::optional<std::string_view>();
  const Result<std::string_view> value = unseal_some(row, column, what, id);
  if (!value) return value.error();
  return std::optional(*value);
}

Result<std::string_view> unseal_some(const Statement& row, int column, Sealed what,
                                     const TaskId& id) {
  const std::string_view value = row.bytes(column);
  const Seal seal = what == Sealed::status
                        ? seal_of_status(id, row.integer(column + 2), row.bytes(column + 3), value)
                    : what == Sealed::output ? seal_of_output(id, 0, value)
                                             : Seal(what, id).add(value);
  if (Result<void> intact = seal.check(row.integer(column + 1)); !intact) return intact.error();
  return value;
}

}  // namespace jack

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
    " bytes BLOB NOT NULL);"
    "CREATE TABLE queue(number INTEGER PRIMARY KEY, name TEXT NOT NULL, record BLOB NOT NULL);"
    "CREATE TABLE live(id BLOB PRIMARY KEY, state INTEGER NOT NULL, queue TEXT NOT NULL,"
    " status BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE spec(id BLOB PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE output(id BLOB NOT NULL, start INTEGER NOT NULL, bytes BLOB NOT NULL,"
    " PRIMARY KEY(id, start)) WITHOUT ROWID;"
    "CREATE TABLE events(first INTEGER PRIMARY KEY, last INTEGER NOT NULL,"
    " at_ms INTEGER NOT NULL, bytes BLOB NOT NULL);"
    "CREATE TABLE partition(hour INTEGER PRIMARY KEY, stage INTEGER NOT NULL);"};

}  // namespace

Schema task_schema() { return {"task store", kApplicationId, kSteps}; }

std::string table_of(Partition partition) {
  JACK_ASSERT(partition >= 0);
  return "finished_" + std::to_string(partition);
}

std::string make_table_of(Partition partition) {
  return "CREATE TABLE " + table_of(partition) +
         "(id BLOB PRIMARY KEY, state INTEGER NOT NULL, queue TEXT NOT NULL, status BLOB NOT NULL,"
         " spec BLOB, result BLOB, output BLOB) WITHOUT ROWID";
}

Result<TaskId> id_from(std::string_view column) {
  TaskId id;
  if (column.size() != id.bytes.size()) {
    return Error{Code::corruption, "the task store holds an id that is not 16 bytes long"};
  }
  std::memcpy(id.bytes.data(), column.data(), column.size());
  return id;
}

}  // namespace jack

// What is read from tasks.db, over a connection that cannot write.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/store.h"
#include "storage/partitions.h"
#include "storage/seal.h"
#include "storage/sqlite.h"
#include "storage/value_check.h"

namespace jack {

// One thread. Every function reads one moment of the file: the last commit before it was called.
// Errors of all: corruption (a value that does not fit its seal is named); stopped (the file cannot
// be read); unavailable (another process holds it).
class TaskReader {
 public:
  // The file must exist and be up to date.
  static Result<std::unique_ptr<TaskReader>> open(const std::string& path, const std::string& vfs);

  // As in Store. Fills `partitions`, which the look-ups below go by.
  Result<void> load(StoreReader& reader, Partitions& partitions);

  Result<std::optional<StoredTask>> find(const TaskId& id, const Partitions& partitions);
  Result<std::optional<std::string>> spec(const TaskId& id, const Partitions& partitions);
  Result<std::optional<std::string>> result(const TaskId& id, const Partitions& partitions);
  Result<std::string> output(const TaskId& id, std::uint64_t offset, std::uint64_t bytes_max,
                             const Partitions& partitions);
  Result<std::vector<std::string>> events_after(std::uint64_t entry, std::uint64_t bytes_max);
  Result<std::optional<std::uint64_t>> first_event();
  Result<std::optional<TaskId>> find_number(std::uint64_t number);
  Result<ListPage> list(const ListQuery& query, const Partitions& partitions);

  // For `jack doctor`; both read the whole file.
  Result<void> quick_check() { return database_->quick_check(); }
  Result<ValueCheck> check_values() { return jack::check_values(*database_); }

 private:
  explicit TaskReader(std::unique_ptr<Database> database) : database_(std::move(database)) {}

  Result<void> prepare();
  Result<void> load_meta(StoreReader& reader);
  Result<void> load_queues(StoreReader& reader);
  Result<void> load_live(StoreReader& reader);
  Result<void> load_partitions(Partitions& partitions);
  Result<void> load_range(Partition partition, bool emptied, Partitions& partitions);

  // One value of a finished task. Nothing where no partition has the row, or it has none.
  struct Found {
    Partition partition = 0;
    std::string bytes;
    std::string queue;  // with a status
  };
  Result<std::optional<Found>> find_finished(const TaskId& id, Sealed what,
                                             const Partitions& partitions);
  Result<std::optional<std::string>> finished_value(const TaskId& id, Sealed what,
                                                    const Partitions& partitions);
  Result<bool> is_live(const TaskId& id);
  Result<std::string> live_output(const TaskId& id, std::uint64_t offset, std::uint64_t bytes_max);

  std::unique_ptr<Database> database_;
  Statement live_;
  Statement spec_;
  Statement output_;
  Statement events_;
  Statement first_event_;
  Statement numbers_;
};

}  // namespace jack

// What is written to tasks.db: flushes, and the slow removal of what has outlived its time.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/store.h"
#include "storage/sqlite.h"
#include "storage/task_schema.h"

namespace jack {

// The ids that a flush added to a partition.
struct PartitionGrowth {
  Partition partition = 0;
  TaskId first;
  TaskId last;
};

struct TaskWriterOptions {
  std::string path;
  std::int64_t wal_bytes =
      32 << 20;  // copied into the file when longer; may be twice that for a while
  std::string vfs;
};

// One thread.
class TaskWriter {
 public:
  // Errors: as Database::open
  static Result<std::unique_ptr<TaskWriter>> open(const TaskWriterOptions& options);

  // Writes all of it in one transaction and returns once it is on stable storage.
  //   storage_full, unavailable   nothing was written; it may be tried again
  //   any other                   unknown until the file is reopened
  Result<std::vector<PartitionGrowth>> write(const Flush& flush);

  // Removes a bounded part of what is dropped or emptied, in a transaction that takes a few
  // milliseconds. True: there is more to remove.
  Result<bool> remove_some();
  bool has_to_remove() const { return !removals_.empty(); }

  // Copies the WAL into the file if it has grown beyond its bound.
  Result<void> checkpoint_if_due();

  Database& database() { return *database_; }

 private:
  // A partition on its way out. `after`: rows up to this id are done.
  struct Removal {
    PartitionStage stage = PartitionStage::dropping;
    std::string after;
  };

  // A value on its way from one table to another.
  struct Taken {
    std::string bytes;
    std::int64_t seal = 0;
  };

  explicit TaskWriter(std::unique_ptr<Database> database, std::int64_t wal_bytes);

  Result<void> prepare();
  Result<void> load_stages();

  Result<void> write_all(const Flush& flush);
  Result<void> write_queues(const Flush& flush);
  Result<void> write_revived(const Flush& flush);
  Result<void> write_live(const Flush& flush);
  Result<void> write_output(const Flush& flush);
  Result<void> write_finished(const Flush& flush);
  Result<void> write_finished_row(const FinishedRow& row, bool stored);
  Result<void> write_restated(const Flush& flush);
  Result<void> write_numbers(const Flush& flush);
  Result<void> write_events(const Flush& flush);
  Result<void> prune_events(std::int64_t before_ms);
  Result<void> write_meta(const Flush& flush);
  Result<void> mark(Partition partition, PartitionStage stage);
  Result<void> put_stage(Partition partition, PartitionStage stage);

  Result<Statement*> insert_into(Partition partition);
  Result<Taken> take_spec(const TaskId& id);
  Result<std::optional<Taken>> take_output(const TaskId& id);
  Result<void> remove(Statement& statement, const TaskId& id);
  void grew(const FinishedRow& row);

  Result<std::optional<std::string>> end_of_chunk(Partition partition, const std::string& after);
  Result<void> remove_chunk(Partition partition, const Removal& removal, const std::string& end);
  Result<void> finish_removal(Partition partition, PartitionStage stage);

  std::unique_ptr<Database> database_;
  const std::int64_t wal_bytes_;
  std::map<Partition, PartitionStage> stages_;
  std::map<Partition, Removal> removals_;
  std::map<Partition, Statement> inserts_;
  std::vector<PartitionGrowth> growth_;  // of the flush under way

  Statement put_queue_, drop_queue_, put_live_, drop_live_, put_spec_, get_spec_, drop_spec_;
  Statement put_output_, get_output_, drop_output_, put_events_, old_events_, drop_events_;
  Statement put_numbers_, drop_numbers_, put_meta_, put_partition_, drop_partition_;
};

}  // namespace jack

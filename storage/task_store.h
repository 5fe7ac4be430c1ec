// The state of an engine on disk (tasks.db): live tasks, finished ones by the hour, events.
//
// Two connections: a thread of the store's own writes flushes, removes what has outlived its time
// and copies the WAL into the file; the loop's thread reads.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/guarded_by.h"
#include "engine/store.h"
#include "storage/data_directory.h"
#include "storage/partitions.h"
#include "storage/task_reader.h"
#include "storage/task_writer.h"
#include "storage/wake_up.h"

namespace jack {

struct TaskStoreOptions {
  std::string path;  // of tasks.db
  // Tells the free space; its reserve is given back when a flush finds no room, and set aside again
  // when room returns. Outlives the store; null: the disk counts as endless.
  DataDirectory* directory = nullptr;
  std::int64_t wal_bytes = 32 << 20;  // as in TaskWriterOptions
  std::string vfs;
};

class TaskStore final : public Store {
 public:
  // Errors: as Database::open
  static Result<std::unique_ptr<TaskStore>> open(const TaskStoreOptions& options);

  TaskStore(const TaskStore&) = delete;
  TaskStore& operator=(const TaskStore&) = delete;
  ~TaskStore() override;  // a flush that is under way is finished first

  Result<void> load(StoreReader& reader) override;
  void begin_flush(std::shared_ptr<const Flush> flush) override;
  std::optional<Result<void>> flushed() override;
  int descriptor() const override { return wake_loop_.descriptor(); }

  Result<std::optional<StoredTask>> find(const TaskId& id) override;
  Result<std::optional<std::string>> spec(const TaskId& id) override;
  Result<std::optional<std::string>> result(const TaskId& id) override;
  Result<std::string> output(const TaskId& id, std::uint64_t offset,
                             std::uint64_t bytes_max) override;
  Result<std::vector<std::string>> events_after(std::uint64_t entry,
                                                std::uint64_t bytes_max) override;
  Result<std::optional<std::uint64_t>> first_event() override;
  Result<std::optional<TaskId>> find_number(std::uint64_t number) override;
  Result<ListPage> list(const ListQuery& query) override;
  std::uint64_t room_bytes() override;

  // Reads the whole file and checks its structure, on the caller's thread; seconds per GiB, so for
  // `jack doctor` and not for every start. What a crash can do to the file, SQLite undoes by
  // itself.
  Result<void> quick_check();

 private:
  // What the thread does next; the most urgent first.
  enum class Work { flush, stop, set_reserve_aside, remove };

  struct Flushed {
    Result<void> result;
    std::vector<PartitionGrowth> growth;
    std::vector<Partition> emptied;
    std::vector<Partition> dropped;
  };

  TaskStore(std::unique_ptr<TaskWriter> writer, std::unique_ptr<TaskReader> reader,
            const TaskStoreOptions& options);

  // On the thread.
  void run();
  Work wait_for_work();
  std::optional<Work> next_work() const;  // with mutex_ held
  void do_flush();
  Result<std::vector<PartitionGrowth>> write(const Flush& flush);
  void do_remove();
  void do_checkpoint();
  void fail(Error error);

  const TaskStoreOptions options_;
  WakeUp wake_loop_;

  // The loop's.
  std::unique_ptr<TaskReader> reader_;
  Partitions partitions_;
  bool flush_under_way_ = false;

  // The thread's.
  std::unique_ptr<TaskWriter> writer_;
  bool removal_waits_ = false;  // it found no room; the next flush tries again

  // Between the two.
  mutable std::mutex mutex_;
  std::condition_variable wake_thread_;
  std::shared_ptr<const Flush> flush_ JACK_GUARDED_BY(mutex_);
  std::optional<Flushed> flushed_ JACK_GUARDED_BY(mutex_);
  std::optional<Error> failed_ JACK_GUARDED_BY(mutex_);
  bool set_reserve_aside_ JACK_GUARDED_BY(mutex_) = false;
  bool stop_ JACK_GUARDED_BY(mutex_) = false;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace jack

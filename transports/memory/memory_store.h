// A store in memory that behaves as the one on disk does: for tests, with faults, and for embedding
// without persistence.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/store.h"

namespace jack {

// What would be on disk. It outlives the stores on it: a new store on the same tables is a restart.
//
// One thread at a time.
class MemoryTables {
 public:
  struct Live {
    std::string queue;
    TaskState state = TaskState::queued;
    std::string status;
    std::string spec;
  };
  struct Finished {
    std::string queue;
    TaskState state = TaskState::succeeded;
    std::string status;
    std::optional<std::string> spec;  // nothing where the partition was emptied
    std::optional<std::string> result;
    std::string output;
  };
  struct Queue {
    std::string name;
    std::string record;
  };
  struct Events {
    std::uint64_t last = 0;
    std::int64_t at_ms = 0;
    std::string bytes;
  };

  struct Numbers {
    std::int64_t at_ms = 0;
    std::string ids;
  };

  // Errors: corruption  a row refers to one that is not there; part of the flush may be written
  Result<void> write(const Flush& flush);

  std::optional<std::pair<Index, std::string>> meta;
  std::map<std::uint32_t, Queue> queues;
  std::map<TaskId, Live> live;
  std::map<std::pair<TaskId, std::uint64_t>, std::string> output;  // by offset
  std::map<Partition, std::map<TaskId, Finished>> finished;
  std::map<std::uint64_t, Events> events;    // by the first entry
  std::map<std::uint64_t, Numbers> numbers;  // by the first of them

 private:
  Result<void> revive(const RevivedRow& row);
  Result<void> finish(const FinishedRow& row);
  Result<void> restate(const RestatedRow& row);
  std::string take_output(const TaskId& id);
};

// One thread.
class MemoryStore final : public Store {
 public:
  explicit MemoryStore(std::shared_ptr<MemoryTables> tables) : tables_(std::move(tables)) {}

  // From now on a flush stays under way until release_flushes().
  void hold_flushes() { hold_ = true; }
  void release_flushes() { hold_ = false; }

  // The next flush writes nothing and ends with `error`. stopped is for good, as on disk.
  void fail_next_flush(Error error) { fault_ = std::move(error); }

  void set_room_bytes(std::uint64_t bytes) { room_bytes_ = bytes; }

  Result<void> load(StoreReader& reader) override;
  void begin_flush(std::shared_ptr<const Flush> flush) override;
  std::optional<Result<void>> flushed() override;
  int descriptor() const override { return -1; }

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
  std::uint64_t room_bytes() override { return room_bytes_; }

 private:
  const MemoryTables::Finished* finished(const TaskId& id) const;

  const std::shared_ptr<MemoryTables> tables_;
  std::shared_ptr<const Flush> under_way_;
  std::optional<Error> fault_;
  std::optional<Error> stopped_;
  bool hold_ = false;
  std::uint64_t room_bytes_ = UINT64_MAX;
};

}  // namespace jack

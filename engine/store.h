// Where an engine keeps its state on disk, as the engine sees it: rows of bytes that state/ encodes
// and decodes. A store knows keys and columns to look rows up by, not what is in them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/id.h>
#include <jack_engine/task.h>

#include "engine/transport.h"

namespace jack {

// Finished tasks are kept and dropped by the hour (of journal time) in which they finished.
using Partition = std::int64_t;

// A live task: one that is not in a terminal state.
struct LiveRow {
  TaskId id;
  std::string_view queue;
  TaskState state = TaskState::queued;
  std::string_view status;  // encoded by engine/state/stored.h
  std::string_view spec;    // encoded by engine/format/spec.h; empty: as stored already
};

// A finished task, in one row.
struct FinishedRow {
  TaskId id;
  Partition partition = 0;
  std::string_view queue;
  TaskState state = TaskState::succeeded;
  std::string_view status;
  std::string_view spec;    // empty: move it here from the live row
  std::string_view result;  // as in TaskResult::result
  bool was_live = false;    // a live row of it is stored and goes away
};

// A finished task that a retry brought back: its row moves from `partition` to the live rows, with
// the status that a LiveRow of the same flush gives it.
struct RevivedRow {
  TaskId id;
  Partition partition = 0;
};

// A finished task whose row is stored, or comes by the same flush: its status has changed. The row
// keeps its spec, result and output, unless the task was removed.
struct RestatedRow {
  TaskId id;
  Partition partition = 0;
  std::string_view queue;
  TaskState state = TaskState::succeeded;
  std::string_view status;
  // Spec, result and output go, and it is listed no more. find() still has it, for its id.
  bool removed = false;
};

struct QueueRow {
  std::uint32_t number = 0;
  std::string_view name;
  std::string_view record;
};

// Output of a running attempt, to be added to what is stored for the task.
struct OutputRow {
  TaskId id;
  std::uint64_t offset = 0;  // of its first byte within all output of the task
  std::uint32_t attempt = 0;
  std::string_view bytes;
};

// The events of all entries from `first` to `last`, in order.
struct EventsRow {
  std::uint64_t first = 0;  // entry numbers as in Position
  std::uint64_t last = 0;
  std::int64_t at_ms = 0;  // journal time of the last
  std::string_view bytes;  // encoded by engine/state/stored.h
};

// The ids of the tasks that were accepted since the flush before, 16 bytes each, in the order of
// their numbers (TaskStatus::serial), without gaps.
struct NumbersRow {
  std::uint64_t first = 0;  // number of the first of them
  std::int64_t at_ms = 0;   // journal time of the flush
  std::string_view ids;
};

// All changes up to exactly `index`: written in one transaction, or not at all. The views point
// into `owners` and `arena`, which live as long as the Flush.
struct Flush {
  Index index = 0;
  std::vector<LiveRow> live;
  std::vector<FinishedRow> finished;
  std::vector<RevivedRow> revived;
  std::vector<RestatedRow> restated;
  std::optional<NumbersRow> numbers;
  // Rows of numbers may go that are wholly below the one and were written before the other (journal
  // time).
  std::uint64_t numbers_below = 0;
  std::int64_t numbers_before_ms = 0;
  std::vector<QueueRow> queues;
  std::vector<std::uint32_t> queues_gone;
  std::vector<OutputRow> output;
  std::optional<EventsRow> events;
  std::string meta;                   // the state beside tasks and queues, and its hash
  std::vector<Partition> dropped;     // past the dedup window: the rows go
  std::vector<Partition> emptied;     // past retention: specs, results and output go
  std::int64_t events_before_ms = 0;  // events up to this journal time may go

  std::vector<Buffer> owners;
  std::string arena;
};

// A finished task as read back.
struct StoredTask {
  bool finished = false;
  Partition partition = 0;
  std::string status;
  std::string queue;
};

// What a store yields when an engine opens it, one row at a time.
class StoreReader {
 public:
  virtual ~StoreReader() = default;
  virtual Result<void> on_meta(Index index, std::string_view meta) = 0;
  virtual Result<void> on_queue(std::uint32_t number, std::string_view name,
                                std::string_view record) = 0;
  virtual Result<void> on_live(const TaskId& id, std::string_view status) = 0;
};

// A page of tasks. Those past their retention, in partitions that were emptied, are not among them.
struct ListQuery {
  std::string queue;               // empty: all
  std::optional<TaskState> state;  // none: all
  bool finished_too = true;
  TaskId before{};  // newest first: tasks with a smaller id than this; empty: all
  std::uint32_t count_max = 100;
  // Only tasks of queues of which this is true; empty: all.
  std::function<bool(std::string_view queue)> shows{};
};

struct ListedTask {
  TaskId id;
  TaskState state = TaskState::queued;
  std::string status;
  std::string spec;
};

struct ListPage {
  std::vector<ListedTask> tasks;
  // There may be more: ask again with this as `before`. Empty: that was all. A page can be short,
  // even empty, where few of many tasks fit the query.
  TaskId next{};
};

// One thread, the loop's, calls all of it. Only begin_flush() works on in a thread of the store.
class Store {
 public:
  virtual ~Store() = default;

  // Yields meta (if there is any), then queues and live tasks.
  // Errors: corruption  a row is not what was written; the reader's own errors are passed on
  virtual Result<void> load(StoreReader& reader) = 0;

  // Begins to write `flush`; never blocks. One may be under way at a time. The views stay valid
  // until flushed() has told of its end, by then the store no longer uses them.
  virtual void begin_flush(std::shared_ptr<const Flush> flush) = 0;

  // The result of the flush that has ended since the last call, if one has.
  //   storage_full  nothing was written; begin the same flush again when there is room
  //   unavailable   another process holds the file; nothing was written; begin it again later
  //   stopped       an I/O or sync error; the store takes no more flushes, but answers reads
  virtual std::optional<Result<void>> flushed() = 0;

  // Readable when flushed() has something to tell; -1: flushed() is to be asked after
  // begin_flush().
  virtual int descriptor() const = 0;

  // Reads see what the last finished flush wrote. Empty: there is no such row.
  // Errors: corruption, stopped (the file cannot be read)
  virtual Result<std::optional<StoredTask>> find(const TaskId& id) = 0;
  virtual Result<std::optional<std::string>> spec(const TaskId& id) = 0;
  virtual Result<std::optional<std::string>> result(const TaskId& id) = 0;
  virtual Result<std::string> output(const TaskId& id, std::uint64_t offset,
                                     std::uint64_t bytes_max) = 0;

  // The task with this number (NumbersRow); it may be gone itself. Empty: no row has the number.
  virtual Result<std::optional<TaskId>> find_number(std::uint64_t number) = 0;

  // Blobs of EventsRow that hold entries after `entry`, oldest first, at most about `bytes_max` in
  // all but at least one if there is one.
  virtual Result<std::vector<std::string>> events_after(std::uint64_t entry,
                                                        std::uint64_t bytes_max) = 0;
  // The number of the first entry whose events are still kept; nothing where none is stored.
  virtual Result<std::optional<std::uint64_t>> first_event() = 0;

  virtual Result<ListPage> list(const ListQuery& query) = 0;

  // Free bytes for new tasks, by the volume's free space and the reserve. Cheap; may be a second
  // old.
  virtual std::uint64_t room_bytes() = 0;
};

}  // namespace jack

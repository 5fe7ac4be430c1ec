// Everything that follows from the journal: tasks, queues, pools, leases, timers. No clock, thread,
// socket, file or random source: the same entries give the same state and the same outcomes, byte
// for byte, on every engine and after every restart.
//
// The life of a task:
//
//                 submit                              retry (a new cycle)
//                    │                 ┌──────────────────────────────────────────────┐
//          due later │ due now         ▼                                              │
//        ┌───────────┴──────────┬─► queued ──────────── cancel ──────► cancelled ─────┤
//        ▼                      │    │  ▲ ──────────── expires ─────► expired ────────┤
//    scheduled ── tick: due ────┘    │  │ release                                     │
//        ▲ │                  assign │  │                                             │
//        │ └── cancel, expires       ▼  │                                             │
//        └──── fail, lost ──────── running ─── succeed ─────────────► succeeded       │
//              timed out             │                                                │
//              (attempts left)       └─── fail, lost, timed out: no attempts left ─► failed
//
// Tasks in a terminal state leave memory once they are in the store; an Archive finds them again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/id.h>
#include <jack_engine/limits.h>
#include <jack_engine/task.h>

#include "engine/format/command.h"
#include "engine/format/entry.h"
#include "engine/format/spec.h"
#include "engine/format/unpack.h"
#include "engine/state/known_ids.h"
#include "engine/state/outcomes.h"
#include "engine/state/pools.h"
#include "engine/state/queues.h"
#include "engine/state/stored.h"
#include "engine/state/task_table.h"
#include "engine/state/timers.h"
#include "engine/store.h"
#include "engine/transport.h"

namespace jack {

// Finds finished tasks that the state no longer holds in memory. What it yields is what the
// flushes of this state have written, so it follows from the journal too.
class Archive {
 public:
  virtual ~Archive() = default;
  // Errors: whatever reading the store gives; apply() passes it on, and the engine stops
  virtual Result<std::optional<StoredTask>> find(const TaskId& id) = 0;
};

struct QueueView {
  std::string_view name;
  bool paused = false;
  QueueCounts counts;
  std::optional<Instant> oldest;  // since when the one is queued that is handed out next
};

// A task in memory as readers see it. Views are valid until the next call that changes the state.
struct TaskView {
  TaskStatus status;
  std::optional<std::string_view> spec;    // empty: it is in the store only
  std::optional<std::string_view> result;  // of a succeeded task that is not in the store yet
  std::string_view result_content_type;
};

// Not thread-safe. The loop owns it.
class State {
 public:
  // `archive` must outlive the state.
  explicit State(Archive& archive) : archive_(archive) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // Takes over what a store holds; called once, before the first apply(). Nothing in the store:
  // the state before the first entry.
  // Errors: corruption, unsupported (written by a newer version)
  Result<void> load(Store& store);

  // Applies the next entry. Entries come in index order, without gaps. `outcomes` is cleared first.
  // Errors: corruption   the entry's bytes are damaged; nothing was applied
  //         unsupported  a newer format or newer rules; nothing was applied
  //         (of the archive)  the engine must stop: part of the entry may have been applied
  Result<void> apply(Index index, const Buffer& entry, Outcomes& outcomes);

  // When a tick would next change something, in journal time; kNever while nothing waits.
  Instant next_deadline() const;

  // The index of the last entry applied; how many entries were applied in all; the journal time.
  Index index() const { return register_.index; }
  std::uint64_t entries() const { return register_.entries; }
  Instant now() const { return register_.now; }
  std::uint64_t epoch() const { return register_.epoch; }
  const Limits& limits() const { return register_.limits; }

  // What nobody needs any more: every engine that is joined, or may come back, has the entries up
  // to this one in its store.
  Index flushed_by_all() const;

  // The highest number applied of this incarnation; nothing while it is not joined.
  std::optional<std::uint64_t> last_number(const Id128& incarnation) const;

  // A digest of the whole state at this index: equal for equal journals. The cost is that of the
  // tasks changed since the last cut().
  std::uint64_t hash();

  // --- Reads ---

  // A task that is live, or finished and not in the store yet.
  std::optional<TaskView> find(const TaskId& id) const;
  std::optional<TaskState> state_of(const TaskId& id) const;
  // The queue of a task that is in memory, although it may not be kept any more; else empty.
  std::string_view queue_of(const TaskId& id) const;
  // The encoded spec while it is in memory; empty: it is in the store, or there is no such task.
  std::string_view spec_of(const TaskId& id) const;
  // The tasks that this queue hands out next, best first: what is worth reading from the store
  // together.
  std::vector<TaskId> next_of_queue(std::string_view queue, std::size_t count) const;
  std::vector<QueueView> queues() const;
  std::optional<QueueView> queue(std::string_view name) const;
  std::uint64_t unfinished() const { return unfinished_; }
  std::uint64_t running() const { return running_; }

  // Finished tasks are readable for Limits::retention after this journal time's hour.
  bool is_retained(Partition partition) const;
  // Finished and in memory, but for its result, which the store has.
  bool is_result_stored(const TaskId& id) const;
  // Removed by hand, and the store may not know it yet.
  bool is_removed(const TaskId& id) const;

  // The task with this number (TaskStatus::serial) where it was accepted since the last flush; else
  // the store has it, if anybody does.
  std::optional<TaskId> find_number(std::uint64_t number) const;

  // --- Writing to the store ---

  // Tasks changed since the last cut, and about how many bytes of entries they keep in memory.
  std::size_t unflushed_tasks() const { return dirty_.size(); }
  std::size_t unflushed_bytes() const { return owned_bytes_; }

  // All changes since the last cut, as rows. They stay readable here until flushed(). `events` are
  // the encoded events since then (the loop keeps them), as EventsRow::bytes.
  std::shared_ptr<const Flush> cut(std::string events, std::uint64_t first_entry_of_events);

  // The last cut is in the store: what finished is forgotten here, specs are dropped from memory.
  void flushed();

 private:
  friend class StateLoader;

  // A submit, a follow-up or a reply: what becomes a task.
  struct NewTask {
    const SpecView& spec;
    const SubmitCommand& command;
    std::uint64_t digest = 0;  // of the spec's bytes
  };

  // How an attempt ends. The texts point into the entry, or at what was kept like one: events show
  // them after the command has been applied, when the task may have another error already.
  struct Ending {
    Outcome outcome = Outcome::failed;
    std::string_view error;
    std::string_view worker;
    bool retry = true;
    std::optional<Duration> delay;
  };

  // What a task ends with; texts as for Ending.
  struct Ended {
    std::string_view result;  // of a success
    std::string_view content_type;
    std::string_view error;  // of the others: as it is told
  };

  // entries.cc: what an entry as a whole does
  Outcomes::Verdict judge(const EntryHeader& header, bool joins);
  void move_clocks(const EntryHeader& header);
  Member* member(const Id128& incarnation);
  CommandOutcome apply_join(const EntryHeader& header, const JoinCommand& command);
  void end_incarnation(std::size_t member);
  CommandOutcome apply(const EntryHeader& header, const AliveCommand& command);
  Result<CommandOutcome> apply_command(const EntryHeader& header, Fields fields);

  // submit.cc: how tasks come to be
  Result<CommandOutcome> apply(const SubmitCommand& command);
  std::optional<CommandOutcome> refusal_beside_spec(const SubmitCommand& command) const;
  std::optional<CommandOutcome> result_refusal(std::string_view result,
                                               std::string_view content_type) const;
  Result<std::optional<CommandOutcome>> find_repeated(const SubmitCommand& command,
                                                      const TaskId& id);
  // Whether the id is free: nothing where it is, else the answer to its submit.
  Result<std::optional<CommandOutcome>> find_submitted(const TaskId& id, std::uint64_t digest);
  // Whether `in_queue` more tasks of this queue are too many, or `in_all` of all queues.
  std::optional<CommandOutcome> queue_refusal(std::string_view queue, std::uint64_t in_queue,
                                              std::uint64_t in_all) const;
  void create(const NewTask& task);
  void create_reply(Slot slot, std::string_view result, std::string_view content_type);

  // settle.cc: how attempts end
  Result<CommandOutcome> apply(const EntryHeader& header, const SettleCommand& command);
  Result<CommandOutcome> settle(const SettleCommand& command);
  Result<CommandOutcome> settle_absent(const SettleCommand& command);
  static std::uint64_t settle_digest_of(const SubmitCommand& done);
  std::optional<CommandOutcome> unheld_refusal(Slot slot) const;
  void begin_unheld(Slot slot);
  void succeed(Slot slot, const SettleCommand& command);
  Result<std::optional<CommandOutcome>> follow_up_refusal(const SettleCommand& command);
  Result<void> submit_follow_ups(const SettleCommand& command);
  void end_attempt(Slot slot, const Ending& ending);
  void release(Slot slot, std::optional<Duration> delay);
  void record_attempt(Slot slot, const Ending& ending);
  void detach_lease(Slot slot);
  Duration backoff_of(const TaskRecord& task) const;
  void finish(Slot slot, TaskState state, const Ended& ended = {});

  // tasks.cc: the other commands on tasks
  Result<CommandOutcome> apply(const CancelCommand& command);
  Result<CommandOutcome> apply(const RetryCommand& command);
  CommandOutcome apply(const ProgressCommand& command);
  CommandOutcome apply(const OutputCommand& command);
  Result<CommandOutcome> apply(const AnnotateCommand& command);
  Result<CommandOutcome> apply(const RemoveCommand& command);

  // A finished task that is in the store and not in memory, and can still be read.
  struct Archived {
    Partition partition = 0;
    std::string status;
    DecodedTask task;
  };
  Result<std::optional<Archived>> find_archived(const TaskId& id);
  Slot bring_back(const TaskId& id, Archived archived);

  // A task that can still be read: in memory, or finished and in the store alone.
  struct Kept {
    Slot slot = kNoSlot;
    std::optional<Archived> archived{};

    bool exists() const { return slot != kNoSlot || archived; }
  };
  Result<Kept> find_kept(const TaskId& id);
  const TaskRecord& record_of(const Kept& kept) const;
  Slot into_memory(const TaskId& id, Kept kept);
  void restate(Slot slot);
  static Annotations annotations_of(const TaskRecord& task);

  // handout.cc: queues, pools, assignment
  CommandOutcome apply(const EntryHeader& header, const WantCommand& command);
  CommandOutcome apply(const EntryHeader& header, const OpenPoolCommand& command);
  CommandOutcome apply(const EntryHeader& header, const ClosePoolCommand& command);
  CommandOutcome apply(const EntryHeader& header, const ResumeCommand& command);
  CommandOutcome apply(const PauseCommand& command);
  Result<CommandOutcome> apply(const EntryHeader& header, const TakeCommand& command);
  std::optional<PoolSlot> pool_of(const Id128& incarnation, PoolNumber number);
  void want(PoolSlot slot, std::uint64_t count);
  void become_hungry(PoolSlot slot);
  void become_full(PoolSlot slot);
  void feed(PoolSlot slot);
  void feed_from(Queue& queue);
  Queue* best_queue(Pool& pool);
  void offer(Slot slot, bool first);
  void schedule(Slot slot, Instant due);
  void unlist(Slot slot);
  void assign(Slot slot, PoolSlot pool);
  void begin_attempt(Slot slot, PoolSlot pool);
  void drop_if_done(PoolSlot slot);

  // ticks.cc: what time brings
  CommandOutcome apply_tick();
  void fire(Slot slot);
  std::uint32_t end_leases_of_the_gone(std::uint32_t count_max);
  void lose_silent_members();
  void prune();
  void forget_idle_queues();
  CommandOutcome apply(const SetLimitsCommand& command);

  // flush.cc: the store's rows, and the hash
  void withdraw(Slot slot);
  void contribute(Slot slot, std::string_view encoded);
  void contribute(Queue& queue, std::string_view encoded);
  void encode_row(Slot slot, std::string& out) const;
  void touch(Slot slot);
  void touch(Queue& queue);
  void cut_numbers(Flush& flush);
  void add_row(Slot slot, std::string_view queue, std::string_view status, Flush& flush);
  std::string_view keep(std::string bytes);
  UnflushedBytes& bytes_of(Slot slot);
  void free_bytes(Slot slot);

  void set_state(Slot slot, TaskState state);
  // `text` must live as long as the outcomes of the entry, longer than what the task says now.
  void emit(EventKind kind, Slot slot, std::string_view text = {});
  Slot find_slot(const TaskId& id) const { return tasks_.find(id); }
  Slot retained_slot(const TaskId& id) const;
  static CommandOutcome not_found(const TaskId& id);
  static CommandOutcome ended_already(const TaskId& id, TaskState state);
  void forget_finished_in(Partition partition);
  TaskStatus status_of(const TaskRecord& task) const;
  QueueView view_of(const Queue& queue) const;
  Partition partition_of(const TaskRecord& task) const;

  Archive& archive_;
  Register register_;
  TaskTable tasks_;
  Timers timers_{tasks_};
  Queues queues_;
  Pools pools_;
  std::set<PoolSlot> ended_pools_;  // of incarnations that have ended, with leases left
  KnownIds known_;
  std::uint64_t unfinished_ = 0;
  std::uint64_t running_ = 0;

  std::vector<Slot> dirty_;      // changed since the last cut
  std::vector<Slot> cut_tasks_;  // in the cut that is being written
  std::shared_ptr<const Flush> cut_;
  std::vector<std::uint32_t> dirty_queues_;
  std::vector<std::uint32_t> gone_queues_;
  std::vector<OutputRow> output_;
  std::vector<TaskId> numbered_;      // accepted since the last cut, the latest is next_serial - 1
  std::vector<TaskId> cut_numbered_;  // those in the cut that is being written, just before them
  std::vector<Partition> dropped_;
  std::vector<Partition> emptied_;
  std::vector<UnflushedBytes> unflushed_;
  std::vector<std::uint32_t> free_unflushed_;
  std::vector<Buffer> owners_;  // what the views of dirty tasks point into
  std::size_t owned_bytes_ = 0;

  Outcomes* outcomes_ = nullptr;  // of the entry being applied
  std::uint32_t ordinal_ = 0;     // of its next event
  Unpacker entry_unpacker_;
  Unpacker spec_unpacker_;
};

// The status as the store keeps it, for readers of StoredTask and ListedTask.
struct StoredStatus {
  TaskStatus status;
  std::string result_content_type;
  bool removed = false;  // by hand: it counts as gone
};
// Errors: corruption
Result<StoredStatus> decode_stored_status(std::string_view bytes);

}  // namespace jack

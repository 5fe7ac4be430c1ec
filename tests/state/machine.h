// A state with a store in memory, fed by entries that a test makes by hand.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/assert.h"
#include "engine/format/entry.h"
#include "engine/format/spec.h"
#include "engine/state/state.h"
#include "transports/memory/memory_store.h"

namespace jack::test {

inline Id128 id128(std::uint8_t number) {
  Id128 id{};
  id[0] = number;
  return id;
}

// The n-th id, made at `ms`.
inline TaskId task_id(std::uint64_t n, std::int64_t ms) {
  return TaskId::from(WallTime{Duration{ms}}, n, n);
}

inline std::string encoded(const TaskSpec& spec) {
  std::string bytes;
  encode(spec, bytes);
  return bytes;
}

// Applies entries, and flushes and restarts when told to.
class Machine {
 public:
  Machine() : tables_(std::make_shared<MemoryTables>()) { restart(); }

  // Forgets all that is not in the store, as a crash does. What was applied since is to be applied
  // again.
  void restart() {
    state_.reset();
    store_ = std::make_unique<MemoryStore>(tables_);
    archive_.store = store_.get();
    state_ = std::make_unique<State>(archive_);
    const Result<void> loaded = state_->load(*store_);
    if (!loaded) throw std::runtime_error(to_string(loaded.error()));
    flushing_ = false;
  }

  // A cut that is under way until end_flush().
  void begin_flush() {
    store_->begin_flush(state_->cut({}, 0));
    flushing_ = true;
  }
  void end_flush() {
    if (!flushing_) return;
    const std::optional<Result<void>> written = store_->flushed();
    if (!written || !*written) throw std::runtime_error("the flush failed");
    state_->flushed();
    flushing_ = false;
  }
  void flush() {
    end_flush();
    begin_flush();
    end_flush();
  }
  bool flushing() const { return flushing_; }

  const Outcomes& apply(Index index, const Buffer& entry) {
    const Result<void> applied = state_->apply(index, entry, outcomes_);
    if (!applied) throw std::runtime_error(to_string(applied.error()));
    return outcomes_;
  }

  // What a reader sees of a task, wherever it is: its status and its result.
  std::string shown(const TaskId& id) {
    std::string text;
    if (const auto view = state_->find(id)) {
      encode(view->status, text);
      if (view->status.state != TaskState::succeeded) return text;
      text += view->result_content_type;
      return text + (view->result ? std::string(*view->result) : stored_result(id));
    }
    const auto stored = store_->find(id).value();
    if (state_->is_removed(id) || !stored || !state_->is_retained(stored->partition)) return "none";
    const StoredStatus status = decode_stored_status(stored->status).value();
    if (status.removed) return "none";
    encode(status.status, text);
    if (status.status.state != TaskState::succeeded) return text;
    return text + status.result_content_type + stored_result(id);
  }
  std::optional<TaskId> by_number(std::uint64_t number) {
    const auto recent = state_->find_number(number);
    return recent ? recent : store_->find_number(number).value();
  }

  State& state() { return *state_; }
  const State& state() const { return *state_; }
  MemoryStore& store() { return *store_; }
  MemoryTables& tables() { return *tables_; }

 private:
  struct StoreArchive : Archive {
    Result<std::optional<StoredTask>> find(const TaskId& id) override { return store->find(id); }
    Store* store = nullptr;
  };

  std::string stored_result(const TaskId& id) {
    return store_->result(id).value().value_or("no result");
  }

  std::shared_ptr<MemoryTables> tables_;
  std::unique_ptr<MemoryStore> store_;
  StoreArchive archive_;
  std::unique_ptr<State> state_;
  Outcomes outcomes_;
  bool flushing_ = false;
};

// Writes a journal as one engine would: numbers entries, proposes times, and applies each entry to
// one machine at once.
class Journal {
 public:
  explicit Journal(std::int64_t start_ms = 1'800'000'000'000) : now_{start_ms} {
    header_.engine = id128(1);
    join();
  }

  // A new incarnation of the same engine.
  const Outcomes& join() {
    header_.incarnation = id128(static_cast<std::uint8_t>(100 + ++incarnations_));
    header_.number = 0;
    return write(JoinCommand{kRulesOldest, kRulesNewest, now_});
  }

  template <typename... Commands>
  const Outcomes& write(const Commands&... commands) {
    EntryBuilder builder;
    (builder.add(commands), ...);
    return close(builder);
  }

  const Outcomes& close(EntryBuilder& builder) {
    ++header_.number;
    header_.time = now_;
    entries_.push_back(std::make_shared<const std::string>(builder.close(header_)));
    return machine_.apply(entries_.size(), entries_.back());
  }

  void advance(Duration by) { now_ = now_ + by; }

  // Advances, and lets happen what is due meanwhile, each at its own time.
  void run_for(Duration by) {
    const Instant end = now_ + by;
    while (machine_.state().next_deadline() <= end) {
      now_ = std::max(now_, machine_.state().next_deadline());
      write(TickCommand{});
    }
    now_ = end;
  }

  TaskId next_id() { return task_id(++ids_, now_.ms); }
  TaskSpec spec(std::string queue, std::string payload = "payload") {
    TaskSpec made;
    made.id = next_id();
    made.queue = std::move(queue);
    made.payload = std::move(payload);
    return made;
  }
  CommandOutcome submit(const TaskSpec& task) {
    const std::string bytes = encoded(task);
    return write(SubmitCommand{bytes, std::nullopt, std::nullopt}).commands.front();
  }

  // A pool with room for `appetite` tasks.
  void open_pool(PoolNumber number, std::vector<std::string_view> queues, std::int64_t appetite,
                 bool remote = false) {
    write(OpenPoolCommand{number, remote, Duration{30'000}, std::move(queues)},
          WantCommand{number, appetite});
  }

  CommandOutcome settle(const TaskId& task, LeaseToken token, Outcome outcome,
                        std::string_view text = "result") {
    SettleCommand command;
    command.task = task;
    command.token = token;
    command.outcome = outcome;
    (outcome == Outcome::succeeded ? command.result : command.error) = text;
    return write(command).commands.front();
  }

  TaskStatus status(const TaskId& id) {
    if (const auto found = machine_.state().find(id)) return found->status;
    const auto stored = machine_.store().find(id);
    if (!stored || !*stored) throw std::runtime_error("no such task");
    return decode_stored_status((*stored)->status).value().status;
  }

  Instant now() const { return now_; }
  Machine& machine() { return machine_; }
  State& state() { return machine_.state(); }
  const std::vector<Buffer>& entries() const { return entries_; }
  EntryHeader& header() { return header_; }

 private:
  EntryHeader header_;
  Instant now_;
  std::uint64_t ids_ = 0;
  int incarnations_ = 0;
  Machine machine_;
  std::vector<Buffer> entries_;
};

}  // namespace jack::test

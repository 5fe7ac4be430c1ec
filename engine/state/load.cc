// Taking over what a store holds.
#include <algorithm>

#include "engine/state/state.h"

namespace jack {

// Rows as they come. Lists and sums need all of them, so finish() does the rest.
class StateLoader : public StoreReader {
 public:
  explicit StateLoader(State& state) : state_(state) {}

  Result<void> on_meta(Index index, std::string_view meta) override {
    if (Result<void> ok = decode_meta(meta, state_.register_, state_.pools_); !ok) return ok;
    if (state_.register_.index != index) return damaged("its index is not that of its row");
    if (state_.register_.rules > kRulesNewest) {
      return Error{Code::unsupported, "the state goes by rules " +
                                          std::to_string(state_.register_.rules) +
                                          "; use a newer version"};
    }
    return {};
  }

  Result<void> on_queue(std::uint32_t number, std::string_view name,
                        std::string_view record) override {
    Queue& queue = state_.queues_.restore(number, name);
    if (Result<void> ok = decode_queue(record, queue); !ok) return ok;
    queue.contribution = digest_of(record) + digest_of(name);
    queue_sum_ += queue.contribution;
    return {};
  }

  Result<void> on_live(const TaskId& id, std::string_view status) override {
    Result<DecodedTask> decoded = decode_task(unpacker_, status);
    if (!decoded) return decoded.error();
    if (!state_.queues_.has(decoded->record.queue)) return damaged("a task belongs to no queue");
    const Slot slot = state_.tasks_.insert(id);
    TaskRecord& task = state_.tasks_[slot];
    task = std::move(decoded->record);
    task.id = id;
    task.stored_live = true;
    task.contribution = digest_of(status) + digest_of(id.view());
    task_sum_ += task.contribution;
    if (is_terminal(task.state)) return damaged("a finished task is among the live ones");
    listed_.push_back(slot);
    return {};
  }

  Result<void> finish() {
    for (const auto& [partition, sum] : state_.register_.partitions) {
      task_sum_ += sum.sum;
      state_.known_.add_stored(sum.ids);
    }
    if (task_sum_ != state_.register_.sum || queue_sum_ != state_.register_.queue_sum) {
      return damaged("its rows are not those that were written with it");
    }
    if (Result<void> ok = restore_lists(); !ok) return ok;
    state_.pools_.for_each([&](PoolSlot slot, const Pool& pool) {
      if (pool.leases_end) state_.ended_pools_.insert(slot);
    });
    return {};
  }

 private:
  static Error damaged(const std::string& how) {
    return {Code::corruption, "the stored state is damaged: " + how +
                                  "; run `jack doctor`, and restore a backup if it says so"};
  }

  Result<void> restore_lists() {
    std::sort(listed_.begin(), listed_.end(),
              [&](Slot a, Slot b) { return state_.tasks_[a].order < state_.tasks_[b].order; });
    for (const Slot slot : listed_) {
      TaskRecord& task = state_.tasks_[slot];
      ++state_.unfinished_;
      switch (task.state) {
        case TaskState::queued:
          state_.queues_[task.queue].lanes[static_cast<std::size_t>(task.priority)].push_back(
              state_.tasks_, slot);
          state_.timers_.set(slot, task.expires);
          break;
        case TaskState::scheduled:
          state_.timers_.set(slot, std::min(task.due, task.expires));
          break;
        case TaskState::running: {
          if (!state_.pools_.has(task.pool)) return damaged("a lease belongs to no pool");
          ++state_.running_;
          Pool& pool = state_.pools_[task.pool];
          pool.leases.push_back(state_.tasks_, slot);
          ++pool.lease_count;
          if (task.timeout > Duration{0}) state_.timers_.set(slot, task.started + task.timeout);
          break;
        }
        default: return damaged("a task is in a state that these rules do not have");
      }
    }
    return {};
  }

  State& state_;
  Unpacker unpacker_;
  std::vector<Slot> listed_;
  std::uint64_t task_sum_ = 0;
  std::uint64_t queue_sum_ = 0;
};

Result<void> State::load(Store& store) {
  StateLoader loader(*this);
  if (Result<void> loaded = store.load(loader); !loaded) return loaded;
  return loader.finish();
}

}  // namespace jack

// What time brings: due tasks, expiry, time-outs, leases of engines that are gone, retention.
#include <algorithm>

#include "engine/format/duration.h"
#include "engine/state/state.h"

namespace jack {
namespace {

constexpr Duration kPartitionLength = std::chrono::hours{1};

Instant end_of(Partition partition) { return Instant{(partition + 1) * kPartitionLength.count()}; }

}  // namespace

Partition State::partition_of(const TaskRecord& task) const {
  return task.changed.ms / kPartitionLength.count();
}

// What was emptied stays so, even if the retention is longer now than it was then.
bool State::is_retained(Partition partition) const {
  const auto kept = register_.partitions.find(partition);
  return kept != register_.partitions.end() && !kept->second.emptied &&
         end_of(partition) + register_.limits.retention > register_.now;
}

Instant State::next_deadline() const {
  Instant next = timers_.next();
  const auto on_liveness_clock = [&](LivenessTime at) {
    // One entry moves that clock by a heartbeat interval at most, so longer waits take several.
    const Duration left = std::max(at - register_.liveness, Duration{0});
    next = std::min(next, register_.now + std::min(left, register_.limits.heartbeat_interval));
  };
  for (const PoolSlot slot : ended_pools_) on_liveness_clock(*pools_[slot].leases_end);
  if (register_.members.size() > 1) {
    for (const Member& member : register_.members) {
      on_liveness_clock(member.last_seen + register_.limits.engine_liveness);
    }
  }
  if (!register_.partitions.empty()) {
    const auto& [oldest, sum] = *register_.partitions.begin();
    const Limits& limits = register_.limits;
    next = std::min(next, end_of(oldest) + std::max(limits.dedup_window, limits.retention));
    for (const auto& [partition, kept] : register_.partitions) {
      if (kept.emptied) continue;
      next = std::min(next, end_of(partition) + limits.retention);
      break;
    }
  }
  return next;
}

// At most timers_per_tick_max things happen in one tick, in the order of their times; if more is
// due, next_deadline() asks for another tick at once.
CommandOutcome State::apply_tick() {
  std::uint32_t left = register_.limits.timers_per_tick_max;
  lose_silent_members();
  left -= end_leases_of_the_gone(left);
  for (; left > 0 && timers_.next() <= register_.now; --left) fire(timers_.earliest());
  prune();
  return {};
}

void State::fire(Slot slot) {
  TaskRecord& task = tasks_[slot];
  if (task.state == TaskState::running) {
    const Pool& pool = pools_[task.pool];
    outcomes_->lease_ends.push_back(
        {task.id, task.token, pool.number, pool.incarnation, Outcome::timed_out});
    end_attempt(slot,
                {Outcome::timed_out,
                 keep("the attempt ran longer than its timeout of " + exact_text(task.timeout)),
                 {},
                 true,
                 std::nullopt});
    return;
  }
  unlist(slot);
  if (task.expires <= register_.now) {
    finish(slot, TaskState::expired);
    return;
  }
  set_state(slot, TaskState::queued);
  emit(EventKind::queued, slot);
  offer(slot, false);
}

// Returns how many leases it ended.
std::uint32_t State::end_leases_of_the_gone(std::uint32_t count_max) {
  std::uint32_t count = 0;
  const std::vector<PoolSlot> pools(ended_pools_.begin(), ended_pools_.end());
  for (const PoolSlot slot : pools) {
    if (*pools_[slot].leases_end > register_.liveness) continue;
    while (count < count_max && pools_.has(slot) && !pools_[slot].leases.empty()) {
      const Slot task = pools_[slot].leases.head;
      outcomes_->lease_ends.push_back({tasks_[task].id, tasks_[task].token, pools_[slot].number,
                                       pools_[slot].incarnation, Outcome::lost});
      end_attempt(task, {Outcome::lost,
                         "its engine went away, and no worker came back for it",
                         {},
                         true,
                         std::nullopt});
      ++count;
    }
  }
  return count;
}

void State::lose_silent_members() {
  if (register_.members.size() < 2) return;
  for (std::size_t i = 0; i < register_.members.size();) {
    const LivenessTime end = register_.members[i].last_seen + register_.limits.engine_liveness;
    if (end <= register_.liveness) {
      end_incarnation(i);
    } else {
      ++i;
    }
  }
}

// Whole hours of finished tasks go: first what they held, then, when their ids need not be
// recognised any more, the rest. Logical here; the store follows with the next flush.
void State::prune() {
  const Limits& limits = register_.limits;
  const Duration window = std::max(limits.dedup_window, limits.retention);
  std::erase_if(register_.absent,
                [this](const auto& absent) { return absent.second.until <= register_.now; });
  bool dropped = false;
  while (!register_.partitions.empty()) {
    const auto oldest = register_.partitions.begin();
    if (end_of(oldest->first) + window > register_.now) break;
    hash();  // counts what finished since the last cut
    register_.sum -= oldest->second.sum;
    register_.forgotten.add(oldest->second.ids);
    forget_finished_in(oldest->first);
    dropped_.push_back(oldest->first);
    register_.partitions.erase(oldest);
    dropped = true;
  }
  for (auto& [partition, kept] : register_.partitions) {
    if (end_of(partition) + limits.retention > register_.now) break;
    if (!kept.emptied) emptied_.push_back(partition);
    kept.emptied = true;
  }
  if (dropped) forget_idle_queues();
}

// Those that the store does not have yet, too.
void State::forget_finished_in(Partition partition) {
  const auto forget = [&](Slot slot) {
    const TaskRecord& task = tasks_[slot];
    if (!task.unlinked && is_terminal(task.state) && partition_of(task) == partition) {
      tasks_.unlink(slot);
    }
  };
  std::for_each(dirty_.begin(), dirty_.end(), forget);
  std::for_each(cut_tasks_.begin(), cut_tasks_.end(), forget);
}

// Queues come to be by being named; those that nobody has used for as long as finished tasks are
// kept make room for others.
void State::forget_idle_queues() {
  const Duration window = std::max(register_.limits.dedup_window, register_.limits.retention);
  std::set<std::uint32_t> subscribed;
  pools_.for_each([&](PoolSlot, const Pool& pool) {
    subscribed.insert(pool.queues.begin(), pool.queues.end());
  });
  std::vector<std::uint32_t> idle;
  queues_.for_each([&](const Queue& queue) {
    if (queue.counts.unfinished() == 0 && !queue.paused && !subscribed.contains(queue.number) &&
        queue.used + window + kPartitionLength <= register_.now) {
      idle.push_back(queue.number);
    }
  });
  for (const std::uint32_t number : idle) {
    register_.queue_sum -= queues_[number].contribution;
    queues_.erase(number);
    std::erase(dirty_queues_, number);
    gone_queues_.push_back(number);
  }
}

// Whatever the limits are, every row must fit in the store and every entry in the journal: what
// could not be written would stop the engine at every start.
CommandOutcome State::apply(const SetLimitsCommand& command) {
  const Limits& wanted = command.limits;
  struct Bound {
    std::string_view name;
    std::uint64_t value;
    std::uint64_t max;
  };
  const auto ms = [](Duration duration) { return static_cast<std::uint64_t>(duration.count()); };
  const std::uint64_t year_ms = ms(std::chrono::hours{24 * 366});
  const std::uint64_t day_ms = ms(std::chrono::hours{24});
  const Bound bounds[] = {
      {"payload_bytes_max", wanted.payload_bytes_max, kPayloadBytesHardMax},
      {"result_bytes_max", wanted.result_bytes_max, kPayloadBytesHardMax},
      {"error_bytes_max", wanted.error_bytes_max, kErrorBytesHardMax},
      {"output_bytes_max", wanted.output_bytes_max, kOutputBytesHardMax},
      {"unfinished_per_queue_max", wanted.unfinished_per_queue_max, kUnfinishedHardMax},
      {"unfinished_max", wanted.unfinished_max, kUnfinishedHardMax},
      {"queues_max", wanted.queues_max, kQueuesHardMax},
      {"attempts_max", wanted.attempts_max, kAttemptsHardMax},
      {"timers_per_tick_max", wanted.timers_per_tick_max, kTimersPerTickHardMax},
      {"delay_max", ms(wanted.delay_max), year_ms},
      {"retention", ms(wanted.retention), year_ms},
      {"dedup_window", ms(wanted.dedup_window), year_ms},
      {"watch_retention", ms(wanted.watch_retention), year_ms},
      {"engine_liveness", ms(wanted.engine_liveness), day_ms},
      {"heartbeat_interval", ms(wanted.heartbeat_interval), day_ms},
      {"absence_max", ms(wanted.absence_max), year_ms},
  };
  for (const Bound& bound : bounds) {
    if (bound.value <= bound.max) continue;
    return {Code::invalid_argument, std::string(bound.name) + " may be at most " +
                                        std::to_string(bound.max) + ", not " +
                                        std::to_string(bound.value)};
  }
  if (wanted.timers_per_tick_max == 0 || wanted.heartbeat_interval < Duration{1} ||
      wanted.engine_liveness < 2 * wanted.heartbeat_interval || wanted.attempts_max == 0) {
    return {Code::invalid_argument,
            "timers_per_tick_max, heartbeat_interval and attempts_max must be above 0, "
            "engine_liveness at least twice heartbeat_interval"};
  }
  register_.limits = wanted;
  return {};
}

}  // namespace jack

// Who gets which task: pools, their appetite, and the assignment of queued tasks to them.
//
// Between two commands no queue that hands out has both queued tasks and hungry pools: whatever
// brings one of them is served at once.
#include <algorithm>

#include "engine/assert.h"
#include "engine/state/state.h"

namespace jack {
namespace {

// Beyond what any engine's sessions can ask for together (16,384 of them with 64 subscriptions of
// 1,000 tasks each are 2^30), and far from where sums would overflow.
constexpr std::uint64_t kAppetiteMax = 1ull << 40;

CommandOutcome no_pool(PoolNumber number) {
  return {Code::failed_precondition, "there is no pool " + std::to_string(number)};
}

}  // namespace

CommandOutcome State::apply(const EntryHeader& header, const OpenPoolCommand& command) {
  if (pool_of(header.incarnation, command.pool)) {
    return {Code::failed_precondition, "pool " + std::to_string(command.pool) + " is open already"};
  }
  const bool named = std::all_of(command.queues.begin(), command.queues.end(), is_queue_name);
  if (!named || command.queues.empty() || command.queues.size() > kQueuesPerWorkerMax ||
      command.lease < Duration{0}) {
    return {Code::invalid_argument,
            "a pool needs 1–" + std::to_string(kQueuesPerWorkerMax) + " queues with proper names"};
  }
  std::set<std::string_view> fresh;
  for (const std::string_view name : command.queues) {
    if (queues_.find(name) == nullptr) fresh.insert(name);
  }
  if (queues_.size() + fresh.size() > register_.limits.queues_max) {
    return {Code::queue_full,
            "there are " + std::to_string(queues_.size()) + " queues, no more can be made"};
  }
  const PoolSlot slot = pools_.create();
  Pool& pool = pools_[slot];
  pool.incarnation = header.incarnation;
  pool.number = command.pool;
  pool.remote = command.remote;
  pool.lease = command.lease;
  for (const std::string_view name : command.queues) {
    Queue* queue = queues_.find(name);
    if (queue == nullptr) queue = &queues_.create(name);
    queue->used = register_.now;
    touch(*queue);
    if (std::find(pool.queues.begin(), pool.queues.end(), queue->number) == pool.queues.end()) {
      pool.queues.push_back(queue->number);
    }
  }
  member(header.incarnation)->pools.emplace(command.pool, slot);
  return {};
}

CommandOutcome State::apply(const EntryHeader& header, const ClosePoolCommand& command) {
  const auto slot = pool_of(header.incarnation, command.pool);
  if (!slot) return no_pool(command.pool);
  if (pools_[*slot].appetite > 0) become_full(*slot);
  pools_[*slot].appetite = 0;
  pools_[*slot].open = false;
  member(header.incarnation)->pools.erase(command.pool);
  drop_if_done(*slot);
  return {};
}

CommandOutcome State::apply(const EntryHeader& header, const WantCommand& command) {
  const auto slot = pool_of(header.incarnation, command.pool);
  if (!slot) return no_pool(command.pool);
  if (command.delta >= 0) {
    want(*slot, static_cast<std::uint64_t>(command.delta));
    return {};
  }
  Pool& pool = pools_[*slot];
  const std::uint64_t less = 0 - static_cast<std::uint64_t>(command.delta);
  const std::uint64_t taken = std::min(less, pool.appetite);
  if (taken > 0 && taken == pool.appetite) become_full(*slot);
  pool.appetite -= taken;
  CommandOutcome outcome;
  outcome.shortfall = less - taken;
  return outcome;
}

// A lease goes on under this engine's pool: after its engine was gone, or in another pool.
CommandOutcome State::apply(const EntryHeader& header, const ResumeCommand& command) {
  const auto slot = pool_of(header.incarnation, command.pool);
  if (!slot) return no_pool(command.pool);
  const Slot found = find_slot(command.task);
  if (found == kNoSlot || tasks_[found].state != TaskState::running ||
      tasks_[found].token != command.token) {
    return {Code::lease_lost, "the lease of task " + to_string(command.task) + " has ended"};
  }
  TaskRecord& task = tasks_[found];
  if (task.pool == *slot) return {Code::ok, {}, true};
  const PoolSlot old = task.pool;
  pools_[old].leases.remove(tasks_, found);
  --pools_[old].lease_count;
  task.pool = *slot;
  task.order = register_.next_order++;
  pools_[*slot].leases.push_back(tasks_, found);
  ++pools_[*slot].lease_count;
  touch(found);
  drop_if_done(old);
  return {};
}

// Somebody chose this task, so it is assigned although others wait before it, and the pool's
// appetite stays as it is. A paused queue hands nothing out in this way either.
Result<CommandOutcome> State::apply(const EntryHeader& header, const TakeCommand& command) {
  const auto pool = pool_of(header.incarnation, command.pool);
  if (!pool) return no_pool(command.pool);
  Result<Kept> kept = find_kept(command.task);
  if (!kept) return kept.error();
  if (!kept->exists()) return not_found(command.task);
  if (is_terminal(record_of(*kept).state)) {
    return ended_already(command.task, record_of(*kept).state);
  }
  const Slot slot = kept->slot;
  TaskRecord& task = tasks_[slot];
  const bool expired = task.expires <= register_.now;
  const bool paused = queues_[task.queue].paused;
  if (task.state != TaskState::queued || paused || expired) {
    const std::string_view why = task.state != TaskState::queued ? name_of(task.state)
                                 : expired                       ? "expired"
                                           : "queued, and its queue is paused";
    return CommandOutcome{
        Code::failed_precondition,
        "task " + to_string(command.task) + " cannot be taken: it is " + std::string(why)};
  }
  unlist(slot);
  begin_attempt(slot, *pool);
  return CommandOutcome{};
}

CommandOutcome State::apply(const PauseCommand& command) {
  if (!is_queue_name(command.queue)) {
    return {Code::invalid_argument, kQueueNameRule};
  }
  Queue* queue = queues_.find(command.queue);
  if (queue == nullptr) {
    if (queues_.size() >= register_.limits.queues_max) {
      return *queue_refusal(command.queue, 0, 0);
    }
    queue = &queues_.create(command.queue);
  }
  queue->used = register_.now;
  touch(*queue);
  if (queue->paused == command.paused) return {Code::ok, {}, true};
  queue->paused = command.paused;
  EventView event;
  event.position = {register_.entries, ordinal_++};
  event.kind = command.paused ? EventKind::queue_paused : EventKind::queue_resumed;
  event.at = register_.now;
  event.queue = queue->name;
  outcomes_->events.push_back(event);
  if (!command.paused) feed_from(*queue);
  return {};
}

std::optional<PoolSlot> State::pool_of(const Id128& incarnation, PoolNumber number) {
  const Member* self = member(incarnation);
  if (self == nullptr) return std::nullopt;
  const auto found = self->pools.find(number);
  if (found == self->pools.end()) return std::nullopt;
  return found->second;
}

void State::want(PoolSlot slot, std::uint64_t count) {
  Pool& pool = pools_[slot];
  const bool was_full = pool.appetite == 0;
  pool.appetite = std::min(pool.appetite + count, kAppetiteMax);
  if (pool.appetite == 0) return;
  if (was_full) become_hungry(slot);
  feed(slot);
}

void State::become_hungry(PoolSlot slot) {
  for (const std::uint32_t number : pools_[slot].queues) {
    queues_[number].hungry.push_back(slot);
    touch(queues_[number]);
  }
}

void State::become_full(PoolSlot slot) {
  for (const std::uint32_t number : pools_[slot].queues) {
    std::erase(queues_[number].hungry, slot);
    touch(queues_[number]);
  }
}

// Gives the pool queued tasks until it is full or its queues are empty.
void State::feed(PoolSlot slot) {
  Pool& pool = pools_[slot];
  while (pool.appetite > 0) {
    Queue* queue = best_queue(pool);
    if (queue == nullptr) return;
    TaskList& lane = queue->best_lane();
    const Slot task = lane.head;
    lane.remove(tasks_, task);
    if (tasks_[task].expires <= register_.now) {
      finish(task, TaskState::expired);
    } else {
      assign(task, slot);
    }
  }
}

// Of the pool's queues with something to hand out, that with the most urgent task; among equals
// they take turns.
Queue* State::best_queue(Pool& pool) {
  Queue* best = nullptr;
  std::uint32_t best_turn = 0;
  const auto count = static_cast<std::uint32_t>(pool.queues.size());
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t turn = (pool.turn + i) % count;
    Queue& queue = queues_[pool.queues[turn]];
    if (queue.paused || !queue.has_queued()) continue;
    if (best == nullptr || queue.best_priority() > best->best_priority()) {
      best = &queue;
      best_turn = turn;
    }
  }
  if (best != nullptr) pool.turn = (best_turn + 1) % count;
  return best;
}

// A queue hands out again: its tasks go to the hungry in turn.
void State::feed_from(Queue& queue) {
  while (queue.has_queued() && !queue.hungry.empty()) {
    TaskList& lane = queue.best_lane();
    const Slot task = lane.head;
    lane.remove(tasks_, task);
    if (tasks_[task].expires <= register_.now) {
      finish(task, TaskState::expired);
    } else {
      assign(task, queue.hungry.front());
    }
  }
}

// A task in state queued finds its place: with a hungry pool, or in its lane (first or last).
void State::offer(Slot slot, bool first) {
  TaskRecord& task = tasks_[slot];
  Queue& queue = queues_[task.queue];
  if (task.expires <= register_.now) {
    finish(slot, TaskState::expired);
    return;
  }
  if (!queue.paused && !queue.hungry.empty()) {
    assign(slot, queue.hungry.front());
    return;
  }
  TaskList& lane = queue.lanes[static_cast<std::size_t>(task.priority)];
  if (first) {
    task.order = register_.next_front_order--;
    lane.push_front(tasks_, slot);
  } else {
    task.order = register_.next_order++;
    lane.push_back(tasks_, slot);
  }
  timers_.set(slot, task.expires);
}

void State::schedule(Slot slot, Instant due) {
  TaskRecord& task = tasks_[slot];
  set_state(slot, TaskState::scheduled);
  task.due = due;
  timers_.set(slot, std::min(due, task.expires));
}

// Takes a queued or scheduled task out of where it waits.
void State::unlist(Slot slot) {
  TaskRecord& task = tasks_[slot];
  if (task.state == TaskState::queued) {
    queues_[task.queue].lanes[static_cast<std::size_t>(task.priority)].remove(tasks_, slot);
  }
  timers_.set(slot, kNever);
}

// The task is in no lane.
void State::assign(Slot slot, PoolSlot pool_slot) {
  Pool& pool = pools_[pool_slot];
  JACK_ASSERT(pool.appetite > 0);
  begin_attempt(slot, pool_slot);
  if (--pool.appetite == 0) {
    become_full(pool_slot);
  } else {
    // Others of the queue are served before this pool's next turn.
    std::vector<PoolSlot>& hungry = queues_[tasks_[slot].queue].hungry;
    const auto place = std::find(hungry.begin(), hungry.end(), pool_slot);
    std::rotate(place, place + 1, hungry.end());
  }
}

// The attempt is counted here, before any worker hears of it.
void State::begin_attempt(Slot slot, PoolSlot pool_slot) {
  TaskRecord& task = tasks_[slot];
  Pool& pool = pools_[pool_slot];
  JACK_ASSERT(pool.open);
  set_state(slot, TaskState::running);
  ++task.attempt;
  task.token = {register_.epoch << 48 | register_.next_token++};
  task.started = register_.now;
  task.pool = pool_slot;
  task.order = register_.next_order++;
  pool.leases.push_back(tasks_, slot);
  ++pool.lease_count;
  timers_.set(slot, task.timeout > Duration{0} ? register_.now + task.timeout : kNever);

  outcomes_->assignments.push_back(
      {task.id, task.token, task.attempt, pool.number, pool.incarnation});
  emit(EventKind::started, slot);
}

// A pool that takes nothing more goes with its last lease.
void State::drop_if_done(PoolSlot slot) {
  const Pool& pool = pools_[slot];
  if (pool.open || pool.lease_count > 0) return;
  ended_pools_.erase(slot);
  pools_.erase(slot);
}

}  // namespace jack

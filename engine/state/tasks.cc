// The commands on tasks beside submit and settle: cancel, retry, progress, output.
#include <algorithm>

#include "engine/state/state.h"

namespace jack {
namespace {

CommandOutcome not_found(const TaskId& id) {
  return {Code::not_found, "there is no task " + to_string(id) + ", or its retention has ended"};
}

CommandOutcome ended_already(const TaskId& id, TaskState state) {
  return {Code::failed_precondition,
          "task " + to_string(id) + " has ended already: " + std::string(name_of(state))};
}

}  // namespace

Result<CommandOutcome> State::apply(const CancelCommand& command) {
  const Slot slot = retained_slot(command.task);
  if (slot == kNoSlot) {
    Result<std::optional<StoredTask>> stored = archive_.find(command.task);
    if (!stored) return stored.error();
    if (!*stored || !is_retained((*stored)->partition)) return not_found(command.task);
    Result<DecodedTask> task = decode_task(spec_unpacker_, (*stored)->status);
    if (!task) return task.error();
    if (task->record.state == TaskState::cancelled) return CommandOutcome{Code::ok, {}, true};
    return ended_already(command.task, task->record.state);
  }
  TaskRecord& task = tasks_[slot];
  if (task.state == TaskState::cancelled) return CommandOutcome{Code::ok, {}, true};
  if (is_terminal(task.state)) return ended_already(command.task, task.state);

  const std::string_view reason =
      command.reason.substr(0, static_cast<std::size_t>(register_.limits.error_bytes_max));
  if (task.state == TaskState::running) {
    record_attempt(slot, {Outcome::cancelled, reason, {}, false, std::nullopt});
    const Pool& pool = pools_[task.pool];
    outcomes_->lease_ends.push_back(
        {task.id, task.token, pool.number, pool.incarnation, Outcome::cancelled});
    detach_lease(slot);
  } else {
    unlist(slot);
  }
  task.more().error = reason;
  task.outcome = Outcome::cancelled;
  finish(slot, TaskState::cancelled, {{}, {}, reason});
  return CommandOutcome{};
}

Result<CommandOutcome> State::apply(const RetryCommand& command) {
  Slot slot = retained_slot(command.task);
  std::optional<StoredTask> stored;
  TaskState state = TaskState::succeeded;
  std::uint32_t queue = 0;
  if (slot != kNoSlot) {
    state = tasks_[slot].state;
    queue = tasks_[slot].queue;
  } else {
    Result<std::optional<StoredTask>> found = archive_.find(command.task);
    if (!found) return found.error();
    if (!*found || !is_retained((*found)->partition)) return not_found(command.task);
    Result<DecodedTask> task = decode_task(spec_unpacker_, (*found)->status);
    if (!task) return task.error();
    state = task->record.state;
    queue = task->record.queue;
    stored = **std::move(found);
  }
  if (!is_terminal(state) || state == TaskState::succeeded) {
    return CommandOutcome{Code::failed_precondition,
                          "task " + to_string(command.task) + " is " + std::string(name_of(state)) +
                              "; only failed, cancelled and expired tasks can be retried"};
  }
  if (auto refusal = queue_refusal(queues_[queue].name, 1, 1)) return *refusal;
  if (stored) {
    Result<Slot> revived = revive(command.task, *stored);
    if (!revived) return revived.error();
    slot = *revived;
  }
  TaskRecord& task = tasks_[slot];
  if (!stored && !task.dirty) {
    // Its finished row is being written by the present cut; the next one moves it.
    task.more().revived = true;
    task.extras->finished_in = partition_of(task);
    task.stored_live = true;
  }
  withdraw(slot);
  --register_.partitions[partition_of(task)].count;
  ++task.cycle;
  task.attempt = 0;
  task.expires = kNever;  // it is wanted again, whatever was said before
  task.more().progress_permille = 0;
  task.extras->progress_note.clear();
  ++unfinished_;
  set_state(slot, TaskState::queued);
  emit(EventKind::retried, slot);
  offer(slot, false);
  return CommandOutcome{};
}

// Brings a finished task back from the store, still in its terminal state.
Result<Slot> State::revive(const TaskId& id, const StoredTask& stored) {
  Result<DecodedTask> decoded = decode_task(spec_unpacker_, stored.status);
  if (!decoded) return decoded.error();
  const Slot slot = tasks_.insert(id);
  TaskRecord& task = tasks_[slot];
  task = std::move(decoded->record);
  task.id = id;
  task.contribution = digest_of(stored.status) + digest_of(id.view());
  task.counted_finished = true;
  task.stored_live = true;  // once the next cut has moved its row
  task.more().revived = true;
  task.extras->finished_in = stored.partition;
  return slot;
}

CommandOutcome State::apply(const ProgressCommand& command) {
  const Slot slot = find_slot(command.task);
  if (slot == kNoSlot || tasks_[slot].state != TaskState::running ||
      tasks_[slot].token != command.token) {
    return {Code::lease_lost, "the lease of task " + to_string(command.task) + " has ended"};
  }
  if (command.note.size() > kShortTextBytesMax || !is_plain_text(command.note)) {
    return {Code::invalid_argument, "a progress note must be at most " +
                                        std::to_string(kShortTextBytesMax) +
                                        " bytes of UTF-8 without control characters"};
  }
  TaskExtras& extras = tasks_[slot].more();
  extras.progress_permille = command.permille;
  extras.progress_note = command.note;
  touch(slot);
  emit(EventKind::progressed, slot, command.note);
  return {};
}

CommandOutcome State::apply(const OutputCommand& command) {
  const Slot slot = find_slot(command.task);
  if (slot == kNoSlot || tasks_[slot].state != TaskState::running ||
      tasks_[slot].token != command.token) {
    return {Code::lease_lost, "the lease of task " + to_string(command.task) + " has ended"};
  }
  TaskRecord& task = tasks_[slot];
  TaskExtras& extras = task.more();
  const std::uint64_t max = register_.limits.output_bytes_max;
  const std::uint64_t room = max - std::min(max, extras.output_bytes);
  const std::string_view kept = command.bytes.substr(
      0, static_cast<std::size_t>(std::min<std::uint64_t>(room, command.bytes.size())));
  if (kept.size() < command.bytes.size() && kept.empty()) {
    return {Code::payload_too_large, "the output of task " + to_string(command.task) +
                                         " has reached the limit of " + std::to_string(max) +
                                         " bytes; what comes now is not kept"};
  }
  output_.push_back({task.id, extras.output_bytes, task.attempt, kept});
  extras.output_bytes += kept.size();
  touch(slot);
  emit(EventKind::output, slot, kept);
  return {};
}

}  // namespace jack

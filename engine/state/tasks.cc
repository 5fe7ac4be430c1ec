// The commands on tasks beside submit and settle: cancel, retry, progress, output.
#include <algorithm>

#include "engine/state/state.h"

namespace jack {

CommandOutcome State::not_found(const TaskId& id) {
  return {Code::not_found, "there is no task " + to_string(id) + ", or its retention has ended"};
}

CommandOutcome State::ended_already(const TaskId& id, TaskState state) {
  return {Code::failed_precondition,
          "task " + to_string(id) + " has ended already: " + std::string(name_of(state))};
}

Result<CommandOutcome> State::apply(const CancelCommand& command) {
  Result<Kept> kept = find_kept(command.task);
  if (!kept) return kept.error();
  if (!kept->exists()) return not_found(command.task);
  const TaskState state = record_of(*kept).state;
  if (state == TaskState::cancelled) return CommandOutcome{Code::ok, {}, true};
  if (is_terminal(state)) return ended_already(command.task, state);
  const Slot slot = kept->slot;
  TaskRecord& task = tasks_[slot];

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
  Result<Kept> kept = find_kept(command.task);
  if (!kept) return kept.error();
  if (!kept->exists()) return not_found(command.task);
  const TaskState state = record_of(*kept).state;
  const std::uint32_t queue = record_of(*kept).queue;
  if (!is_terminal(state) || state == TaskState::succeeded) {
    return CommandOutcome{Code::failed_precondition,
                          "task " + to_string(command.task) + " is " + std::string(name_of(state)) +
                              "; only failed, cancelled and expired tasks can be retried"};
  }
  if (auto refusal = queue_refusal(queues_[queue].name, 1, 1)) return *refusal;
  const Slot slot = into_memory(command.task, *std::move(kept));
  TaskRecord& task = tasks_[slot];
  if (!task.dirty || (task.extras && task.extras->restated)) {
    // Its finished row is in the store, or is being written by the present cut; the next one moves
    // it to the live ones.
    task.more().revived = true;
    task.extras->finished_in = partition_of(task);
    task.extras->restated = false;
    task.stored_live = true;
  }
  task.more().result_stored = false;
  withdraw(slot);
  --register_.partitions[partition_of(task)].count;
  ++task.cycle;
  task.attempt = 0;
  task.expires = kNever;  // it is wanted again, whatever was said before
  task.extras->progress_permille = 0;
  task.extras->progress_note.clear();
  ++unfinished_;
  set_state(slot, TaskState::queued);
  emit(EventKind::retried, slot);
  offer(slot, false);
  return CommandOutcome{};
}

Result<std::optional<State::Archived>> State::find_archived(const TaskId& id) {
  using Found = std::optional<Archived>;
  if (find_slot(id) != kNoSlot) return Found();
  Result<std::optional<StoredTask>> stored = archive_.find(id);
  if (!stored) return stored.error();
  if (!*stored || !is_retained((*stored)->partition)) return Found();
  Result<DecodedTask> task = decode_task(spec_unpacker_, (*stored)->status);
  if (!task) return task.error();
  if (task->record.extras && task->record.extras->removed) return Found();
  return Found({(*stored)->partition, std::move((*stored)->status), *std::move(task)});
}

Result<State::Kept> State::find_kept(const TaskId& id) {
  Kept kept;
  kept.slot = retained_slot(id);
  if (kept.slot != kNoSlot) return kept;
  Result<std::optional<Archived>> archived = find_archived(id);
  if (!archived) return archived.error();
  kept.archived = *std::move(archived);
  return kept;
}

const TaskRecord& State::record_of(const Kept& kept) const {
  return kept.archived ? kept.archived->task.record : tasks_[kept.slot];
}

Slot State::into_memory(const TaskId& id, Kept kept) {
  return kept.archived ? bring_back(id, *std::move(kept.archived)) : kept.slot;
}

// Still in its terminal state, and as if nothing of it had changed.
Slot State::bring_back(const TaskId& id, Archived archived) {
  const Slot slot = tasks_.insert(id);
  TaskRecord& task = tasks_[slot];
  task = std::move(archived.task.record);
  task.id = id;
  task.contribution = digest_of(archived.status) + digest_of(id.view());
  task.counted_finished = true;
  task.more().result_stored = true;
  UnflushedBytes& bytes = bytes_of(slot);
  bytes.content_type = keep(std::move(archived.task.content_type));
  bytes.worker = keep(std::move(archived.task.worker));
  return slot;
}

// A task is about to change. Where it is finished and its row is in the store, or is being written
// by the present cut, the next cut writes what has changed of the row.
void State::restate(Slot slot) {
  TaskRecord& task = tasks_[slot];
  if (is_terminal(task.state) && !task.dirty) {
    task.more().restated = true;
    // The present cut owns what these point into.
    UnflushedBytes& bytes = bytes_of(slot);
    bytes.content_type = keep(std::string(bytes.content_type));
    bytes.worker = keep(std::string(bytes.worker));
  }
  touch(slot);
}

Annotations State::annotations_of(const TaskRecord& task) {
  return task.extras == nullptr ? Annotations() : task.extras->annotations;
}

Result<CommandOutcome> State::apply(const AnnotateCommand& command) {
  Result<Kept> kept = find_kept(command.task);
  if (!kept) return kept.error();
  if (!kept->exists()) return not_found(command.task);

  Result<Annotations> annotations = changed(annotations_of(record_of(*kept)), command.changes);
  if (!annotations) return CommandOutcome{annotations.error().code, annotations.error().message};
  const Slot slot = into_memory(command.task, *std::move(kept));
  restate(slot);
  tasks_[slot].more().annotations = *std::move(annotations);
  emit(EventKind::annotated, slot);
  return CommandOutcome{};
}

Result<CommandOutcome> State::apply(const RemoveCommand& command) {
  Result<Kept> kept = find_kept(command.task);
  if (!kept) return kept.error();
  if (!kept->exists()) return not_found(command.task);
  if (const TaskState state = record_of(*kept).state; !is_terminal(state)) {
    return CommandOutcome{Code::failed_precondition,
                          "task " + to_string(command.task) + " is " + std::string(name_of(state)) +
                              "; only finished tasks can be removed: cancel it first"};
  }
  const Slot slot = into_memory(command.task, *std::move(kept));
  restate(slot);
  TaskExtras& extras = tasks_[slot].more();
  TaskExtras bare;
  bare.removed = true;
  bare.revived = extras.revived;
  bare.finished_in = extras.finished_in;
  bare.restated = extras.restated;
  bare.result_stored = extras.result_stored;
  extras = std::move(bare);
  bytes_of(slot).content_type = {};
  bytes_of(slot).worker = {};
  emit(EventKind::removed, slot);
  return CommandOutcome{};
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

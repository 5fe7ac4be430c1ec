// What every part of the state's work shares, and its readers.
#include "engine/state/state.h"

#include <algorithm>

namespace jack {
namespace {

std::optional<Instant> unless_never(Instant at) {
  if (at == kNever) return std::nullopt;
  return at;
}

TaskStatus to_status(const TaskRecord& task, std::string_view worker) {
  TaskStatus status;
  status.state = task.state;
  status.serial = task.serial;
  status.attempt = task.attempt;
  status.cycle = task.cycle;
  status.token = task.token;
  status.submitted = task.submitted;
  status.changed = task.changed;
  if (task.state == TaskState::scheduled) status.due = task.due;
  status.expires = unless_never(task.expires);
  if (task.extras) {
    status.progress_permille = task.extras->progress_permille;
    status.progress_note = task.extras->progress_note;
    status.output_bytes = task.extras->output_bytes;
    status.error = task.extras->error;
    status.attempts = task.extras->attempts;
    status.annotations.insert(task.extras->annotations.begin(), task.extras->annotations.end());
  }
  if (task.state == TaskState::succeeded) {
    status.error.clear();
    status.attempts.push_back({task.attempt,
                               Outcome::succeeded,
                               task.started,
                               task.changed,
                               {},
                               std::string(worker),
                               task.cycle});
  }
  return status;
}

}  // namespace

Slot State::retained_slot(const TaskId& id) const {
  const Slot slot = find_slot(id);
  if (slot == kNoSlot) return slot;
  const TaskRecord& task = tasks_[slot];
  const bool gone = is_terminal(task.state) && !is_retained(partition_of(task));
  return gone || (task.extras && task.extras->removed) ? kNoSlot : slot;
}

bool State::is_result_stored(const TaskId& id) const {
  const Slot slot = find_slot(id);
  return slot != kNoSlot && tasks_[slot].extras && tasks_[slot].extras->result_stored;
}

bool State::is_removed(const TaskId& id) const {
  const Slot slot = find_slot(id);
  return slot != kNoSlot && tasks_[slot].extras && tasks_[slot].extras->removed;
}

std::optional<TaskId> State::find_number(std::uint64_t number) const {
  if (number == 0 || number >= register_.next_serial) return std::nullopt;
  const std::uint64_t behind = register_.next_serial - 1 - number;
  if (behind < numbered_.size()) return numbered_[numbered_.size() - 1 - behind];
  const std::size_t in_cut = behind - numbered_.size();
  if (in_cut < cut_numbered_.size()) return cut_numbered_[cut_numbered_.size() - 1 - in_cut];
  return std::nullopt;
}

void State::set_state(Slot slot, TaskState state) {
  TaskRecord& task = tasks_[slot];
  Queue& queue = queues_[task.queue];
  --queue.counts.of(task.state);
  ++queue.counts.of(state);
  running_ += state == TaskState::running ? 1 : 0;
  running_ -= task.state == TaskState::running ? 1 : 0;
  task.state = state;
  task.changed = register_.now;
  touch(slot);
}

void State::emit(EventKind kind, Slot slot, std::string_view text) {
  const TaskRecord& task = tasks_[slot];
  EventView event;
  event.position = {register_.entries, ordinal_++};
  event.kind = kind;
  event.at = register_.now;
  event.task = task.id;
  event.queue = queues_[task.queue].name;
  event.attempt = task.attempt;
  event.cycle = task.cycle;
  event.text = text;
  if (kind == EventKind::progressed) event.progress_permille = task.extras->progress_permille;
  outcomes_->events.push_back(event);
}

TaskStatus State::status_of(const TaskRecord& task) const {
  return to_status(
      task, task.unflushed == UINT32_MAX ? std::string_view() : unflushed_[task.unflushed].worker);
}

std::optional<TaskView> State::find(const TaskId& id) const {
  const Slot slot = retained_slot(id);
  if (slot == kNoSlot) return std::nullopt;
  const TaskRecord& task = tasks_[slot];
  TaskView view;
  view.status = status_of(task);
  if (task.unflushed == UINT32_MAX) return view;
  const UnflushedBytes& bytes = unflushed_[task.unflushed];
  if (!bytes.spec.empty()) view.spec = bytes.spec;
  if (task.state == TaskState::succeeded) {
    if (!task.extras || !task.extras->result_stored) view.result = bytes.result;
    view.result_content_type = bytes.content_type;
  }
  return view;
}

std::optional<TaskState> State::state_of(const TaskId& id) const {
  const Slot slot = retained_slot(id);
  if (slot == kNoSlot) return std::nullopt;
  return tasks_[slot].state;
}

std::string_view State::queue_of(const TaskId& id) const {
  const Slot slot = find_slot(id);
  return slot == kNoSlot ? std::string_view() : queues_[tasks_[slot].queue].name;
}

std::string_view State::spec_of(const TaskId& id) const {
  const Slot slot = find_slot(id);
  if (slot == kNoSlot || tasks_[slot].unflushed == UINT32_MAX) return {};
  return unflushed_[tasks_[slot].unflushed].spec;
}

std::vector<TaskId> State::next_of_queue(std::string_view name, std::size_t count) const {
  std::vector<TaskId> ids;
  const Queue* queue = queues_.find(name);
  if (queue == nullptr) return ids;
  for (auto lane = queue->lanes.rbegin(); lane != queue->lanes.rend(); ++lane) {
    for (Slot slot = lane->head; slot != kNoSlot && ids.size() < count; slot = tasks_[slot].next) {
      ids.push_back(tasks_[slot].id);
    }
  }
  return ids;
}

std::vector<QueueView> State::queues() const {
  std::vector<QueueView> views;
  queues_.for_each([&](const Queue& queue) { views.push_back(view_of(queue)); });
  return views;
}

std::optional<QueueView> State::queue(std::string_view name) const {
  const Queue* queue = queues_.find(name);
  if (queue == nullptr) return std::nullopt;
  return view_of(*queue);
}

QueueView State::view_of(const Queue& queue) const {
  QueueView view{queue.name, queue.paused, queue.counts, std::nullopt};
  if (queue.has_queued()) view.oldest = tasks_[queue.lanes[queue.best_priority()].head].changed;
  return view;
}

Result<StoredStatus> decode_stored_status(std::string_view bytes) {
  Unpacker unpacker;
  Result<DecodedTask> task = decode_task(unpacker, bytes);
  if (!task) return task.error();
  const bool removed = task->record.extras && task->record.extras->removed;
  return StoredStatus{to_status(task->record, task->worker), task->content_type, removed};
}

}  // namespace jack

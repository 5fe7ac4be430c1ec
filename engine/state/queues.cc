#include "engine/state/queues.h"

#include "engine/assert.h"

namespace jack {

std::uint64_t& QueueCounts::of(TaskState state) {
  switch (state) {
    case TaskState::scheduled: return scheduled;
    case TaskState::queued: return queued;
    case TaskState::running: return running;
    case TaskState::succeeded: return succeeded;
    case TaskState::failed: return failed;
    case TaskState::cancelled: return cancelled;
    case TaskState::expired: return expired;
    case TaskState::waiting: break;
  }
  JACK_ASSERT(false);  // nothing waits for other tasks in these rules
  return scheduled;
}

void TaskList::push_back(TaskTable& tasks, Slot slot) {
  tasks[slot].previous = tail;
  tasks[slot].next = kNoSlot;
  (tail == kNoSlot ? head : tasks[tail].next) = slot;
  tail = slot;
}

void TaskList::push_front(TaskTable& tasks, Slot slot) {
  tasks[slot].previous = kNoSlot;
  tasks[slot].next = head;
  (head == kNoSlot ? tail : tasks[head].previous) = slot;
  head = slot;
}

void TaskList::remove(TaskTable& tasks, Slot slot) {
  TaskRecord& task = tasks[slot];
  (task.previous == kNoSlot ? head : tasks[task.previous].next) = task.next;
  (task.next == kNoSlot ? tail : tasks[task.next].previous) = task.previous;
  task.previous = task.next = kNoSlot;
}

std::uint32_t Queue::best_priority() const {
  std::uint32_t priority = static_cast<std::uint32_t>(lanes.size()) - 1;
  while (lanes[priority].empty()) --priority;
  return priority;
}

TaskList& Queue::best_lane() {
  JACK_ASSERT(has_queued());
  return lanes[best_priority()];
}

Queue* Queues::find(std::string_view name) const {
  const auto found = numbers_.find(name);
  return found == numbers_.end() ? nullptr : queues_[found->second].get();
}

Queue& Queues::create(std::string_view name) {
  if (free_.empty()) return restore(static_cast<std::uint32_t>(queues_.size()), name);
  return restore(*free_.begin(), name);
}

Queue& Queues::restore(std::uint32_t number, std::string_view name) {
  while (queues_.size() <= number) {
    free_.insert(static_cast<std::uint32_t>(queues_.size()));
    queues_.emplace_back();
  }
  free_.erase(number);
  queues_[number] = std::make_unique<Queue>();
  queues_[number]->name = name;
  queues_[number]->number = number;
  numbers_.emplace(name, number);
  return *queues_[number];
}

void Queues::erase(std::uint32_t number) {
  numbers_.erase(queues_[number]->name);
  queues_[number].reset();
  free_.insert(number);
}

}  // namespace jack

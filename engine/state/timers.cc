#include "engine/state/timers.h"

namespace jack {

void Timers::set(Slot slot, Instant at) {
  TaskRecord& task = tasks_[slot];
  if (task.timer_place == kNoPlace) {
    if (at == kNever) return;
    task.timer = at;
    heap_.push_back(slot);
    move_up(static_cast<std::uint32_t>(heap_.size() - 1), slot);
    return;
  }
  if (at == kNever) {
    remove(task.timer_place);
    task.timer = kNever;
    return;
  }
  const bool earlier = at < task.timer;
  task.timer = at;
  if (earlier) {
    move_up(task.timer_place, slot);
  } else {
    move_down(task.timer_place, slot);
  }
}

bool Timers::before(Slot a, Slot b) const {
  const TaskRecord& first = tasks_[a];
  const TaskRecord& second = tasks_[b];
  if (first.timer != second.timer) return first.timer < second.timer;
  return first.serial < second.serial;
}

void Timers::put(std::uint32_t place, Slot slot) {
  heap_[place] = slot;
  tasks_[slot].timer_place = place;
}

void Timers::move_up(std::uint32_t place, Slot slot) {
  while (place > 0) {
    const std::uint32_t parent = (place - 1) / 2;
    if (!before(slot, heap_[parent])) break;
    put(place, heap_[parent]);
    place = parent;
  }
  put(place, slot);
}

void Timers::move_down(std::uint32_t place, Slot slot) {
  const auto size = static_cast<std::uint32_t>(heap_.size());
  for (std::uint32_t child = 2 * place + 1; child < size; child = 2 * place + 1) {
    if (child + 1 < size && before(heap_[child + 1], heap_[child])) ++child;
    if (!before(heap_[child], slot)) break;
    put(place, heap_[child]);
    place = child;
  }
  put(place, slot);
}

void Timers::remove(std::uint32_t place) {
  tasks_[heap_[place]].timer_place = kNoPlace;
  const Slot last = heap_.back();
  heap_.pop_back();
  if (place == heap_.size()) return;
  move_up(place, last);
  move_down(tasks_[last].timer_place, last);
}

}  // namespace jack

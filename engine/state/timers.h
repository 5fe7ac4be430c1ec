// The tasks that wait for a time, earliest first: a binary heap whose places the records know, so
// that a timer can be moved or taken away in O(log n).
#pragma once

#include <vector>

#include "engine/state/task_table.h"

namespace jack {

// Ties go by serial, so that the order is the same everywhere.
class Timers {
 public:
  explicit Timers(TaskTable& tasks) : tasks_(tasks) {}

  // Sets the task's timer to `at`, or takes it away where `at` is kNever.
  void set(Slot slot, Instant at);

  bool empty() const { return heap_.empty(); }
  Slot earliest() const { return heap_.front(); }
  Instant next() const { return heap_.empty() ? kNever : tasks_[heap_.front()].timer; }

 private:
  static constexpr std::uint32_t kNoPlace = UINT32_MAX;

  bool before(Slot a, Slot b) const;
  void put(std::uint32_t place, Slot slot);
  void move_up(std::uint32_t place, Slot slot);
  void move_down(std::uint32_t place, Slot slot);
  void remove(std::uint32_t place);

  TaskTable& tasks_;
  std::vector<Slot> heap_;
};

}  // namespace jack

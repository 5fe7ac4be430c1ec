// Sessions that wait for the outcome of a task.
#pragma once

#include <cstdint>
#include <deque>

#include <jack_engine/id.h>
#include <jack_engine/time.h>

#include "engine/front/deadlines.h"
#include "engine/front/flat_map.h"
#include "engine/front/sessions.h"

namespace jack {

struct Wait {
  TaskId task;
  Session* session = nullptr;  // null: not in use
  wire::Correlation correlation = 0;
  std::uint64_t number = 0;  // never reused
  Wait* next_of_task = nullptr;
  Wait* next_of_session = nullptr;
  Wait* previous_of_session = nullptr;
};

class Waits {
 public:
  std::size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }

  void add(const TaskId& task, Session& session, wire::Correlation correlation,
           SteadyTime deadline);

  // Whether anybody waits for this task.
  bool has(const TaskId& task) const { return by_task_.find(task) != nullptr; }

  // Ends all waits for a task. `visit(wait)` is called for each, in the order they came.
  template <typename Visit>
  void take(const TaskId& task, Visit visit) {
    Wait** first = by_task_.find(task);
    if (first == nullptr) return;
    Wait* wait = oldest_first(*first);
    by_task_.erase(task);
    while (wait != nullptr) {
      Wait* const next = wait->next_of_task;
      visit(*wait);
      release(*wait);
      wait = next;
    }
  }

  void drop_session(Session& session);
  // The one of this session with that correlation, if it is there.
  void drop(Session& session, wire::Correlation correlation);

  SteadyTime next_deadline() const { return deadlines_.next(); }

  // Ends the waits whose time is up.
  template <typename Visit>
  void expire(SteadyTime now, Visit visit) {
    while (deadlines_.next() <= now) {
      const Timer timer = deadlines_.take().key;
      if (!holds(timer)) continue;
      visit(*timer.wait);
      unlink_from_task(*timer.wait);
      release(*timer.wait);
    }
  }

 private:
  struct Timer {
    Wait* wait = nullptr;
    std::uint64_t number = 0;
  };
  static bool holds(const Timer& timer) {
    return timer.wait->session != nullptr && timer.wait->number == timer.number;
  }

  static Wait* oldest_first(Wait* newest);
  void unlink_from_task(Wait& wait);
  void release(Wait& wait);

  FlatMap<TaskId, Wait*> by_task_;  // the newest first, so that adding one costs the same always
  Deadlines<Timer> deadlines_;
  std::deque<Wait> waits_;
  Wait* free_ = nullptr;
  std::size_t count_ = 0;
  std::uint64_t last_number_ = 0;
};

}  // namespace jack

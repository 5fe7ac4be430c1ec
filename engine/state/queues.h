// Queues: four lanes of queued tasks each, and the pools that are hungry for them.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/state/task_table.h"

namespace jack {

// What is in a queue, for people and for choosing.
struct QueueCounts {
  std::uint64_t scheduled = 0;
  std::uint64_t queued = 0;
  std::uint64_t running = 0;
  std::uint64_t succeeded = 0;  // here and below: ever, less those retried
  std::uint64_t failed = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t expired = 0;

  std::uint64_t unfinished() const { return scheduled + queued + running; }
  std::uint64_t& of(TaskState state);
};

using PoolSlot = std::uint32_t;
inline constexpr PoolSlot kNoPool = UINT32_MAX;

// The tasks of one queue and priority that are ready to be handed out, or the leases of one pool:
// a list through the records, sorted by TaskRecord::order.
struct TaskList {
  Slot head = kNoSlot;
  Slot tail = kNoSlot;

  bool empty() const { return head == kNoSlot; }
  void push_back(TaskTable& tasks, Slot slot);
  void push_front(TaskTable& tasks, Slot slot);
  void remove(TaskTable& tasks, Slot slot);
};

struct Queue {
  std::string name;
  std::uint32_t number = 0;
  bool paused = false;
  QueueCounts counts;
  Instant used;                    // when a task last came or ended
  std::array<TaskList, 4> lanes;   // by priority
  std::vector<PoolSlot> hungry;    // in the order in which they get the next tasks
  bool dirty = false;              // changed since the last cut
  std::uint64_t contribution = 0;  // to the state's hash, as of when it was last computed

  bool has_queued() const { return counts.queued > 0; }
  // The lane that is handed out next; has_queued() must hold.
  TaskList& best_lane();
  std::uint32_t best_priority() const;
};

// Numbers are the smallest free ones, so that they are the same everywhere.
class Queues {
 public:
  // Null where there is none.
  Queue* find(std::string_view name) const;
  bool has(std::uint32_t number) const {
    return number < queues_.size() && queues_[number] != nullptr;
  }
  Queue& operator[](std::uint32_t number) const { return *queues_[number]; }

  Queue& create(std::string_view name);
  Queue& restore(std::uint32_t number, std::string_view name);  // from the store
  void erase(std::uint32_t number);

  std::size_t size() const { return numbers_.size(); }

  template <typename Visit>
  void for_each(Visit visit) const {
    for (const std::unique_ptr<Queue>& queue : queues_) {
      if (queue) visit(*queue);
    }
  }

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  std::vector<std::unique_ptr<Queue>> queues_;
  std::set<std::uint32_t> free_;
  std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>> numbers_;
};

}  // namespace jack

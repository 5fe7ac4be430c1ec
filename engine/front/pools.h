// WorkerPools as their engine sees them: the subscriptions whose credit makes up the appetite that
// the state counts.
//
// The appetite is the sum of the credits, apart from what is under way: credit rises when a message
// asks for it, the appetite when the entry is applied, and both fall by one with each hand-out. So
// a hand-out finds somebody with credit, unless credit was withdrawn meanwhile; then it is
// released, and that is exactly the shortfall of the withdrawal.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/time.h>

#include "engine/format/command.h"
#include "engine/front/flat_map.h"
#include "engine/front/sessions.h"

namespace jack {

struct WorkerPool {
  PoolNumber number = 0;
  std::vector<std::string> queues;  // sorted, each once
  bool remote = false;
  Duration lease{0};
  std::vector<Subscription*> subscriptions;
  std::deque<Subscription*> line;  // those with credit, whose turn it is next in front
  std::uint64_t leases = 0;        // of this pool that stand
};

// WorkerPools do not move while they live.
class WorkerPools {
 public:
  // The pool for these queues, which must be sorted; a new one where there is none.
  struct Found {
    WorkerPool& pool;
    bool opened = false;
  };
  Found find_or_open(std::vector<std::string> queues, bool remote, Duration lease);

  WorkerPool* find(PoolNumber number) const;
  void erase(WorkerPool& pool);

  static void join(WorkerPool& pool, Subscription& subscription);
  static void leave(Subscription& subscription);

  // Changes the credit, which stays between 0 and `max`; yields by how much it did change.
  static std::int64_t change_credit(Subscription& subscription, std::int64_t by, std::uint64_t max);

  // Who gets the pool's next task, one credit less; null where nobody wants one.
  static Subscription* next(WorkerPool& pool);

  // Credit by queue; what several queues share counts for each.
  std::map<std::string_view, std::uint64_t> credit_by_queue() const;

  // In order of their numbers.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (const auto& [number, pool] : pools_) visit(*pool);
  }

 private:
  std::map<PoolNumber, std::unique_ptr<WorkerPool>> pools_;
  FlatMap<std::uint64_t, WorkerPool*> by_number_;
  std::map<std::string, WorkerPool*, std::less<>> by_key_;
  PoolNumber last_number_ = 0;
};

}  // namespace jack

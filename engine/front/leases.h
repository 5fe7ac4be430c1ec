// The leases that this engine holds for its workers, found by token.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include <jack_engine/id.h>
#include <jack_engine/time.h>

#include "engine/front/flat_map.h"
#include "engine/front/pools.h"
#include "engine/front/sessions.h"

namespace jack {

struct HeldLease {
  enum class Stage : std::uint8_t {
    assigned,  // the worker has not been told yet
    held,
    ending,  // it was taken for lost; the settle that says so is on its way
    ended,   // no longer in the state; kept so that its settle can still say `again`
  };
  TaskId task;
  LeaseToken token;
  std::uint32_t attempt = 0;
  Stage stage = Stage::assigned;
  bool again_said = false;               // once only, however often its settle comes
  bool used_credit = true;               // false: its worker chose the task
  Duration lease{0};                     // how long its session may be silent
  SteadyTime since;                      // handed out or extended, on the clock of hearing
  SteadyTime until;                      // where it ends by itself: when
  std::string worker;                    // while nobody holds it: who did, for the history
  Session* session = nullptr;            // who holds it; null: nobody for the moment
  Subscription* subscription = nullptr;  // by which it came or was resumed
  WorkerPool* pool = nullptr;            // null once it is `ended`
  HeldLease* next = nullptr;             // of its session
  HeldLease* previous = nullptr;

  // Its end is a time of its own, not the silence of a session.
  bool ends_by_itself() const {
    return stage == Stage::held && (session == nullptr || subscription->own_signs);
  }
};

// Leases do not move while they stand.
class Leases {
 public:
  HeldLease* find(LeaseToken token) const;
  std::size_t size() const { return by_token_.size(); }

  // A new lease of `pool`, which nobody holds yet. There must be none with this token.
  HeldLease& add(const TaskId& task, LeaseToken token, WorkerPool& pool);
  void erase(HeldLease& lease);

  // It belongs to another pool from now on.
  static void move(HeldLease& lease, WorkerPool& pool);

  // Gives it to another holder, or to nobody where `subscription` is null.
  static void give(HeldLease& lease, Subscription* subscription);

  // It counts no longer for its pool.
  static void end(HeldLease& lease);

 private:
  FlatMap<LeaseToken, HeldLease*> by_token_;
  std::deque<HeldLease> leases_;
  HeldLease* free_ = nullptr;
};

}  // namespace jack

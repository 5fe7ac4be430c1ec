// Engines as the journal knows them, and their pools: where hunger for tasks is counted and leases
// hang.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "engine/format/command.h"
#include "engine/format/entry.h"
#include "engine/state/queues.h"
#include "engine/transport.h"

namespace jack {

// Milliseconds on the liveness clock, which moves only by entries and never by more than one
// heartbeat interval at a time, so that a silent journal ages nobody.
struct LivenessTime {
  std::int64_t ms = 0;

  friend auto operator<=>(const LivenessTime&, const LivenessTime&) = default;
  friend LivenessTime operator+(LivenessTime at, Duration by) { return {at.ms + by.count()}; }
  friend Duration operator-(LivenessTime a, LivenessTime b) { return Duration{a.ms - b.ms}; }
};

// Hunger of one incarnation for one set of queues, and the leases that it led to.
struct Pool {
  Id128 incarnation{};
  PoolNumber number = 0;
  bool remote = false;  // its leases outlive the incarnation for `lease`
  Duration lease{0};
  std::vector<std::uint32_t> queues;
  std::uint32_t turn = 0;  // which of its queues is asked first the next time
  std::uint64_t appetite = 0;
  bool open = true;  // false: closed, or its incarnation has ended; only leases are left
  // Once its incarnation has ended: when its leases end. At once where it is not remote.
  std::optional<LivenessTime> leases_end;
  TaskList leases;
  std::uint64_t lease_count = 0;
};

// Slots are the smallest free ones, so that they are the same everywhere.
class Pools {
 public:
  PoolSlot create();
  Pool& restore(PoolSlot slot);  // from the store
  void erase(PoolSlot slot);
  Pool& operator[](PoolSlot slot) const { return *pools_[slot]; }
  bool has(PoolSlot slot) const { return slot < pools_.size() && pools_[slot] != nullptr; }

  template <typename Visit>
  void for_each(Visit visit) const {
    for (PoolSlot slot = 0; slot < pools_.size(); ++slot) {
      if (pools_[slot]) visit(slot, *pools_[slot]);
    }
  }

 private:
  std::vector<std::unique_ptr<Pool>> pools_;
  std::set<PoolSlot> free_;
};

// An engine that is joined. There are few.
struct Member {
  Id128 engine{};
  Id128 incarnation{};
  std::uint64_t last_number = 0;  // of its entries applied
  LivenessTime last_seen;
  std::uint32_t rules_oldest = 0;
  std::uint32_t rules_newest = 0;
  Index flushed = 0;  // what it has in its store, as it said last
  std::map<PoolNumber, PoolSlot> pools;
};

// What the journal keeps for an engine that is not joined.
struct Absence {
  Index flushed = 0;
  Instant until;
};

}  // namespace jack

// The tasks in memory: records in slots that do not move, found by id.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/id.h>
#include <jack_engine/task.h>
#include <jack_engine/time.h>

#include "engine/format/annotations.h"
#include "engine/store.h"

namespace jack {

using Slot = std::uint32_t;
inline constexpr Slot kNoSlot = UINT32_MAX;

// What only some tasks have. Kept apart so that the common record stays small.
struct TaskExtras {
  std::string reply_to;
  std::string headers;  // msgpack pairs, for the reply
  std::uint32_t header_count = 0;
  Backoff backoff;
  std::vector<AttemptRecord> attempts;  // that have ended, but for the one that finished the task
  std::string error;                    // of the last attempt that failed, or why it was cancelled
  std::string progress_note;
  std::uint32_t progress_permille = 0;
  std::uint64_t output_bytes = 0;
  Annotations annotations;
  bool removed = false;        // by hand: only its id is kept
  bool revived = false;        // a retry brought it back; `finished_in` holds its row until
  Partition finished_in = 0;   // the next cut
  bool restated = false;       // finished, and its row changes by the next cut
  bool result_stored = false;  // finished, and its result is in the store only
};

// Bytes that are not in the store yet. Views into journal entries, which the state keeps until
// the flush that writes them has ended.
struct UnflushedBytes {
  std::string_view spec;
  std::string_view result;
  std::string_view content_type;  // of the result
  std::string_view worker;        // of the attempt that finished the task
};

// A task that is live, or finished and not in the store yet.
struct TaskRecord {
  TaskId id;
  std::uint64_t serial = 0;  // order of acceptance
  std::int64_t order = 0;    // within its lane while queued, its pool's leases while running
  LeaseToken token;          // of the running attempt, else of the last one
  LeaseToken settled_token;  // whose worker has settled it, and
  std::uint64_t settled_digest = 0;  // how: the same settle again gets the same answer
  std::uint64_t spec_digest = 0;
  std::uint64_t contribution = 0;  // to the state's hash, as of when it was last computed
  Instant submitted;
  Instant changed;  // since when it is in its present state
  Instant started;  // of the running or last attempt
  Instant due;      // while scheduled
  Instant expires = kNever;
  Instant timer = kNever;  // what Timers sorts by
  Duration timeout{0};
  Slot previous = kNoSlot;  // in its lane or its pool's leases
  Slot next = kNoSlot;
  std::uint32_t timer_place = UINT32_MAX;  // in the heap of Timers
  std::uint32_t queue = 0;
  std::uint32_t pool = 0;  // while running: the slot of the pool that holds the lease
  std::uint32_t attempt = 0;
  std::uint32_t max_attempts = 0;
  std::uint32_t cycle = 1;
  std::uint32_t unflushed = UINT32_MAX;  // index of its UnflushedBytes
  TaskState state = TaskState::queued;
  Priority priority = Priority::normal;
  Outcome outcome = Outcome::succeeded;  // of the attempt that finished it
  bool dirty = false;                    // changed since the last cut
  bool counted_finished = false;         // its contribution is in a partition's sum too
  bool unlinked = false;                 // no longer found by its id; goes with the next flush
  bool stored_live = false;              // the store has, or will have by the last cut, a live row
  std::unique_ptr<TaskExtras> extras;

  TaskExtras& more() {
    if (!extras) extras = std::make_unique<TaskExtras>();
    return *extras;
  }
};

class TaskTable {
 public:
  // A fresh record for an id that is not there yet.
  Slot insert(const TaskId& id);
  void erase(Slot slot);
  // Makes the record unfindable, so that its id is free; the slot stays until erase().
  void unlink(Slot slot);

  // kNoSlot where there is none.
  Slot find(const TaskId& id) const;

  TaskRecord& operator[](Slot slot) { return blocks_[slot >> kBlockBits][slot & kBlockMask]; }
  const TaskRecord& operator[](Slot slot) const {
    return blocks_[slot >> kBlockBits][slot & kBlockMask];
  }
  std::size_t size() const { return size_; }

  template <typename Visit>
  void for_each(Visit visit) const {
    for (const Place& place : places_) {
      if (place.slot != kNoSlot) visit(place.slot);
    }
  }

 private:
  static constexpr std::uint32_t kBlockBits = 8;
  static constexpr std::uint32_t kBlockMask = (1u << kBlockBits) - 1;

  // Open addressing with linear probing; the hash is kept so that probing touches no records.
  struct Place {
    Slot slot = kNoSlot;
    std::uint32_t hash = 0;
  };

  void place(Slot slot, std::uint32_t hash);
  void grow();

  std::vector<std::unique_ptr<TaskRecord[]>> blocks_;
  std::vector<Slot> free_;
  std::vector<Place> places_ = std::vector<Place>(1024);
  std::size_t size_ = 0;
  Slot used_ = 0;  // slots ever handed out
};

}  // namespace jack

// What has happened lately, in the order of the journal: the events that are not in the store yet,
// and some that are, so that watchers rarely need it.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/id.h>

#include "engine/format/status.h"
#include "engine/front/rights.h"

namespace jack {

// What a watcher wants to see: all, one task, or one queue.
struct EventFilter {
  TaskId task{};                           // empty: any
  std::string queue;                       // empty: any
  std::shared_ptr<const Rights> rights{};  // only of queues that may be read; null: of all

  bool matches(const EventView& event) const {
    return (task.empty() || event.task == task) && (queue.empty() || event.queue == queue) &&
           (rights == nullptr || rights->allows(Scope::read, event.queue));
  }
};

// Some events in order, encoded one each.
struct EventPart {
  std::vector<std::string_view> events{};
  std::size_t bytes = 0;
  Position last;        // everything up to here has been looked at
  bool at_end = false;  // there is nothing behind it for the moment
};

// Adds the events of `blob` that lie behind `part.last` and match, until `part` holds about
// `bytes_max`, and moves `part.last` on: to the end of the blob's entries where it got so far. The
// views point into `blob`.
//
// A blob is what the store keeps for a range of entries: the number of the last one as a msgpack
// integer of 9 bytes, then one msgpack bin after the other, each an encoded event
// (engine/format/status.h). Part of the store's format.
// Errors: corruption  not such a blob
Result<void> read_blob(std::string_view blob, const EventFilter& filter, std::size_t bytes_max,
                       EventPart& part);

// Pure, not thread-safe.
class EventLog {
 public:
  // Begins behind entry `entry`: what came before is in the store or nowhere.
  void begin_after(std::uint64_t entry);

  // The events of the next entry.
  void add(std::uint64_t entry, const std::vector<EventView>& events);

  // Behind everything so far.
  Position end() const { return {last_entry_, UINT32_MAX}; }
  // Events of this entry and later ones are here.
  std::uint64_t first_entry() const { return segments_.front().first; }

  // Adds what matches behind `part.last`, which must not lie before first_entry(), as read_blob()
  // does. The views are valid until the next add(), cut() or flushed().
  void read(const EventFilter& filter, std::size_t bytes_max, EventPart& part) const;

  // Of the events since the last cut.
  std::size_t uncut_bytes() const { return segments_.back().blob.size(); }

  // The blob of all events since the last cut, and the first entry it stands for.
  struct Cut {
    std::string blob;
    std::uint64_t first = 0;
  };
  Cut cut();

  // The last cut is in the store: its events may go from here.
  void flushed();

 private:
  // A place in a blob, and enough about the event to pass most by without decoding.
  struct Item {
    Position position;
    TaskId task;
    std::uint32_t offset = 0;
    std::uint32_t size = 0;
  };
  struct Segment {
    explicit Segment(std::uint64_t first_entry);

    std::uint64_t first = 0;
    std::string blob;  // the number of its last entry is filled in by cut()
    std::vector<Item> items;
  };

  // Stored events that are kept in memory all the same.
  static constexpr std::size_t kKeptBytes = 4u << 20;

  std::deque<Segment> segments_ = std::deque<Segment>(1, Segment(1));  // the last is being written
  std::uint64_t last_entry_ = 0;
  std::string scratch_;
};

}  // namespace jack

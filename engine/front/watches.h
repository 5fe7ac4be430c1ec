// Sessions that follow what happens. A watch that has seen everything, or has no credit, costs its
// position and nothing more: events find the watches that they concern. What a watch misses for
// want of credit is read from the log, or the store, when it has credit again.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/front/event_log.h"
#include "engine/front/flat_map.h"
#include "engine/wire/messages.h"

namespace jack {

struct Session;

struct Watch {
  Session* session = nullptr;
  wire::Correlation correlation = 0;
  EventFilter filter;
  Position after;             // everything up to here was told, or does not match
  std::uint32_t credit = 0;   // how many more `events` messages the watcher takes
  bool has_seen_all = false;  // nothing behind `after` concerns it, whatever has happened since
  bool is_to_be_served = false;
  bool has_been_told = false;  // at least one message was sent
  bool reading = false;        // the loop has been asked for events from the store
};

// All watches of a front, and which of them have something to be told. Watches do not move.
//
// Pure, not thread-safe.
class Watches {
 public:
  std::size_t size() const { return size_; }

  void add(Watch& watch);
  void erase(Watch& watch);

  // Those that an event concerns are to be served from there on. In the order of the journal.
  void on_event(const EventView& event);

  // To be looked at by the next serve(): it has credit now, or something was read for it.
  void wake(Watch& watch);

  // Calls `serve` for each watch that is to be served. It stays so while it has credit and has not
  // seen all.
  template <typename Serve>
  void serve(Serve serve) {
    for (std::size_t i = 0; i < to_serve_.size();) {
      Watch& watch = *to_serve_[i];
      serve(watch);
      if (watch.credit > 0 && !watch.has_seen_all) {
        ++i;
        continue;
      }
      watch.is_to_be_served = false;
      to_serve_[i] = to_serve_.back();
      to_serve_.pop_back();
    }
  }

 private:
  using List = std::vector<Watch*>;
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  List& list_of(const EventFilter& filter);
  void notice(const List& watches, const EventView& event);

  std::unordered_map<TaskId, List, FlatHash> by_task_;
  std::unordered_map<std::string, List, Hash, std::equal_to<>> by_queue_;
  List of_all_;
  List to_serve_;
  std::size_t size_ = 0;
};

}  // namespace jack

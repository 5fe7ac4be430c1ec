// Sessions that follow what happens. A watch without credit costs its position and nothing more:
// what it misses meanwhile is read from the log, or the store, when it has credit again.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/front/event_log.h"
#include "engine/wire/messages.h"

namespace jack {

struct Session;

struct Watch {
  Session* session = nullptr;
  wire::Correlation correlation = 0;
  EventFilter filter;
  Position after;            // everything up to here was told, or does not match
  std::uint32_t credit = 0;  // how many more `events` messages the watcher takes
  bool reading = false;      // the loop has been asked for events from the store
};

}  // namespace jack

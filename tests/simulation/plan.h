// What a seed draws before anything happens: who there is, what they do, what goes wrong and how
// often. Most plans leave much out (Groce et al.: Swarm testing, ISSTA 2012): what is always there
// hides what only shows without it.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/limits.h>

#include "tests/simulation/dice.h"
#include "tests/simulation/journal.h"
#include "tests/simulation/node.h"

namespace jack::test {

// What can be left out, to find out what a failure takes: by these names.
inline constexpr std::string_view kParts[] = {
    "kills",      "stops",   "freezes", "cuts",     "full-disk", "clocks",   "breaks",
    "appends",    "flushes", "network", "delays",   "expiry",    "timeouts", "replies",
    "follow-ups", "orders",  "pauses",  "poison",   "silence",   "late",     "limits",
    "priorities", "looks",   "watches", "recorded", "notes",
};

struct Plan {
  Plan(Dice dice, const std::set<std::string>& without);

  std::size_t engines = 1;
  std::size_t submitters = 1;
  std::size_t workers = 1;
  std::size_t watchers = 0;
  std::size_t clerks = 0;  // who cancel, retry, remove, take, pause
  std::vector<std::string> queues;

  Limits limits;
  SessionLimits sessions;
  JournalFaults journal;
  StoreFaults store;
  std::uint64_t slow_frames = 0;

  // What happens to engines and connections, in the mean so often; 0: never.
  WorldTime kill_every{0};
  WorldTime stop_every{0};
  WorldTime freeze_every{0};
  WorldTime cut_every{0};
  WorldTime full_every{0};
  WorldTime jump_every{0};
  WorldTime break_every{0};
  std::int64_t drift_ppm_max = 0;

  // Of tasks, one in so many; 0: none.
  std::uint64_t delayed = 0;
  std::uint64_t expiring = 0;
  std::uint64_t timed = 0;
  std::uint64_t replied = 0;
  std::uint64_t prioritised = 0;
  std::uint64_t poisonous = 0;
  std::uint64_t recorded = 0;
  std::uint64_t annotated = 0;
  // Of attempts.
  std::uint64_t failing = 0;
  std::uint64_t releasing = 0;
  std::uint64_t followed = 0;
  std::uint64_t silent = 0;  // its worker is not heard of any more, and settles long after
  std::uint64_t talkative = 0;
  std::uint64_t looks = 0;  // after a settle

  WorldTime submit_every{0};
  WorldTime work_takes{0};
  WorldTime order_every{0};
  bool pauses = false;
};

}  // namespace jack::test

// What applying an entry led to: data for the loop and the front to carry out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/id.h>
#include <jack_engine/task.h>

#include "engine/format/command.h"
#include "engine/format/entry.h"
#include "engine/format/status.h"

namespace jack {

// What became of one command.
struct CommandOutcome {
  Code code = Code::ok;
  std::string message;          // of a refusal
  bool repeated = false;        // a submit or settle that had been done before
  std::uint64_t shortfall = 0;  // of a want below zero: so many were handed out already
};

// An attempt begins: `task` is to be delivered to the pool of that incarnation.
struct Assignment {
  TaskId task;
  LeaseToken token;
  std::uint32_t attempt = 0;
  PoolNumber pool = 0;
  Id128 incarnation{};
};

// An attempt ended otherwise than by its worker's settle: the worker is to be told.
struct LeaseEnd {
  TaskId task;
  LeaseToken token;
  PoolNumber pool = 0;
  Id128 incarnation{};
  Outcome outcome = Outcome::lost;  // cancelled, timed_out or lost
};

struct Outcomes {
  // Whose entry it was, and whether it counted: a repeated, foreign-epoch or not joined one is
  // skipped whole, and `commands` is empty. `out_of_turn` and `not_joined` tell the own engine to
  // join again.
  EntryHeader header;
  enum class Verdict : std::uint8_t { applied, repeated, out_of_turn, not_joined, other_epoch };
  Verdict verdict = Verdict::applied;

  std::vector<CommandOutcome> commands;  // in order, one for each
  std::vector<Assignment> assignments;
  std::vector<LeaseEnd> lease_ends;
  std::vector<EventView> events;  // in order; views valid until the next apply()

  void clear() {
    header = {};
    verdict = Verdict::applied;
    commands.clear();
    assignments.clear();
    lease_ends.clear();
    events.clear();
  }
};

}  // namespace jack

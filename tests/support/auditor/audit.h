// Whether a history keeps what docs/guarantees.md promises. The names of properties are those of
// that page.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/auditor/history.h"

namespace jack::test {

struct Finding {
  std::string property;  // "D1"
  std::string text;      // what was seen, with the task's id
};

// What became of the tasks that clients submitted.
struct Report {
  std::uint64_t acknowledged = 0;
  std::uint64_t lost = 0;        // acknowledged, and not there in the end
  std::uint64_t duplicated = 0;  // ended twice
  std::uint64_t unexpected = 0;  // there, and nobody submitted them
  std::uint64_t recovered = 0;   // there, although their submit was never acknowledged
  std::uint64_t deliveries = 0;
  std::uint64_t settled = 0;  // settles that were acknowledged
  std::vector<Finding> findings;

  std::string summary() const;  // one line with the numbers
};

struct AuditOptions {
  // All faults have ended and there was time: every task is to be in a terminal state.
  bool at_rest = true;
  // Times in the history are those of one clock that never jumps.
  bool one_clock = true;
};

Report audit(const History& history, const AuditOptions& options = {});

}  // namespace jack::test

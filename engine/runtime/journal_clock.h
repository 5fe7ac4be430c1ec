// Journal time as one engine knows it: its own steady clock and the distance to the journal's.
#pragma once

#include <algorithm>
#include <cstdint>

#include <jack_engine/time.h>

#include "engine/front/deadlines.h"

namespace jack {

// The distance only grows, when an entry turns out to be ahead: so journal time runs at the pace of
// real time, is the same within an append's latency on all engines, and never goes back. Measuring
// it from the last entry instead would lose each append's latency and run slow under load.
//
// Pure, not thread-safe.
class JournalClock {
 public:
  // Journal time is `at` now.
  void begin(Instant at, SteadyTime now) { ahead_ms_ = at.ms - to_ms(now); }

  // An entry of time `at` has been applied.
  void on_applied(Instant at, SteadyTime now) {
    ahead_ms_ = std::max(ahead_ms_, at.ms - to_ms(now));
  }

  Instant at(SteadyTime now) const { return {to_ms(now) + ahead_ms_}; }

  // When journal time reaches `at`, by the steady clock.
  SteadyTime when(Instant at) const {
    // About 280 years: what lies beyond does not fit, and never comes.
    constexpr std::int64_t kMsMax = INT64_MAX / 1'000'000 - 1;
    if (at.ms >= kMsMax || at.ms - ahead_ms_ >= kMsMax) return kNoDeadline;
    return {(at.ms - ahead_ms_) * 1'000'000};
  }

 private:
  static std::int64_t to_ms(SteadyTime time) { return time.ns / 1'000'000; }

  std::int64_t ahead_ms_ = 0;
};

}  // namespace jack

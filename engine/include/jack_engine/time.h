// The three kinds of time in JACK, kept apart by type so that they cannot be mixed up.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace jack {

using Duration = std::chrono::milliseconds;

// A date as people give and read it (UTC, milliseconds since 1970). It may jump.
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

// Journal time: milliseconds since 1970 when the journal began, running at the pace of real time
// and never going back, whatever wall clocks do. Delays, time-outs and back-off are measured in it.
// Every engine reads the same journal time from the same entry.
struct Instant {
  std::int64_t ms = 0;

  friend auto operator<=>(const Instant&, const Instant&) = default;
  friend Instant operator+(Instant at, Duration by) { return {at.ms + by.count()}; }
  friend Instant operator-(Instant at, Duration by) { return {at.ms - by.count()}; }
  friend Duration operator-(Instant a, Instant b) { return Duration{a.ms - b.ms}; }
};

// Later than any time that occurs; "never".
inline constexpr Instant kNever{INT64_MAX};

// A point on this host's steady clock (one that counts suspend), for waits and heartbeats inside
// one process. Never stored, never sent.
struct SteadyTime {
  std::int64_t ns = 0;

  friend auto operator<=>(const SteadyTime&, const SteadyTime&) = default;
  friend SteadyTime operator+(SteadyTime at, std::chrono::nanoseconds by) {
    return {at.ns + by.count()};
  }
  friend std::chrono::nanoseconds operator-(SteadyTime a, SteadyTime b) {
    return std::chrono::nanoseconds{a.ns - b.ns};
  }
};

// Where a loop reads time. The engine's own reads the operating system; tests move theirs by hand.
// now() and wall_now() are called on the loop's thread only.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual SteadyTime now() const = 0;
  virtual WallTime wall_now() const = 0;
};

}  // namespace jack

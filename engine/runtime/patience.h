// How long a call goes on without a word from the engine, and when it asks for a sign of life.
#pragma once

#include <algorithm>
#include <chrono>

#include <jack_engine/time.h>

namespace jack {

// Pure, not thread-safe.
class Patience {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Patience(Duration patience, Time now)
      : patience_(patience), ping_every_(std::min(kPingEvery, patience / 2)) {
    renew(now);
  }

  // The engine has said something, or is to be given all the time again.
  void renew(Time now) {
    end_ = now + patience_;
    next_ping_ = now + ping_every_;
  }

  bool over(Time now) const { return now >= end_; }

  // Until there is something to do, at most `other`.
  std::chrono::milliseconds pause(Time now, std::chrono::milliseconds other) const {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(std::min(end_, next_ping_) - now);
    return std::clamp(left, std::chrono::milliseconds{0},
                      std::max(other, std::chrono::milliseconds{0}));
  }

  bool ping_is_due(Time now) const { return now >= next_ping_; }
  // It was tried; `said`: there was somebody to say it to.
  void pinged(Time now, bool said) {
    next_ping_ = now + (said ? ping_every_ : std::min(kPingSoon, ping_every_));
  }

 private:
  // An engine answers pings at once, whatever its disk does.
  static constexpr Duration kPingEvery{2500};
  static constexpr Duration kPingSoon{100};

  const Duration patience_;
  const Duration ping_every_;
  Time end_;
  Time next_ping_;
};

}  // namespace jack

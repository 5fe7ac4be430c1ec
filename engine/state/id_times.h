// When the ids of many tasks were made: stretches of time that cover all of them, so that an id
// whose time lies in none of them is surely not among them.
#pragma once

#include <cstdint>
#include <vector>

#include <jack_engine/id.h>

namespace jack {

// Ids are made by clocks of strangers, so single ones can lie anywhere: each is a stretch of its
// own, unless it is near another. The number of stretches is bounded: those with the smallest gap
// between them become one. Part of the state: the same ids in the same order give the same
// stretches.
class IdTimes {
 public:
  struct Stretch {
    std::int64_t from_ms = 0;
    std::int64_t to_ms = 0;  // included

    friend bool operator==(const Stretch&, const Stretch&) = default;
  };

  // Gaps shorter than this are not kept, nor are more stretches.
  static constexpr std::int64_t kGapMs = 60 * 60 * 1000;
  static constexpr std::size_t kStretchesMax = 16;

  void add(const TaskId& id) {
    const std::int64_t ms = id.unix_ms();
    // Most lie at the end.
    if (!stretches_.empty()) {
      Stretch& last = stretches_.back();
      if (ms >= last.from_ms && ms <= last.to_ms + kGapMs) {
        if (ms > last.to_ms) last.to_ms = ms;
        return;
      }
    }
    add(Stretch{ms, ms});
  }
  void add(const IdTimes& others) {
    for (const Stretch& stretch : others.stretches_) add(stretch);
  }
  void add(Stretch stretch);

  bool has(const TaskId& id) const {
    const std::int64_t ms = id.unix_ms();
    for (auto stretch = stretches_.rbegin(); stretch != stretches_.rend(); ++stretch) {
      if (ms > stretch->to_ms) return false;
      if (ms >= stretch->from_ms) return true;
    }
    return false;
  }

  // In order, apart from each other.
  const std::vector<Stretch>& stretches() const { return stretches_; }

 private:
  std::vector<Stretch> stretches_;
};

}  // namespace jack

// What happens in a simulated world, in the order of its time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

namespace jack::test {

// Since the beginning of the world.
using WorldTime = std::chrono::nanoseconds;

class Timeline {
 public:
  WorldTime now() const { return now_; }
  std::uint64_t steps() const { return steps_; }  // that have happened

  // What is to happen at one time happens in the order in which it was asked for.
  void at(WorldTime when, std::function<void()> action) {
    actions_.emplace(std::pair(std::max(when, now_), ++asked_), std::move(action));
  }
  void in(WorldTime pause, std::function<void()> action) { at(now_ + pause, std::move(action)); }

  // Lets the next thing happen; false where nothing is left to happen.
  bool step() {
    if (actions_.empty()) return false;
    auto next = actions_.extract(actions_.begin());
    now_ = next.key().first;
    ++steps_;
    next.mapped()();
    return true;
  }

 private:
  WorldTime now_{0};
  std::uint64_t asked_ = 0;
  std::uint64_t steps_ = 0;
  std::map<std::pair<WorldTime, std::uint64_t>, std::function<void()>> actions_;
};

}  // namespace jack::test

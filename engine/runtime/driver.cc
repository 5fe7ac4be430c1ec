#include "engine/runtime/driver.h"

#include <algorithm>

namespace jack {
namespace {

// How long the first entry of an engine may take; only a full disk makes it wait.
constexpr std::chrono::seconds kJoinWithin{10};

}  // namespace

Driver::Driver(const Parts& parts) : parts_(parts) {
  const int descriptors[] = {parts_.transport.descriptor(), parts_.store.descriptor(),
                             parts_.wake.descriptor()};
  for (const int descriptor : descriptors) {
    if (descriptor >= 0) files_.push_back({descriptor, POLLIN, 0});
  }
}

Result<void> Driver::start() {
  Loop& loop = parts_.loop;
  if (Result<void> started = loop.start(); !started) return started;
  std::optional<SteadyTime> joining_since;
  for (;;) {
    const bool busy = loop.turn();
    switch (loop.phase()) {
      case Loop::Phase::catching_up: break;
      case Loop::Phase::joining:
        if (!joining_since) joining_since = parts_.clock.now();
        if (parts_.clock.now() - *joining_since > kJoinWithin) {
          return Error{Code::storage_full, "there is no room for the engine's first entry"};
        }
        break;
      case Loop::Phase::stopped: return loop.failure();
      default: return {};
    }
    if (!busy) sleep();
  }
}

void Driver::run(const std::atomic<bool>& stop, Duration patience) {
  Loop& loop = parts_.loop;
  while (!stop.load(std::memory_order_relaxed)) {
    if (!loop.turn()) sleep();
  }
  loop.leave();
  const SteadyTime end = parts_.clock.now() + patience;
  const auto is_over = [&] {
    return loop.phase() == Loop::Phase::left || loop.phase() == Loop::Phase::stopped ||
           parts_.clock.now() >= end;
  };
  while (!is_over()) {
    if (!loop.turn() && !is_over()) sleep();
  }
  loop.turn();  // sends what the last one decided
}

void Driver::sleep() {
  const auto until = parts_.loop.wait_until() - parts_.clock.now();
  // Rounded up: waking too early means one more turn for nothing.
  const auto timeout = std::clamp(std::chrono::ceil<std::chrono::milliseconds>(until),
                                  std::chrono::milliseconds{0}, kLongestSleep);
  parts_.router.wait(files_, timeout);
  if (files_.back().revents != 0) parts_.wake.clear();
}

}  // namespace jack

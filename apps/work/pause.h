// A wait that ends early.
#pragma once

#include <condition_variable>
#include <mutex>
#include <stop_token>

#include <jack_engine/time.h>

namespace jack::app {

// Before an engine is asked again: one that is going away refuses at once, and so would be asked
// without end.
inline void pause_before_asking_again(const std::stop_token& stop) {
  constexpr Duration kPause{200};
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any never;
  never.wait_for(lock, stop, kPause, [] { return false; });
}

}  // namespace jack::app

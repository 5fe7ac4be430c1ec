// Drives a loop on the calling thread: turns while there is something to do, sleeps in one poll of
// all sockets and files otherwise.
#pragma once

#include <atomic>
#include <vector>

#include <poll.h>

#include <jack_engine/error.h>
#include <jack_engine/time.h>

#include "engine/runtime/loop.h"
#include "engine/store.h"
#include "engine/transport.h"
#include "engine/wire/router.h"
#include "engine/wire/wake.h"

namespace jack {

class Driver {
 public:
  // LoopOptions::longest_sleep of a loop that is driven by this. Between two turns an engine that
  // is alive never sleeps longer, so a longer gap means that it was frozen.
  static constexpr Duration kLongestSleep{1000};

  struct Parts {
    const Clock& clock;
    Transport& transport;
    Store& store;
    wire::Router& router;
    wire::Wake& wake;  // set by those who want it to look up
    Loop& loop;
  };
  explicit Driver(const Parts& parts);

  // Starts the loop, and turns until it takes work.
  // Errors: those of Loop::start(), and its failure; storage_full where there is no room even to
  //         join
  Result<void> start();

  // Turns until `stop` is set, then lets the loop leave: at most for `patience`.
  void run(const std::atomic<bool>& stop, Duration patience);

 private:
  void sleep();

  const Parts parts_;
  std::vector<pollfd> files_;
};

}  // namespace jack

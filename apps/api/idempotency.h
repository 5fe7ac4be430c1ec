// Idempotency keys: a client that repeats a request under the same key gets the same task.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <jack_engine/id.h>
#include <jack_engine/limits.h>
#include <jack_engine/time.h>

namespace jack::api {

// Ids that follow from a key. A task's id tells when it was made, and that must be lately: not so
// long ago that ids of then have been forgotten. So the time of these is the beginning of a span,
// and a repeat names the ids of the three spans before as well.
struct KeyedIds {
  TaskId id;
  std::vector<TaskId> earlier;
};

// How long a key is known: a day, but no longer than the engine knows ids.
Duration key_window(const Limits& limits);

// What a key stands for, beside its text.
struct KeyOwner {
  std::string_view principal;  // whose it is, so that nobody meets another's
  std::uint64_t number = 0;    // of the task within its request
};

// The spans have a third of the window. Pure.
KeyedIds ids_for_key(std::string_view key, const KeyOwner& owner, Duration window, WallTime now);

}  // namespace jack::api

// Idempotency keys: a client that repeats a request under the same key gets the same task.
#pragma once

#include <string_view>
#include <vector>

#include <jack_engine/id.h>
#include <jack_engine/time.h>

namespace jack::api {

// Ids that follow from a key. A task's id tells when it was made, and that must be lately; so the
// time of these is the beginning of a span of hours, and a repeat names the ids of the spans before
// as well. Together they reach back at least a day.
struct KeyedIds {
  TaskId id;
  std::vector<TaskId> earlier;
};

// `principal`: whose key it is, so that nobody meets another's. `number`: of the task within its
// request. Pure.
KeyedIds ids_for_key(std::string_view principal, std::string_view key, std::uint64_t number,
                     WallTime now);

}  // namespace jack::api

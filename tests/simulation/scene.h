// What all who act in a simulation share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/id.h>

#include "tests/simulation/plan.h"
#include "tests/support/auditor/history.h"

namespace jack::test {

struct Scene {
  const Plan& plan;
  History history;
  std::vector<TaskId> tasks;  // that somebody tried to submit
  bool calm = false;          // nobody makes trouble or new work any more
  std::uint64_t ids = 0;

  TaskId new_id(WallTime now) {
    ++ids;
    return TaskId::from(now, ids, ids * 0x9e3779b97f4a7c15u);
  }
};

// What an answer with this code says of the fate of what was asked.
inline Answer answer_of(Code code, bool repeated = false) {
  switch (code) {
    case Code::ok: return repeated ? Answer::repeated : Answer::ok;
    case Code::lease_lost: return Answer::lease_lost;
    case Code::unavailable:
    case Code::stopped:
    case Code::timed_out:
    case Code::internal: return Answer::unknown;
    default: return Answer::refused;
  }
}

// A refusal that passes: the same may be asked again later.
inline bool passes(Code code) {
  return code == Code::unavailable || code == Code::stopped || code == Code::storage_full ||
         code == Code::queue_full || code == Code::rate_limited || code == Code::timed_out;
}

}  // namespace jack::test

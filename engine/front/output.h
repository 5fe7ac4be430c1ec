// What the front wants done: data that the loop carries out.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include <jack_engine/id.h>
#include <jack_engine/time.h>

#include "engine/front/batch.h"
#include "engine/runtime/sessions.h"
#include "engine/store.h"
#include "engine/wire/messages.h"

namespace jack {

// The three clocks at one moment.
struct Now {
  SteadyTime steady;
  Instant journal;
  WallTime wall;
  // Added to journal times it gives dates to show: the same at each look, so that a date does not
  // change while the wall clock goes as it should.
  Duration wall_offset{0};
};

// Questions that may need the store. The loop answers them itself, but for events, and for results
// of tasks that a retry has brought back since.
struct ReadTask {
  TaskId task;               // empty: that of this number
  std::uint64_t number = 0;  // TaskStatus::serial
  bool with_payload = false;
};
struct ReadResult {  // of a task that is not in memory: it is finished, or there is none
  TaskId task;
  Duration wait{0};  // where it has come back into memory meanwhile
};
struct ReadList {
  ListQuery query;
  // What the store does not know of a task. Empty: all.
  std::string type;
  TaskId parent{};
  std::int64_t from_ms = 0;  // not those made before, by the time in their ids
  bool payloads = false;
};
struct ReadTaskOutput {
  TaskId task;
  std::uint64_t offset = 0;
  std::uint64_t bytes_max = 0;
};
struct ReadInfo {};
struct ReadEvents {  // comes back by Front::on_stored_events()
  Position after;
};

struct Read {
  SessionId session = 0;
  wire::Correlation correlation = 0;
  std::variant<ReadTask, ReadResult, ReadList, ReadTaskOutput, ReadInfo, ReadEvents> what;
};

struct Output {
  std::vector<Outbound> frames;
  Batch commands;  // for the next entry
  std::vector<Read> reads;
  std::vector<SessionId> forgotten;

  void refuse(SessionId session, wire::Correlation correlation, const Error& error) {
    send(session, wire::Refused{correlation, error.code, error.message});
  }

  template <typename Message>
  void send(SessionId session, const Message& message) {
    frames.push_back({session, wire::encode(message)});
  }
};

}  // namespace jack

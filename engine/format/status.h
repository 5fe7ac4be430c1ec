// The encoded forms of a task's status and of an event, as the wire carries them and the store
// keeps them. Documented for other languages in docs/protocol.md.
//
//   status: [state, serial, attempt, cycle, token, submitted, changed, due|nil, expires|nil,
//            progress ‰, progress note, output bytes, error,
//            [[attempt, outcome, started, ended, error, worker, cycle], …], worker,
//            {annotation: value bin}]
//   event:  [entry, ordinal, kind, at, task bin (empty: of a queue), queue, attempt, text bin,
//            progress ‰, cycle]
//
// Times are journal milliseconds. More fields may come at the end; readers skip what they do not
// know.
#pragma once

#include <string>
#include <string_view>

#include <jack_engine/error.h>
#include <jack_engine/task.h>

#include "engine/format/unpack.h"

namespace jack {

void encode(const TaskStatus& status, std::string& out);

// Errors: invalid_argument  not a status
Result<TaskStatus> decode_status(Unpacker& unpacker, std::string_view bytes);

// An event as State produces it: its texts are views.
struct EventView {
  Position position;
  EventKind kind = EventKind::submitted;
  Instant at;
  TaskId task{};
  std::string_view queue;
  std::uint32_t attempt = 0;
  std::string_view text;
  std::uint32_t progress_permille = 0;
  std::uint32_t cycle = 0;
};

void encode(const EventView& event, std::string& out);

// Errors: invalid_argument  not an event
Result<EventView> decode_event(Unpacker& unpacker, std::string_view bytes);

Event to_event(const EventView& view);

}  // namespace jack

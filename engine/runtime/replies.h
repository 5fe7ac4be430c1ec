// What engines answer, in the types that programs know. Instants become dates: journal times, moved
// by what the engine says is the difference to the wall clock.
#pragma once

#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <jack_engine/client.h>
#include <jack_engine/error.h>
#include <jack_engine/task.h>

#include "engine/wire/messages.h"

namespace jack {

Error unexpected_answer();

// The answer as the message that it should be.
template <typename Message>
Result<Message> expect(Result<wire::Reply> reply) {
  if (!reply) return std::move(reply).error();
  if (auto* message = std::get_if<Message>(&*reply)) return std::move(*message);
  return unexpected_answer();
}

// The answer to a request about one thing.
Result<void> expect_done(Result<wire::Reply> reply);

// Errors: internal  the engine speaks otherwise
Result<Task> to_task(std::string_view spec, std::string_view status, Duration wall_offset);
Result<std::vector<Event>> to_events(const wire::Events& message);
QueueStatus to_status(const wire::QueueItem& item);

// What people read are dates.
inline void move(Instant& at, Duration by) {
  if (at != kNever) at = at + by;
}

}  // namespace jack

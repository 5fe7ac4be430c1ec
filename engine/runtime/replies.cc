#include "engine/runtime/replies.h"

#include "engine/format/spec.h"
#include "engine/format/status.h"

namespace jack {
namespace {

void move(std::optional<Instant>& at, Duration by) {
  if (at) jack::move(*at, by);
}

void to_dates(TaskStatus& status, Duration wall_offset) {
  jack::move(status.submitted, wall_offset);
  jack::move(status.changed, wall_offset);
  move(status.due, wall_offset);
  move(status.expires, wall_offset);
  for (AttemptRecord& attempt : status.attempts) {
    jack::move(attempt.started, wall_offset);
    jack::move(attempt.ended, wall_offset);
  }
}

}  // namespace

Error unexpected_answer() {
  return {Code::internal, "the engine's answer does not fit the question; is it another version?"};
}

Result<void> expect_done(Result<wire::Reply> reply) {
  Result<wire::Done> done = expect<wire::Done>(std::move(reply));
  if (!done) return std::move(done).error();
  for (const wire::Done::Item& item : done->items) {
    if (item.code != Code::ok) return Error{item.code, std::string(item.message)};
  }
  return {};
}

Result<Task> to_task(std::string_view spec, std::string_view status, Duration wall_offset) {
  Unpacker unpacker;
  Task task;
  Result<SpecView> view = decode_spec(unpacker, spec);
  if (!view) return std::move(view).error();
  task.spec = to_spec(*view);
  Result<TaskStatus> decoded = decode_status(unpacker, status);
  if (!decoded) return std::move(decoded).error();
  task.status = *std::move(decoded);
  to_dates(task.status, wall_offset);
  return task;
}

Result<std::vector<Event>> to_events(const wire::Events& message) {
  Unpacker unpacker;
  std::vector<Event> events;
  events.reserve(message.events.size());
  for (const std::string_view encoded : message.events) {
    Result<EventView> view = decode_event(unpacker, encoded);
    if (!view) return std::move(view).error();
    events.push_back(to_event(*view));
    move(events.back().at, message.wall_offset);
  }
  return events;
}

QueueStatus to_status(const wire::QueueItem& item) {
  QueueStatus status;
  status.name = item.name;
  status.paused = item.paused;
  status.scheduled = item.scheduled;
  status.queued = item.queued;
  status.running = item.running;
  status.succeeded = item.succeeded;
  status.failed = item.failed;
  status.cancelled = item.cancelled;
  status.expired = item.expired;
  status.workers = item.workers;
  status.oldest = item.oldest;
  status.arriving = static_cast<double>(item.arriving_milli) / 1000;
  status.leaving = static_cast<double>(item.leaving_milli) / 1000;
  return status;
}

}  // namespace jack

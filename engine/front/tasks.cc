// What clients ask: submit, cancel, retry, pause, and questions about tasks and queues.
#include <algorithm>
#include <utility>

#include "engine/format/duration.h"
#include "engine/front/front.h"

namespace jack {
namespace {

// Longer waits are asked for again by whoever still waits.
constexpr Duration kWaitMax = std::chrono::hours{24};

constexpr std::uint32_t kPageTasksMax = 1000;
constexpr std::uint64_t kOutputBytesMax = 1u << 20;

// Dates beyond the year 9999 mean no more than that year does.
constexpr std::int64_t kDateMax = 253'402'300'799'000;

// How far the time in an id may be ahead: more is a clock that is wrong. Ids tell by their time
// whether they could be repeats, so one of the far future would make trouble when it comes.
constexpr Duration kIdAheadMax{std::chrono::hours{1}};

// A date on the journal's clock: by the clocks as they stand, and by the offset with which dates
// are shown, some milliseconds apart at most. What begins at a date takes the later one and what
// ends there the earlier, so that it is neither done nor shown on the wrong side of it.
struct Moment {
  Instant earlier;
  Instant later;
};
Moment to_journal(const Now& now, WallTime date) {
  const Duration since_1970 = std::clamp(date.time_since_epoch(), Duration{0}, Duration{kDateMax});
  const auto [earlier, later] =
      std::minmax({now.journal + (since_1970 - now.wall.time_since_epoch()),
                   Instant{(since_1970 - now.wall_offset).count()}});
  return {earlier, later};
}

}  // namespace

// Refuses what the state would refuse whatever happens, so that it costs no entry.
Result<SubmitCommand> Front::submit_command(const Now& now, const wire::NewTask& task) {
  Result<SpecView> view = decode_spec(spec_unpacker_, task.spec);
  if (!view) return std::move(view).error();
  if (Result<void> checked = check(*view, state_.limits()); !checked) {
    return std::move(checked).error();
  }
  if (view->id.unix_ms() > (now.wall.time_since_epoch() + kIdAheadMax).count()) {
    return Error{Code::invalid_argument,
                 "the id was made more than an hour ahead of this engine's clock (at " +
                     std::to_string(view->id.unix_ms()) + " ms, and it is " +
                     std::to_string(now.wall.time_since_epoch().count()) +
                     " ms since 1970); is one of the clocks wrong?"};
  }
  SubmitCommand command;
  command.spec = task.spec;
  command.result = task.result;
  command.content_type = task.content_type;
  command.other_ids = task.other_ids;
  command.annotations = task.annotations;
  if (view->not_before) {
    const Moment moment = to_journal(now, *view->not_before);
    command.not_before = moment.later;
    const Duration delay_max = state_.limits().delay_max;
    if (moment.earlier > now.journal + delay_max) {
      return Error{Code::invalid_argument,
                   "not_before must be at most " + exact_text(delay_max) + " ahead of now"};
    }
  }
  if (view->expires_at) command.expires = to_journal(now, *view->expires_at).earlier;
  return command;
}

void Front::on(const Now& now, Session& session, const wire::Submit& message, Output& out) {
  if (refuse_change(session, message.correlation, Taking::all, out)) return;
  if (refuse_batch(session, message.correlation, message.tasks.size(), out)) return;
  std::size_t bytes = 0;
  for (const wire::NewTask& task : message.tasks) {
    bytes += task.spec.size() + task.result.value_or(std::string_view()).size();
  }
  if (bytes > limits_.batch_bytes_max) {
    refuse(
        session.id, message.correlation,
        {Code::invalid_argument, "a message may have " + std::to_string(limits_.batch_bytes_max) +
                                     " bytes of tasks, this one has " + std::to_string(bytes)},
        out);
    return;
  }
  out.commands.begin(Pending::Kind::submit, session.id, message.correlation);
  for (const wire::NewTask& task : message.tasks) {
    if (refuse_denied(out)) continue;
    Result<SubmitCommand> command = submit_command(now, task);
    if (command) {
      out.commands.add(*command);
    } else {
      out.commands.refuse(std::move(command).error());
    }
  }
  finish_request(session.id, out);
}

void Front::on(const Now&, Session& session, const wire::Cancel& message, Output& out) {
  if (refuse_change(session, message.correlation, Taking::settles, out)) return;
  if (refuse_batch(session, message.correlation, message.tasks.size(), out)) return;
  // It is kept once for each of the tasks.
  const std::uint64_t bytes_max = state_.limits().error_bytes_max;
  if (message.reason.size() > bytes_max) {
    refuse(session.id, message.correlation,
           {Code::invalid_argument, "a reason may have " + std::to_string(bytes_max) +
                                        " bytes, this one has " +
                                        std::to_string(message.reason.size())},
           out);
    return;
  }
  out.commands.begin(Pending::Kind::change, session.id, message.correlation);
  for (const TaskId& task : message.tasks) {
    if (!refuse_denied(out)) out.commands.add(CancelCommand{task, message.reason});
  }
  finish_request(session.id, out);
}

void Front::on(const Now&, Session& session, const wire::Retry& message, Output& out) {
  if (refuse_change(session, message.correlation, Taking::all, out)) return;
  if (refuse_batch(session, message.correlation, message.tasks.size(), out)) return;
  out.commands.begin(Pending::Kind::change, session.id, message.correlation);
  for (const TaskId& task : message.tasks) {
    if (!refuse_denied(out)) out.commands.add(RetryCommand{task});
  }
  finish_request(session.id, out);
}

void Front::on(const Now&, Session& session, const wire::Annotate& message, Output& out) {
  if (refuse_change(session, message.correlation, Taking::all, out)) return;
  if (refuse_batch(session, message.correlation, message.items.size(), out)) return;
  out.commands.begin(Pending::Kind::change, session.id, message.correlation);
  for (const wire::Annotate::Item& item : message.items) {
    if (refuse_denied(out)) continue;
    out.commands.add(AnnotateCommand{item.task, item.changes});
  }
  finish_request(session.id, out);
}

void Front::on(const Now&, Session& session, const wire::Remove& message, Output& out) {
  if (refuse_change(session, message.correlation, Taking::settles, out)) return;
  if (refuse_batch(session, message.correlation, message.tasks.size(), out)) return;
  out.commands.begin(Pending::Kind::change, session.id, message.correlation);
  for (const TaskId& task : message.tasks) {
    if (!refuse_denied(out)) out.commands.add(RemoveCommand{task});
  }
  finish_request(session.id, out);
}

void Front::on(const Now&, Session& session, const wire::Pause& message, Output& out) {
  if (refuse_change(session, message.correlation, Taking::settles, out)) return;
  if (!is_queue_name(message.queue)) {
    refuse(session.id, message.correlation, {Code::invalid_argument, kQueueNameRule}, out);
    return;
  }
  out.commands.begin(Pending::Kind::change, session.id, message.correlation);
  out.commands.add(PauseCommand{message.queue, message.paused});
  finish_request(session.id, out);
}

void Front::on(const Now& now, Session& session, const wire::Queues& message, Output& out) {
  const std::map<std::string_view, std::uint64_t> credit = pools_.credit_by_queue();
  wire::QueueList list;
  list.correlation = message.correlation;
  const std::shared_ptr<const Rights> reader = reader_of(session);
  for (const QueueView& queue : state_.queues()) {
    if (reader != nullptr && !reader->allows(Scope::read, queue.name)) continue;
    const auto workers = credit.find(queue.name);
    list.queues.push_back({.name = queue.name,
                           .paused = queue.paused,
                           .scheduled = queue.counts.scheduled,
                           .queued = queue.counts.queued,
                           .running = queue.counts.running,
                           .succeeded = queue.counts.succeeded,
                           .failed = queue.counts.failed,
                           .cancelled = queue.counts.cancelled,
                           .expired = queue.counts.expired,
                           .workers = workers == credit.end() ? 0 : workers->second,
                           .oldest = queue.oldest ? now.journal - *queue.oldest : Duration{0},
                           .arriving_milli = rates_.arriving_milli(queue.name, now.steady),
                           .leaving_milli = rates_.leaving_milli(queue.name, now.steady)});
  }
  out.send(session.id, list);
}

void Front::on(const Now&, Session& session, const wire::Get& message, Output& out) {
  out.reads.push_back({session.id, message.correlation,
                       ReadTask{message.task, message.number, message.with_payload}});
}

void Front::on(const Now&, Session& session, const wire::List& message, Output& out) {
  if (!message.queue.empty() && !is_queue_name(message.queue)) {
    refuse(session.id, message.correlation, {Code::invalid_argument, kQueueNameRule}, out);
    return;
  }
  ReadList list;
  list.query.queue = message.queue;
  list.query.state = message.state;
  list.query.finished_too = message.finished_too;
  list.query.before = message.before;
  list.query.count_max = std::clamp(message.count, 1u, kPageTasksMax);
  if (auto reader = reader_of(session); reader != nullptr && message.queue.empty()) {
    list.query.shows = [reader = std::move(reader)](std::string_view queue) {
      return reader->allows(Scope::read, queue);
    };
  }
  list.type = message.type;
  list.parent = message.parent;
  list.from_ms = message.from_ms.value_or(0);
  list.payloads = message.payloads;
  if (message.to_ms) {
    const WallTime to{Duration{std::clamp<std::int64_t>(*message.to_ms, 0, kDateMax)}};
    const TaskId bound = TaskId::from(to, 0, 0);
    if (list.query.before.empty() || bound < list.query.before) list.query.before = bound;
  }
  out.reads.push_back({session.id, message.correlation, std::move(list)});
}

void Front::on(const Now&, Session& session, const wire::ReadOutput& message, Output& out) {
  out.reads.push_back(
      {session.id, message.correlation,
       ReadTaskOutput{message.task, message.offset, std::min(message.bytes_max, kOutputBytesMax)}});
}

void Front::on(const Now&, Session& session, const wire::Info& message, Output& out) {
  out.reads.push_back({session.id, message.correlation, ReadInfo{}});
}

void Front::on(const Now& now, Session& session, const wire::Wait& message, Output& out) {
  const std::optional<TaskState> state = state_.state_of(message.task);
  if (!state || state_.is_result_stored(message.task)) {
    out.reads.push_back({session.id, message.correlation, ReadResult{message.task, message.wait}});
    return;
  }
  if (send_result(session.id, message.correlation, message.task, out)) return;
  if (message.wait <= Duration{0}) {
    refuse(session.id, message.correlation,
           {Code::timed_out, "the task is " + std::string(name_of(*state))}, out);
    return;
  }
  if (session.is_remote() && session.wait_count >= limits_.waits_per_session_max) {
    refuse(session.id, message.correlation,
           {Code::rate_limited, "a session may wait for " +
                                    std::to_string(limits_.waits_per_session_max) +
                                    " tasks at a time"},
           out);
    return;
  }
  waits_.add(message.task, session, message.correlation,
             now.steady + std::min(message.wait, kWaitMax));
}

void Front::on_wait_again(const Now& now, const Read& read, Output& out) {
  Session* session = sessions_.find(read.session);
  if (session == nullptr) return;
  const auto& result = std::get<ReadResult>(read.what);
  on(now, *session, wire::Wait{read.correlation, result.task, result.wait}, out);
}

void Front::tell_waiting(const Outcomes& outcomes, Output& out) {
  if (waits_.empty()) return;
  for (const EventView& event : outcomes.events) {
    if (!ends_task(event.kind) || !waits_.has(event.task)) continue;
    // A retry in the same entry has begun it anew: then they go on waiting.
    const std::optional<TaskState> state = state_.state_of(event.task);
    if (state && !is_terminal(*state)) continue;
    waits_.take(event.task, [&](const Wait& wait) {
      if (send_result(wait.session->id, wait.correlation, event.task, out)) return;
      refuse(wait.session->id, wait.correlation,
             {Code::not_found, "the task has ended, and was removed at once"}, out);
    });
  }
}

// Answers from memory. False where the task is not there or has not ended.
bool Front::send_result(SessionId session, Correlation correlation, const TaskId& task,
                        Output& out) {
  const std::optional<TaskView> view = state_.find(task);
  if (!view || !is_terminal(view->status.state)) return false;
  wire::ResultMessage result;
  result.correlation = correlation;
  result.task = task;
  result.state = view->status.state;
  if (view->status.state == TaskState::succeeded) {
    result.result = view->result.value_or(std::string_view());
    result.content_type = view->result_content_type;
  } else {
    result.error = view->status.error;
  }
  out.send(session, result);
  return true;
}

}  // namespace jack

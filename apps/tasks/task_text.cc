#include "apps/tasks/task_text.h"

#include <algorithm>

#include <fmt/format.h>

#include "apps/cli/values.h"
#include "apps/text/date.h"
#include "apps/text/duration.h"
#include "apps/text/escape.h"

namespace jack::app {
namespace {

// Of payloads and results that are shown to people; `jack result` has all of it.
constexpr std::size_t kPreviewBytes = 2000;

std::string first_line(std::string_view text) { return escaped(text.substr(0, text.find('\n'))); }

std::string age_text(Instant at, WallTime now) {
  return short_text(std::max(now - date_of(at), Duration{0}));
}

// What there is to say about the task at this moment.
std::string note_of(const Task& task, WallTime now) {
  const TaskStatus& status = task.status;
  if (status.state == TaskState::scheduled && status.due) {
    const std::string due =
        fmt::format("due in {}", short_text(std::max(date_of(*status.due) - now, Duration{0})));
    return status.error.empty() ? due : due + ": " + first_line(status.error);
  }
  if (status.state == TaskState::running) {
    std::string note = escaped(status.worker);
    if (status.progress_permille != 0) {
      note += fmt::format("{}{}%", note.empty() ? "" : " ", status.progress_permille / 10);
    }
    if (!status.progress_note.empty()) note += " " + escaped(status.progress_note);
    return note;
  }
  return first_line(status.error);
}

// "name   text" lines, the names in one column.
class Facts {
 public:
  explicit Facts(bool colour) : colour_(colour) {}

  void add(std::string_view name, std::string_view value) {
    if (value.empty()) return;
    std::string padded(name);
    padded.resize(14, ' ');
    text += toned(padded, Tone::faint, colour_) + std::string(value) + "\n";
  }

  std::string text;

 private:
  bool colour_;
};

std::string when(Instant at, WallTime now) {
  return fmt::format("{} ({} ago)", local_date_text(date_of(at)), age_text(at, now));
}

std::string when_due(Instant at, WallTime now) {
  const Duration left = date_of(at) - now;
  if (left.count() <= 0) return when(at, now);
  return fmt::format("{} (in {})", local_date_text(date_of(at)), short_text(left));
}

std::string duration_or_nothing(Duration duration) {
  return duration.count() == 0 ? "" : exact_text(duration);
}

void add_spec(Facts& facts, const TaskSpec& spec) {
  facts.add("type", escaped(spec.type));
  if (spec.priority != Priority::normal) facts.add("priority", name_of(spec.priority));
  facts.add("from", escaped(spec.from));
  facts.add("parent", spec.parent.empty() ? "" : to_string(spec.parent));
  facts.add("reply to", spec.reply_to);
  facts.add("timeout", duration_or_nothing(spec.timeout));
  for (const auto& [name, value] : spec.headers) {
    facts.add("header", escaped(name) + ": " + escaped(value));
  }
}

void add_status(Facts& facts, const Task& task, WallTime now) {
  const TaskStatus& status = task.status;
  facts.add("submitted", when(status.submitted, now));
  facts.add(name_of(status.state), when(status.changed, now));
  if (status.state == TaskState::scheduled && status.due) {
    facts.add("due", when_due(*status.due, now));
  }
  if (status.expires && !is_terminal(status.state)) {
    facts.add("expires", when_due(*status.expires, now));
  }
  facts.add("attempt", fmt::format("{} of {}", status.attempt, task.spec.max_attempts));
  if (status.cycle > 1) facts.add("cycle", std::to_string(status.cycle));
  facts.add("worker", escaped(status.worker));
  if (status.state == TaskState::running && status.progress_permille != 0) {
    facts.add("progress",
              fmt::format("{}% {}", status.progress_permille / 10, escaped(status.progress_note)));
  }
  if (status.output_bytes != 0) facts.add("output", fmt::format("{} bytes", status.output_bytes));
}

std::string attempts_text(const std::vector<AttemptRecord>& attempts, const TableStyle& style) {
  Table table({{"CYCLE", Align::right},
               {"ATTEMPT", Align::right},
               {"OUTCOME"},
               {"STARTED"},
               {"TOOK", Align::right},
               {"WORKER", Align::left, true},
               {"ERROR", Align::left, true}});
  for (const AttemptRecord& attempt : attempts) {
    const Tone tone = attempt.outcome == Outcome::succeeded  ? Tone::good
                      : attempt.outcome == Outcome::released ? Tone::plain
                                                             : Tone::bad;
    table.add({std::to_string(attempt.cycle), std::to_string(attempt.attempt),
               Cell(std::string(name_of(attempt.outcome)), tone),
               local_date_text(date_of(attempt.started)),
               short_text(attempt.ended - attempt.started), escaped(attempt.worker),
               first_line(attempt.error)});
  }
  return table.empty() ? std::string() : "\n" + table.text(style);
}

std::string bytes_text(std::string_view title, std::string_view bytes, bool colour) {
  if (bytes.empty()) return {};
  const std::string_view preview = bytes.substr(0, kPreviewBytes);
  std::string text = fmt::format(
      "\n{}\n", toned(fmt::format("{}, {} bytes", title, bytes.size()), Tone::title, colour));
  text += is_utf8(bytes) ? escaped_lines(preview) : escaped(preview);
  if (preview.size() < bytes.size()) text += "…";
  if (text.back() != '\n') text += '\n';
  return text;
}

// Tasks per second. What has nearly faded is shown as nothing.
Cell rate_cell(double per_second) {
  if (per_second < 0.005) return Cell("0", Tone::faint);
  return Cell(fmt::format("{:.{}f}", per_second, per_second < 10 ? 2 : 0));
}

}  // namespace

WallTime date_of(Instant at) { return WallTime{Duration{at.ms}}; }

Tone tone_of(TaskState state) {
  switch (state) {
    case TaskState::succeeded: return Tone::good;
    case TaskState::failed:
    case TaskState::expired: return Tone::bad;
    case TaskState::running: return Tone::busy;
    case TaskState::cancelled: return Tone::faint;
    case TaskState::waiting:
    case TaskState::scheduled:
    case TaskState::queued: return Tone::plain;
  }
  return Tone::plain;
}

std::string tasks_text(const std::vector<Task>& tasks, WallTime now, const TableStyle& style) {
  Table table({{"ID"},
               {"QUEUE", Align::left, true},
               {"STATE"},
               {"ATTEMPT", Align::right},
               {"AGE", Align::right},
               {"TYPE", Align::left, true},
               {"FROM", Align::left, true},
               {"NOTE", Align::left, true}});
  for (const Task& task : tasks) {
    table.add({to_string(task.spec.id), task.spec.queue,
               Cell(std::string(name_of(task.status.state)), tone_of(task.status.state)),
               fmt::format("{}/{}", task.status.attempt, task.spec.max_attempts),
               age_text(task.status.submitted, now), escaped(task.spec.type),
               escaped(task.spec.from), note_of(task, now)});
  }
  return table.text(style);
}

std::string task_text(const Task& task, const TaskResult* result, WallTime now,
                      const TableStyle& style) {
  Facts facts(style.colour);
  facts.add("task", to_string(task.spec.id));
  facts.add("state", toned(name_of(task.status.state), tone_of(task.status.state), style.colour));
  facts.add("queue", task.spec.queue);
  add_spec(facts, task.spec);
  add_status(facts, task, now);

  std::string text = facts.text + attempts_text(task.status.attempts, style);
  text += bytes_text("Error", task.status.error, style.colour);
  text += bytes_text("Payload", task.spec.payload, style.colour);
  if (result != nullptr) text += bytes_text("Result", result->result, style.colour);
  return text;
}

std::string queues_text(const std::vector<QueueStatus>& queues, const TableStyle& style) {
  Table table({{"QUEUE", Align::left, true},
               {"STATE"},
               {"SCHEDULED", Align::right},
               {"QUEUED", Align::right},
               {"OLDEST", Align::right},
               {"RUNNING", Align::right},
               {"SUCCEEDED", Align::right},
               {"FAILED", Align::right},
               {"CANCELLED", Align::right},
               {"EXPIRED", Align::right},
               {"IN/S", Align::right},
               {"OUT/S", Align::right},
               {"WAITING WORKERS", Align::right}});
  for (const QueueStatus& queue : queues) {
    const auto count = [](std::uint64_t value, Tone tone = Tone::plain) {
      return Cell(std::to_string(value), value == 0 ? Tone::faint : tone);
    };
    table.add({queue.name, queue.paused ? Cell("paused", Tone::bad) : Cell("open"),
               count(queue.scheduled), count(queue.queued),
               queue.queued == 0 ? Cell("-", Tone::faint) : Cell(short_text(queue.oldest)),
               count(queue.running, Tone::busy), count(queue.succeeded, Tone::good),
               count(queue.failed, Tone::bad), count(queue.cancelled),
               count(queue.expired, Tone::bad), rate_cell(queue.arriving), rate_cell(queue.leaving),
               count(queue.workers)});
  }
  return table.text(style);
}

std::string event_text(const Event& event, bool colour) {
  const bool bad = event.kind == EventKind::failed || event.kind == EventKind::attempt_failed ||
                   event.kind == EventKind::expired;
  const Tone tone = bad                                  ? Tone::bad
                    : event.kind == EventKind::succeeded ? Tone::good
                    : event.kind == EventKind::started   ? Tone::busy
                                                         : Tone::plain;
  std::string kind(name_of(event.kind));
  kind.resize(std::max<std::size_t>(kind.size(), 14), ' ');
  std::string text =
      fmt::format("{} {} {} {}", toned(text_of(event.position), Tone::faint, colour),
                  local_date_text(date_of(event.at)), toned(kind, tone, colour), event.queue);
  if (!event.task.empty()) text += " " + to_string(event.task);
  if (event.attempt != 0) text += fmt::format(" attempt {}", event.attempt);
  if (event.cycle > 1) text += fmt::format(" of cycle {}", event.cycle);
  if (event.kind == EventKind::progressed) {
    text += fmt::format(" {}%", event.progress_permille / 10);
  }
  if (!event.text.empty()) text += ": " + escaped(event.text);
  return text + "\n";
}

std::string ended_text(TaskState state) {
  return state == TaskState::cancelled ? "was cancelled" : std::string(name_of(state));
}

std::string failure_text(const TaskResult& result) {
  std::string text = fmt::format("task {} {}", to_string(result.task), ended_text(result.state));
  if (result.error.empty()) return text;
  const bool lines = result.error.find('\n') != std::string::npos;
  return text + (lines ? ":\n" : ": ") + result.error;
}

}  // namespace jack::app

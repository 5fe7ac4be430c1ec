// What a task is: what was asked (TaskSpec) and what has happened (TaskStatus).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/id.h>
#include <jack_engine/time.h>

namespace jack {

// Higher runs first, strictly. Part of the formats: never renumber.
enum class Priority : std::uint8_t { low = 0, normal = 1, high = 2, urgent = 3 };

// Part of the formats: never renumber.
//
//   waiting ─► scheduled ─► queued ─► running ─► succeeded | failed | cancelled | expired
//
// `waiting` is for other tasks (reserved: this version has no dependencies), `scheduled` for a
// time, `queued` for a worker. The last four are terminal: they change only by an explicit retry.
enum class TaskState : std::uint8_t {
  waiting = 0,
  scheduled = 1,
  queued = 2,
  running = 3,
  succeeded = 4,
  failed = 5,
  cancelled = 6,
  expired = 7,
};

inline bool is_terminal(TaskState state) { return state >= TaskState::succeeded; }
std::string_view name_of(TaskState state);
std::string_view name_of(Priority priority);
std::optional<TaskState> task_state_from(std::string_view name);
std::optional<Priority> priority_from(std::string_view name);

// How long a failed attempt waits before the next: initial × factor^(attempt−1), at most `max`,
// then moved by up to ±jitter, derived from the task's id, so that it is the same on every engine.
// Factor and jitter are in thousandths because apply uses integers only.
struct Backoff {
  Duration initial{1000};
  std::uint32_t factor_permille = 2000;  // 1000–100,000
  Duration max{600'000};
  std::uint32_t jitter_permille = 200;  // 0–1000

  friend bool operator==(const Backoff&, const Backoff&) = default;
};

// What is asked. Immutable once submitted. Bounds are those of Limits; a spec beyond them is
// refused with invalid_argument or payload_too_large and a message that names the field.
struct TaskSpec {
  TaskId id{};               // made by the submitting client where empty
  std::string queue;         // 1–128 of [A-Za-z0-9._-]; an agent's name is the name of its queue
  std::string payload;       // bytes, never looked into
  std::string type;          // which handler; free text, may be empty
  std::string content_type;  // media type of the payload, may be empty
  Priority priority = Priority::normal;
  std::optional<WallTime> not_before;  // a date before which no attempt starts
  Duration delay{0};                   // the same, counted from acceptance; not with not_before
  std::optional<WallTime> expires_at;  // a date after which no attempt starts
  Duration expires_in{0};              // the same, counted from acceptance; not with expires_at
  Duration timeout{0};                 // of one attempt; 0: none
  std::uint32_t max_attempts = 3;
  Backoff backoff;
  std::string reply_to;  // a queue that gets the terminal outcome as a task; empty: none
  TaskId parent{};       // the task this one was submitted for; empty: none
  std::string from;      // who submits, free text
  std::map<std::string, std::string> headers;  // carried along; `traceparent` travels here

  friend bool operator==(const TaskSpec&, const TaskSpec&) = default;
};

// How an attempt ended. Part of the formats: never renumber.
enum class Outcome : std::uint8_t {
  succeeded = 1,
  failed = 2,     // by the worker's word
  released = 3,   // given back, not counted against the task
  lost = 4,       // the worker, or its engine, went away
  timed_out = 5,  // ran longer than the spec's timeout
  cancelled = 6,  // the task was cancelled while it ran
};
std::string_view name_of(Outcome outcome);

// One attempt that has ended. The last 16 of a task are kept.
struct AttemptRecord {
  std::uint32_t attempt = 0;  // counted from 1 in each cycle
  Outcome outcome = Outcome::failed;
  Instant started;
  Instant ended;
  std::string error;   // empty unless it failed; at most Limits::error_bytes_max
  std::string worker;  // the name its worker gave, may be empty
  std::uint32_t cycle = 1;
};

// What has happened to a task so far, as its engine sees it.
struct TaskStatus {
  TaskState state = TaskState::queued;
  std::uint64_t serial = 0;   // its number: its place in the order of acceptance, from 1
  std::uint32_t attempt = 0;  // attempts counted so far in this cycle, the running one included
  std::uint32_t cycle = 1;    // 1, and one more for each explicit retry
  LeaseToken token;           // of the running or the last attempt; none yet: kNoLease
  Instant submitted;
  Instant changed;             // when it got into its present state
  std::optional<Instant> due;  // when a scheduled task becomes queued
  std::optional<Instant> expires;
  std::uint32_t progress_permille = 0;
  std::string progress_note;
  std::uint64_t output_bytes = 0;  // output so far of all attempts, as kept
  std::string worker;              // who runs it, where this engine knows
  std::string error;               // of the last attempt that failed, or why it was cancelled
  std::vector<AttemptRecord> attempts;
  // What people and programs noted on it: at most kAnnotationsMax names with their values, which
  // are bytes.
  std::map<std::string, std::string> annotations;
};

// A task as read back: its spec and its status. `payload` is empty unless it was asked for.
struct Task {
  TaskSpec spec;
  TaskStatus status;
};

// The terminal outcome of a task.
struct TaskResult {
  TaskId task;
  TaskState state = TaskState::succeeded;
  std::string result;        // what the worker returned; empty unless succeeded
  std::string content_type;  // of the result
  std::string error;         // empty where succeeded
};

// One step in a task's history. Part of the formats: never renumber.
enum class EventKind : std::uint8_t {
  submitted = 1,
  queued = 2,   // became due, or came back by a release
  started = 3,  // an attempt was handed out, or begins without a lease and succeeds at once
  progressed = 4,
  output = 5,
  attempt_failed = 6,  // and another will follow; `text` is the error
  released = 7,
  succeeded = 8,
  failed = 9,
  cancelled = 10,
  expired = 11,
  retried = 12,  // by hand: a new cycle
  queue_paused = 13,
  queue_resumed = 14,
  annotated = 15,  // its notes have changed: TaskStatus::annotations has them
  removed = 16,    // by hand: it is no longer found, but its id stays taken
};
std::string_view name_of(EventKind kind);
// Whether its task is in a terminal state from there on.
bool ends_task(EventKind kind);

struct Event {
  Position position;
  EventKind kind = EventKind::submitted;
  Instant at;
  TaskId task{};  // empty for events of a queue
  std::string queue;
  std::uint32_t attempt = 0;
  std::string text;  // error, progress note or output chunk
  std::uint32_t progress_permille = 0;
  std::uint32_t cycle = 0;  // of the task; that which begins, where it was retried
};

}  // namespace jack

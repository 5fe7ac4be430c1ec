// Commands: requests to change state, as they stand in an entry.
//
// Each is an array that begins with its kind; the fields are listed beside the structs, in order.
// A command may get more fields at its end: readers skip what they do not know, and what it means
// is decided by the rules number of the state (docs/architecture.md, "Formats").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/limits.h>
#include <jack_engine/task.h>

#include "engine/format/annotations.h"
#include "engine/format/unpack.h"

namespace jack {

// The rules by which apply goes, and the range that this build supports (State::apply).
inline constexpr std::uint32_t kRulesOldest = 1;
inline constexpr std::uint32_t kRulesNewest = 1;

// Part of the journal's format: never renumber, never reuse a retired value.
enum class CommandKind : std::uint8_t {
  submit = 1,
  settle = 2,
  want = 3,
  open_pool = 4,
  close_pool = 5,
  cancel = 6,
  retry = 7,
  progress = 8,
  output = 9,
  pause = 10,
  tick = 11,
  join = 12,
  leave = 13,
  set_limits = 14,
  resume = 15,
  take = 16,
  annotate = 17,
  remove = 18,
  alive = 19,
};

// A pool is where an engine's hunger for one set of queues is counted. Its number is the engine's
// own, unique within one incarnation.
using PoolNumber = std::uint32_t;

// [1, spec bin, not_before int|nil, expires int|nil], or with
// [..., result bin|nil, content_type, [other id, …], {annotation: value bin}] behind it
// The dates of the spec, turned into journal time by the engine that took the submit.
struct SubmitCommand {
  std::string_view spec;
  std::optional<Instant> not_before{};
  std::optional<Instant> expires{};
  std::optional<std::string_view> result{};  // it was done elsewhere, with this result
  std::string_view content_type{};           // of the result
  // Under these ids an earlier submit of the same task may have been accepted: then this one is its
  // repeat.
  std::vector<TaskId> other_ids{};
  AnnotationChanges annotations{};
};

// [2, id, token, outcome, pool, again, worker, …] and then, by the outcome
//   succeeded  result bin, content_type, [[…] as in [1], …], and with {annotation: value bin|nil}
//              behind it where there are some
//   failed     error, retry, delay int|nil
//   released   delay int|nil
//   lost       error
// Ends an attempt. `again`: the worker wants one more task for `pool`, honoured even if the settle
// is refused. A token of 0, which no lease has, is a success without a lease: of a task that nobody
// holds, and that is queued or waits for its next attempt; it counts as an attempt.
struct SettleCommand {
  TaskId task;
  LeaseToken token;
  Outcome outcome = Outcome::succeeded;  // succeeded, failed, released or lost
  PoolNumber pool = 0;
  bool again = false;
  std::string_view result;
  std::string_view content_type;
  std::string_view error;
  bool retry = true;                      // of a failed attempt
  std::optional<Duration> delay;          // before the next attempt, else by the back-off
  std::string_view worker;                // its name, for the history
  std::vector<SubmitCommand> follow_ups;  // submitted in the same step or not at all
  AnnotationChanges changes;              // to the annotations of a task that succeeded
};

// [3, pool, delta]: more (or less) tasks wanted for a pool.
struct WantCommand {
  PoolNumber pool = 0;
  std::int64_t delta = 0;
};

// [4, pool, remote, lease ms, [queue, …]]
// Leases of remote workers outlive their engine for `lease`, so that a worker can resume them.
struct OpenPoolCommand {
  PoolNumber pool = 0;
  bool remote = false;
  Duration lease{0};
  std::vector<std::string_view> queues;
};

// [5, pool]: its appetite is gone; its leases go on.
struct ClosePoolCommand {
  PoolNumber pool = 0;
};

// [6, id, reason]
struct CancelCommand {
  TaskId task;
  std::string_view reason;
};

// [7, id]: a failed, cancelled or expired task begins a new cycle.
struct RetryCommand {
  TaskId task;
};

// [8, id, token, permille, note]
struct ProgressCommand {
  TaskId task;
  LeaseToken token;
  std::uint32_t permille = 0;
  std::string_view note;
};

// [9, id, token, bytes]
struct OutputCommand {
  TaskId task;
  LeaseToken token;
  std::string_view bytes;
};

// [10, queue, paused]
struct PauseCommand {
  std::string_view queue;
  bool paused = true;
};

// [11]: let happen what is due.
struct TickCommand {};

// [12, oldest rules, newest rules, clock int|nil]
// First command of an incarnation. `clock` sets journal time on after a stop, where nobody else
// is joined.
struct JoinCommand {
  std::uint32_t rules_oldest = kRulesOldest;
  std::uint32_t rules_newest = kRulesNewest;
  std::optional<Instant> clock;
};

// [13]: the incarnation ends by its own will.
struct LeaveCommand {};

// [14, {limit number: value}]: the limits named, the others stay.
struct SetLimitsCommand {
  Limits limits;  // decoded onto the limits in force
};

// [15, id, token, pool]: a parked lease goes on under this engine's pool.
struct ResumeCommand {
  TaskId task;
  LeaseToken token;
  PoolNumber pool = 0;
};

// [16, id, pool]: this task, out of turn and whatever the pool's appetite is.
struct TakeCommand {
  TaskId task;
  PoolNumber pool = 0;
};

// [17, id, {name: value bin|nil}]: sets annotations of a task, or takes them away (nil).
struct AnnotateCommand {
  TaskId task;
  AnnotationChanges changes;
};

// [18, id]: a finished task counts as gone from now on; its id stays known, with the digest of its
// spec.
struct RemoveCommand {
  TaskId task;
};

// [19, index]: this engine has everything up to this index in its store.
struct AliveCommand {
  std::uint64_t flushed = 0;
};

// Appends one command, encoded.
void encode(const SubmitCommand& command, std::string& out);
void encode(const SettleCommand& command, std::string& out);
void encode(const WantCommand& command, std::string& out);
void encode(const OpenPoolCommand& command, std::string& out);
void encode(const ClosePoolCommand& command, std::string& out);
void encode(const CancelCommand& command, std::string& out);
void encode(const RetryCommand& command, std::string& out);
void encode(const ProgressCommand& command, std::string& out);
void encode(const OutputCommand& command, std::string& out);
void encode(const PauseCommand& command, std::string& out);
void encode(const TickCommand& command, std::string& out);
void encode(const JoinCommand& command, std::string& out);
void encode(const LeaveCommand& command, std::string& out);
void encode(const SetLimitsCommand& command, std::string& out);
void encode(const ResumeCommand& command, std::string& out);
void encode(const TakeCommand& command, std::string& out);
void encode(const AnnotateCommand& command, std::string& out);
void encode(const RemoveCommand& command, std::string& out);
void encode(const AliveCommand& command, std::string& out);

using Command =
    std::variant<SubmitCommand, SettleCommand, WantCommand, OpenPoolCommand, ClosePoolCommand,
                 CancelCommand, RetryCommand, ProgressCommand, OutputCommand, PauseCommand,
                 TickCommand, JoinCommand, LeaveCommand, SetLimitsCommand, ResumeCommand,
                 TakeCommand, AnnotateCommand, RemoveCommand, AliveCommand>;

// One command from its array. Texts are views into the entry. `limits` are those in force, for
// what a set_limits leaves unnamed.
// Errors: invalid_argument  not a well-formed command of this kind
//         unsupported       a kind that this build does not know
Result<Command> decode_command(Fields fields, const Limits& limits);

// The limits as [14]'s map, and back onto `limits`. Also how the state stores them.
void encode_limits(const Limits& limits, std::string& out);
bool decode_limits(Fields map, Limits& limits);

}  // namespace jack

// The messages of `jack/1`: what clients, workers and engines say to each other.
//
// Each message is one msgpack array in one frame: [kind, correlation, fields…]. A request's
// correlation is chosen by its sender and comes back in the answer; it is 0 in messages that
// answer nothing. Most requests may be repeated, and docs/protocol.md says which may not; it is the
// same for readers in other languages, with examples.
//
// Pure: encoding and decoding only. Decoded texts are views into the frame.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/id.h>
#include <jack_engine/task.h>
#include <jack_engine/time.h>

#include "engine/format/annotations.h"
#include "engine/format/unpack.h"

namespace jack::wire {

inline constexpr std::uint64_t kVersion = 1;

// Part of the protocol: never renumber, never reuse a retired value.
enum class Kind : std::uint8_t {
  // From clients and workers.
  hello = 1,
  submit = 2,
  work = 3,
  settle = 4,
  extend = 5,
  output = 6,
  progress = 7,
  resume = 8,
  get = 9,
  wait = 10,
  list = 11,
  cancel = 12,
  retry = 13,
  queues = 14,
  pause = 15,
  watch = 16,
  grant = 17,
  unwatch = 18,
  read_output = 19,
  info = 20,
  ping = 21,
  bye = 22,
  take = 23,
  annotate = 24,
  remove = 25,
  unwork = 26,
  // From the engine.
  welcome = 64,
  refused = 65,
  done = 66,
  deliver = 67,
  ended = 68,
  result = 69,
  task = 70,
  page = 71,
  queue_list = 72,
  events = 73,
  output_bytes = 74,
  engine_info = 75,
  pong = 76,
  who = 77,
};

using Correlation = std::uint64_t;

// [1, c, version, name, key, answers] → welcome. The first message of a session. `name` is for
// people. Of a session of the engine's own process, `key` names the key that it acts for ("" is
// nobody's), and `answers` the queue on which what it settles may have a follow-up, whatever that
// key allows ("": none).
struct Hello {
  Correlation correlation = 0;
  std::uint64_t version = kVersion;
  std::string_view name;
  std::string_view key{};
  std::string_view answers{};
};

// A task to be, as one bin, its spec; or, where there is more to say of it, as
// [spec bin, result bin|nil, content_type, [other id, …]], and with {annotation: value bin} behind
// it where there are some.
struct NewTask {
  NewTask() = default;
  NewTask(std::string_view the_spec) : spec(the_spec) {}
  NewTask(const std::string& the_spec) : spec(the_spec) {}
  NewTask(const char* the_spec) : spec(the_spec) {}

  std::string_view spec;
  // It was done elsewhere: kept as succeeded with this result, handed out to nobody.
  std::optional<std::string_view> result{};
  std::string_view content_type{};  // of the result
  // Known under one of these ids with the same spec, it is the same task. Their digests follow from
  // the spec, in which only the id differs.
  std::vector<TaskId> other_ids{};
  AnnotationChanges annotations{};  // it has them from the beginning
};

// [2, c, [new task, …]] → done, an item each: ok or an error; `repeated` where it was known
// already.
struct Submit {
  Correlation correlation = 0;
  std::vector<NewTask> tasks;
};

// [3, c, subscription, credit, lease ms, [queue, …], own signs] → done with one item.
// Raises the subscription's credit (lowers it where negative, never below 0): how many more tasks
// of these queues the worker takes. The subscription's number is the worker's choice; its queues
// and lease are those of its first `work`. A lease of 0 means the engine's default. With `own
// signs` each lease needs signs of life of its own (extend, output or progress of it): for sessions
// that stand for many workers, in this process too.
struct Work {
  Correlation correlation = 0;
  std::uint32_t subscription = 0;
  std::int64_t credit = 0;
  Duration lease{0};
  std::vector<std::string_view> queues;
  bool own_signs = false;
};

// [4, c, [[id, token, outcome, again, …], …]] → done, an item each. After `again` as in
// SettleCommand: succeeded: result bin, content_type, [new task, …], and {annotation: value
// bin|nil} where there are some; failed: error, retry, delay int|nil; released: delay int|nil. A
// token of 0: without a lease, as in SettleCommand. `again`: the subscription that the task came by
// keeps its credit, whatever the answer.
struct Settle {
  struct Item {
    TaskId task;
    LeaseToken token;
    Outcome outcome = Outcome::succeeded;
    bool again = false;
    std::string_view result;
    std::string_view content_type;
    std::vector<NewTask> follow_ups;
    AnnotationChanges changes;
    std::string_view error;
    bool retry = true;
    std::optional<Duration> delay;
  };
  Correlation correlation = 0;
  std::vector<Item> items;
};

// [5, c, [[id, token, lease ms], …]] → done. Sets how long the engine waits for a sign of life of
// this session before it takes the lease for lost, counted from now. 0: the subscription's lease.
struct Extend {
  struct Item {
    TaskId task;
    LeaseToken token;
    Duration lease{0};
  };
  Correlation correlation = 0;
  std::vector<Item> items;
};

// [6, c, [[id, token, bytes], …]] → done. Output of a running attempt.
struct Output {
  struct Item {
    TaskId task;
    LeaseToken token;
    std::string_view bytes;
  };
  Correlation correlation = 0;
  std::vector<Item> items;
};

// [7, c, [[id, token, permille, note], …]] → done.
struct Progress {
  struct Item {
    TaskId task;
    LeaseToken token;
    std::uint32_t permille = 0;
    std::string_view note;
  };
  Correlation correlation = 0;
  std::vector<Item> items;
};

// [8, c, subscription, [[id, token], …]] → done. After a reconnect: these leases go on under this
// session, without credit. lease_lost where they have ended.
struct Resume {
  struct Item {
    TaskId task;
    LeaseToken token;
  };
  Correlation correlation = 0;
  std::uint32_t subscription = 0;
  std::vector<Item> items;
};

// [9, c, id bin | number int, with payload] → task, or refused not_found.
struct Get {
  Correlation correlation = 0;
  TaskId task;  // empty: by its number
  bool with_payload = false;
  std::uint64_t number = 0;  // TaskStatus::serial
};

// [10, c, id, wait ms] → result once the task is terminal; refused timed_out after `wait`,
// not_found at once.
struct Wait {
  Correlation correlation = 0;
  TaskId task;
  Duration wait{0};
};

// [11, c, {"queue", "state", "type", "parent" bin, "before" bin, "from_ms", "to_ms", "count",
// "finished", "payloads"}] → page, newest first.
struct List {
  Correlation correlation = 0;
  std::string_view queue;
  std::optional<TaskState> state;
  TaskId before{};
  std::uint32_t count = 100;
  bool finished_too = true;
  std::string_view type{};
  TaskId parent{};
  // Made at or after the one and before the other, by the time in their ids; milliseconds.
  std::optional<std::int64_t> from_ms{};
  std::optional<std::int64_t> to_ms{};
  bool payloads = false;  // the specs have theirs; a page is shorter where they are large
};

// [12, c, [id, …], reason] → done.
struct Cancel {
  Correlation correlation = 0;
  std::vector<TaskId> tasks;
  std::string_view reason;
};

// [13, c, [id, …]] → done.
struct Retry {
  Correlation correlation = 0;
  std::vector<TaskId> tasks;
};

// [14, c] → queue_list.
struct Queues {
  Correlation correlation = 0;
};

// [15, c, queue, paused] → done.
struct Pause {
  Correlation correlation = 0;
  std::string_view queue;
  bool paused = true;
};

// [16, c, id or empty bin, queue or "", entry int|nil, ordinal, credit] → events, as often as there
// is something, one per credit. Without a position it begins with what happens next. Refused
// position_gone where history before it is no longer kept.
struct Watch {
  Correlation correlation = 0;
  TaskId task{};
  std::string_view queue;
  std::optional<Position> after;
  std::uint32_t credit = 1;
};

// [17, c, watch's correlation, credit]: no answer.
struct Grant {
  Correlation correlation = 0;
  Correlation watch = 0;
  std::uint32_t credit = 1;
};

// [18, c, correlation of a watch or a wait]: it ends, without an answer.
struct Unwatch {
  Correlation correlation = 0;
  Correlation watch = 0;
};

// [19, c, id, offset, bytes max] → output_bytes.
struct ReadOutput {
  Correlation correlation = 0;
  TaskId task;
  std::uint64_t offset = 0;
  std::uint64_t bytes_max = 1 << 16;
};

// [20, c] → engine_info.
struct Info {
  Correlation correlation = 0;
};

// [21, c] → pong. A sign of life; any other message is one too.
struct Ping {
  Correlation correlation = 0;
};

// [22, c]: the session ends. Its leases end as lost, at once. No answer.
struct Bye {
  Correlation correlation = 0;
};

// [23, c, subscription, [id, …]] → done; deliver follows for those taken. These tasks, out of turn
// and without using up credit. failed_precondition where one is not queued, or its queue is paused.
struct Take {
  Correlation correlation = 0;
  std::uint32_t subscription = 0;
  std::vector<TaskId> tasks;
};

// [24, c, [[id, {name: value bin|nil}], …]] → done. As AnnotateCommand.
struct Annotate {
  struct Item {
    TaskId task;
    AnnotationChanges changes;
  };
  Correlation correlation = 0;
  std::vector<Item> items;
};

// [25, c, [id, …]] → done. As RemoveCommand.
struct Remove {
  Correlation correlation = 0;
  std::vector<TaskId> tasks;
};

// [26, c, subscription] → done with one item. The subscription ends; failed_precondition while
// leases have come by it.
struct Unwork {
  Correlation correlation = 0;
  std::uint32_t subscription = 0;
};

using Request = std::variant<Hello, Submit, Work, Settle, Extend, Output, Progress, Resume, Get,
                             Wait, List, Cancel, Retry, Queues, Pause, Watch, Grant, Unwatch,
                             ReadOutput, Info, Ping, Bye, Take, Annotate, Remove, Unwork>;

// [64, c, version, engine id bin, incarnation bin, lease default ms, payload max, result max]
struct Welcome {
  Correlation correlation = 0;
  std::uint64_t version = kVersion;
  std::string_view engine;
  std::string_view incarnation;
  Duration lease_default{0};
  std::uint64_t payload_bytes_max = 0;
  std::uint64_t result_bytes_max = 0;
};

// [65, c, code, message]
struct Refused {
  Correlation correlation = 0;
  Code code = Code::internal;
  std::string_view message;
};

// [66, c, [item, …]], an item being 0 (ok), 1 (ok, and known already) or [code, message].
struct Done {
  struct Item {
    Code code = Code::ok;
    bool repeated = false;
    std::string_view message;
  };
  Correlation correlation = 0;
  std::vector<Item> items;
};

// [67, 0, subscription, [[token, attempt, lease ms, spec bin], …]]
struct Deliver {
  struct Item {
    LeaseToken token;
    std::uint32_t attempt = 0;
    Duration lease{0};
    std::string_view spec;
  };
  std::uint32_t subscription = 0;
  std::vector<Item> items;
};

// [68, 0, [[id, token, outcome, reason], …]]: leases that ended without this worker's word:
// cancelled, timed_out or lost. Work on them should stop.
struct Ended {
  struct Item {
    TaskId task;
    LeaseToken token;
    Outcome outcome = Outcome::lost;
    std::string_view reason;
  };
  std::vector<Item> items;
};

// [69, c, id, state, result bin, content_type, error]
struct ResultMessage {
  Correlation correlation = 0;
  TaskId task;
  TaskState state = TaskState::succeeded;
  std::string_view result;
  std::string_view content_type;
  std::string_view error;
};

// [70, c, spec bin, status bin, wall − journal ms]. The status is as in engine/format/status.h;
// adding the difference to its journal times gives dates.
struct TaskMessage {
  Correlation correlation = 0;
  std::string_view spec;
  std::string_view status;
  Duration wall_offset{0};
};

// [71, c, [[spec bin, status bin], …], next bin, wall − journal ms]. The specs have
// empty payloads unless they were asked for.
struct Page {
  struct Item {
    std::string_view spec;
    std::string_view status;
  };
  Correlation correlation = 0;
  std::vector<Item> tasks;
  TaskId next{};  // there may be more: the `before` to go on with; empty: that was all
  Duration wall_offset{0};
};

// What is in a queue, and what has gone through it.
struct QueueItem {
  std::string_view name;
  bool paused = false;
  std::uint64_t scheduled = 0;
  std::uint64_t queued = 0;
  std::uint64_t running = 0;
  std::uint64_t succeeded = 0;  // here and below: ever, less those retried
  std::uint64_t failed = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t expired = 0;
  std::uint64_t workers = 0;  // credit of workers waiting, where this engine knows
  Duration oldest{0};         // for how long the one has waited that is handed out next
  // Thousandths of tasks per second that came and that ended, of the last minute or so.
  std::uint64_t arriving_milli = 0;
  std::uint64_t leaving_milli = 0;
};

// [72, c, [[name, paused, scheduled, queued, running, succeeded, failed, cancelled, expired,
// workers, oldest ms, arriving ‰, leaving ‰], …]]
struct QueueList {
  Correlation correlation = 0;
  std::vector<QueueItem> queues;
};

// [73, c, [event bin, …], entry, ordinal, wall − journal ms], c being the watch's; the position
// is where to resume from. Events are as in engine/format/status.h.
struct Events {
  Correlation correlation = 0;
  std::vector<std::string_view> events;  // encoded, one each
  Position last;
  Duration wall_offset{0};
};

// [74, c, bytes, total, terminal]: of `total` bytes of output kept so far.
struct OutputBytes {
  Correlation correlation = 0;
  std::string_view bytes;
  std::uint64_t total = 0;
  bool terminal = false;
};

// [75, c, {name: value}]; a map so that it can grow: "version", "engine", "transport",
// "guarantee", "tasks", "entry", "flushed", "uptime_ms", … docs/protocol.md lists them.
struct EngineInfo {
  Correlation correlation = 0;
  std::vector<std::pair<std::string_view, std::string_view>> facts;
};

// [76, c, uncertain]. `uncertain`: go on, but do not assume that leases still stand.
struct Pong {
  Correlation correlation = 0;
  bool uncertain = false;
};

// [77, c]: this engine does not know the session (it restarted, or took it for gone): say hello,
// then repeat what has no answer yet.
struct Who {
  Correlation correlation = 0;
};

using Reply = std::variant<Welcome, Refused, Done, Deliver, Ended, ResultMessage, TaskMessage, Page,
                           QueueList, Events, OutputBytes, EngineInfo, Pong, Who>;

// One frame. Declared for every alternative of Request and Reply.
template <typename Message>
std::string encode(const Message& message);

// What a frame says. Bounds on the number of items are the receiver's affair.
// Errors: invalid_argument  not a message of this protocol; the message says which kind it was
//         unsupported       a kind that this version does not know
Result<Request> decode_request(Unpacker& unpacker, std::string_view frame);
Result<Reply> decode_reply(Unpacker& unpacker, std::string_view frame);

// Values in one reply, beyond which it is refused: about as many as twice Limits::queues_max queues
// take, by its default. They are mostly small numbers, more of them in so many bytes than any
// request has.
inline constexpr std::size_t kReplyTokensMax = 2'800'000;

// The correlation of a frame that could not be decoded, so that its refusal finds the request; 0
// where not even that can be read.
Correlation correlation_of(Unpacker& unpacker, std::string_view frame);

}  // namespace jack::wire

// A program's connection to an engine: submit tasks, read and wait for results, look around.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/task.h>

namespace jack {

struct ClientOptions {
  // "ipc:///path/jack.sock", "tcp://host:port", or empty: the engine of `data_dir`.
  std::string endpoint;
  // The data directory of an engine on this machine; empty: the default one
  // (docs/configuration.md).
  std::string data_dir;
  std::string name;  // for people who look at sessions; empty: program and process id
  // How long a call tries to reach the engine, over reconnects too, before it gives up with
  // `unavailable`.
  Duration patience{5000};
  // Files with CURVE keys, for tcp:// endpoints: this side's secret key and the engine's public
  // key (`jack keys new --curve`).
  std::string key_file;
  std::string engine_key_file;
};

struct QueueStatus {
  std::string name;
  bool paused = false;
  std::uint64_t scheduled = 0;
  std::uint64_t queued = 0;
  std::uint64_t running = 0;
  std::uint64_t succeeded = 0;  // here and below: ever, less those retried
  std::uint64_t failed = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t expired = 0;
  std::uint64_t workers = 0;  // tasks that waiting workers would take at once
  // For how long the one has been queued that is handed out next: the first of the most urgent. 0
  // where none is queued.
  Duration oldest{0};
  // Tasks per second of late, as this engine saw them: submitted or retried, and ended in whatever
  // way. Older ones count ever less: half as much for each 20 seconds or so.
  double arriving = 0;
  double leaving = 0;
};

struct ListFilter {
  std::string queue;               // empty: all
  std::optional<TaskState> state;  // none: all
  std::string type;                // TaskSpec::type; empty: all
  TaskId parent{};                 // TaskSpec::parent; empty: all
  bool finished_too = true;
  TaskId before{};                // only tasks older than this one: `next` of the page before
  std::uint32_t count_max = 100;  // at most 1,000
};

struct TaskPage {
  std::vector<Task> tasks;  // newest first, without payloads
  // There may be more: the `before` to go on with. Empty: that was all. A page can be short, even
  // empty, where few of many tasks fit.
  TaskId next{};
};

// What became of a task that was submitted together with others.
struct Submitted {
  TaskId id;
  bool repeated = false;  // it was there already, and stays as it was
};

// A task that was kept elsewhere. Once it is done, dates and delays in its spec do not count.
struct RecordedTask {
  TaskSpec spec;
  std::optional<std::string> result;  // it is done; at most Limits::result_bytes_max
  std::string content_type;           // of the result; at most kShortTextBytesMax
};

// What has become elsewhere of a task that is here.
struct Completion {
  TaskId task;
  std::string result;
  std::string content_type;  // of the result
};

struct Completed {
  bool repeated = false;  // it had ended so already
};

struct OutputPart {
  std::string bytes;
  std::uint64_t total = 0;  // bytes kept so far
  bool terminal = false;    // the task is done: nothing will be added
};

struct WatchOptions {
  TaskId task{};                  // only this task
  std::string queue;              // only this queue
  std::optional<Position> after;  // resume behind this; none: from now on
};

// Not thread-safe: one thread at a time; further threads make clients of their own (they are
// cheap). Every call waits for the engine's answer. A call whose answer was lost in a reconnect is
// repeated by itself, which is safe: a repeated submit is the same task, and a repeated retry is
// told from one that was refused. The instants in what it reads are dates, milliseconds since 1970:
// journal times, moved by what the engine says is the difference to the wall clock at present.
//
// Errors of every call, besides those named: unavailable (no engine within the patience; for
// submits the fate is unknown, and submitting the same id again is safe), stopped,
// unauthenticated, permission_denied, internal.
class Client {
 public:
  // Does not wait for the engine: the first call does.
  // Errors: invalid_argument  an endpoint that is none, a key file that cannot be read
  static Result<Client> connect(const ClientOptions& options);

  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  // The task is durable when this returns. An empty id is filled in, a given one makes a repeat
  // recognisable.
  // Errors: invalid_argument, payload_too_large, queue_full, storage_full,
  //         already_exists  the id is taken by a task with another spec
  Result<TaskId> submit(TaskSpec spec);

  // The same for up to 1,000 tasks in one step; each has an outcome of its own. All in one entry
  // of the journal, so either none or all of those accepted survive a crash in the middle.
  // Errors: for each task, those of submit(TaskSpec); for all of them
  //         invalid_argument   more than 1,000 tasks, or more than 8 MiB
  //         payload_too_large  more than one entry takes
  Result<std::vector<Result<Submitted>>> submit(std::span<const TaskSpec> specs);

  // The same where some are done, within the same bounds, results included: each of those is kept
  // as succeeded at once and handed out to nobody. A reply that it asks for is made; limits on
  // unfinished tasks do not apply. A repeat is told by the spec alone: a task that is there already
  // keeps the result that it has, or has none yet.
  Result<std::vector<Result<Submitted>>> record(std::span<const RecordedTask> tasks);

  // The terminal outcome, waited for. A timeout of zero asks without waiting.
  // Errors: not_found, timed_out
  Result<TaskResult> wait(const TaskId& task, Duration timeout);

  // Errors: not_found
  Result<Task> get(const TaskId& task, bool with_payload = false);
  Result<TaskPage> list(const ListFilter& filter = {});
  Result<std::vector<QueueStatus>> queues();
  Result<OutputPart> read_output(const TaskId& task, std::uint64_t offset = 0);

  // A queued, scheduled or running task ends as cancelled; its worker is told, a later settle is
  // refused. Cancelling a cancelled task is a success.
  // Errors: not_found, failed_precondition (it has ended otherwise)
  Result<void> cancel(const TaskId& task, std::string_view reason = {});

  // A task that is due and that nobody holds ends as succeeded, with this result: it was done
  // elsewhere. The same again is a success, also of a task that was recorded so.
  // Errors: not_found, payload_too_large, invalid_argument (a content type that is none),
  //         failed_precondition  it has ended otherwise, is held by a worker, or is not due
  Result<void> complete(const TaskId& task, std::string_view result,
                        std::string_view content_type = {});

  // The same for up to 1,000 tasks in one step; each has an outcome of its own.
  Result<std::vector<Result<Completed>>> complete(std::span<const Completion> completions);

  // A failed, cancelled or expired task begins a new cycle; its history stays, its expiry does not.
  // Errors: not_found, failed_precondition (neither of these), queue_full
  Result<void> retry(const TaskId& task);

  // Sets notes on a task, whatever state it is in; a value of nothing takes one away. All changes
  // count, or none; who sets a name last has it. Names have 1–kShortTextBytesMax bytes of UTF-8
  // without control characters, values are bytes. A task has at most kAnnotationsMax of them, of
  // kAnnotationBytesMax with their names.
  // Errors: not_found
  //         invalid_argument  a name that is none, or more than a task may have
  Result<void> annotate(const TaskId& task,
                        const std::map<std::string, std::optional<std::string>>& changes);

  // A finished task is no longer found by anybody; payload, result, output and notes go. Its id
  // stays taken, so that a repeat of its submit is still recognised. docs/guarantees.md says what
  // else stays, and for how long.
  // Errors: not_found            also where it was removed already: so where the answer was lost in
  //                              a reconnect and the call was repeated
  //         failed_precondition  it has not ended: cancel it first
  Result<void> remove(const TaskId& task);

  // A paused queue hands nothing out; what runs goes on, submits are accepted.
  Result<void> pause(std::string_view queue);
  Result<void> resume(std::string_view queue);

  // Calls `on_event` for each event in order, until it returns false or an error ends it. Goes on
  // over reconnects without gap or repeat.
  // Errors: position_gone  the history behind `after` is no longer kept
  //         timed_out      nothing happened for `idle_timeout` (zero: waits for ever)
  Result<void> watch(const WatchOptions& options, const std::function<bool(const Event&)>& on_event,
                     Duration idle_timeout = Duration{0});

  // Facts about the engine by name: "version", "transport", "guarantee", "tasks" and more, listed
  // in docs/protocol.md.
  Result<std::map<std::string, std::string>> info();

 private:
  class Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  friend class Engine;
  friend struct Attach;  // engine/runtime/attach.h
  std::unique_ptr<Impl> impl_;
};

}  // namespace jack

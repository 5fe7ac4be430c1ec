// A whole engine inside a test: no process, no port, no thread, and time stands still until the
// test moves it. What depends on days is tested in milliseconds, and the same test does the same
// thing every time.
//
//   jack::testing::Harness jack;
//   jack.on("greet", [](jack::Attempt& attempt) { return "Hello, " + attempt.task().payload; });
//   const jack::TaskId task = jack.submit("greet", "Ada");
//   jack.run_until_idle();
//   assert(jack.result(task) == "Hello, Ada");
//
// It works with any test framework. What cannot be (a task that is asked for and is not there, a
// refusal where the function has no way to return it) is thrown as std::runtime_error with the
// error's text, which every framework reports.
//
// A worker is either a handler given to on(), or the test itself: claim() takes a task and returns
// its Lease; succeed(), fail() and the others say how it went.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/limits.h>
#include <jack_engine/task.h>
#include <jack_engine/time.h>
#include <jack_engine/worker.h>

namespace jack::testing {

// A task in a worker's hands: the right to run one attempt. Equal leases have the same token.
struct Lease {
  LeaseToken token;
  TaskId task;
  std::uint32_t attempt = 0;
  std::uint64_t session = 0;  // of the worker that claimed it
  TaskSpec spec;

  // False where claim() found nothing.
  explicit operator bool() const { return token != LeaseToken{}; }
  friend bool operator==(const Lease& a, const Lease& b) { return a.token == b.token; }
};

struct HarnessOptions {
  // "memory", or "local": the journal and store on disk, in `data_dir` or a temporary folder that
  // goes with the harness.
  std::string transport = "memory";
  std::string data_dir{};
  std::optional<Limits> limits{};
  SessionLimits sessions{};
  WallTime start{std::chrono::milliseconds{1'767'225'600'000}};  // 2026-01-01, midnight UTC
  // The first random number of the ids that are made for tasks without one.
  std::uint64_t seed = 1;
};

struct ClaimOptions {
  std::string worker{};     // its name, for the history
  Duration lease{0};        // how long it may be silent; 0: the engine's default of 30 s
  bool in_process = false;  // a worker of the engine's own process: its leases end with it
};

struct FailOptions {
  bool retry = true;                // false: failed for good
  std::optional<Duration> delay{};  // before the next attempt, instead of the back-off
};

// Not thread-safe; everything happens inside its functions.
class Harness {
 public:
  using Options = HarnessOptions;

  explicit Harness(Options options = {});
  Harness(Harness&&) noexcept;
  Harness& operator=(Harness&&) noexcept;
  ~Harness();

  // --- Tasks ---

  TaskId submit(std::string_view queue, std::string_view payload);
  TaskId submit(TaskSpec spec);
  // The same, with the refusal as a value.
  Result<TaskId> try_submit(TaskSpec spec);
  // In one message, and so all in one entry of the journal.
  std::vector<Result<TaskId>> submit_all(std::span<const TaskSpec> specs);

  Code cancel(const TaskId& task, std::string_view reason = {});
  Code retry(const TaskId& task);
  Code pause(std::string_view queue);
  Code resume(std::string_view queue);

  // --- What has become of them ---

  Result<Task> get(const TaskId& task);
  Task task(const TaskId& task);  // with its payload
  TaskState state(const TaskId& task);
  std::string result(const TaskId& task);  // of a task that succeeded
  std::string error(const TaskId& task);   // the last one, or why it was cancelled
  std::string output(const TaskId& task);
  // Every step so far, in order.
  std::vector<Event> history(const TaskId& task);
  // Its steps as words: "submitted started succeeded".
  std::string story(const TaskId& task);
  // All tasks of a queue, finished ones included, in order of acceptance, with their payloads.
  std::vector<Task> submitted(std::string_view queue);
  // Who runs a task of this queue; empty where nobody does.
  Lease holder(std::string_view queue);
  // The terminal outcome, waited for in virtual time.
  // Errors: not_found, timed_out
  Result<TaskResult> wait(const TaskId& task, Duration timeout);

  // --- Work by hand ---

  // Takes the next task of a queue. An empty Lease where there is none now.
  Lease claim(std::string_view queue, const ClaimOptions& options = {});
  Code succeed(const Lease& lease, std::string_view result = {},
               std::span<const TaskSpec> follow_ups = {});
  Code fail(const Lease& lease, std::string_view error, const FailOptions& options = {});
  Code release(const Lease& lease, std::optional<Duration> delay = std::nullopt);
  // From now on the worker may be silent for `silence`.
  Code extend(const Lease& lease, Duration silence);
  Code progress(const Lease& lease, double fraction, std::string_view note = {});
  Code output(const Lease& lease, std::string_view bytes);
  // A sign of life of its worker. False: the engine is not sure that leases stand.
  bool heartbeat(const Lease& lease);
  // Its worker, which was cut off, or whose engine was restarted, comes back for it.
  Code resume(Lease& lease);
  // How the lease ended, if its worker has been told that it did.
  std::optional<Outcome> ended(const Lease& lease);
  // Why the last call that returned a code other than ok did so.
  const std::string& why() const;

  // --- Work by handlers ---

  // Runs the queue's tasks, one at a time, whenever there are any. Tasks that are queued already
  // run at once.
  void on(std::string_view queue, Handler handler);

  // --- Time ---

  // Lets time pass, stopping wherever something is due.
  void advance(Duration by);
  // Lets time pass until nothing waits for it any more: no task is scheduled. Returns how much has
  // passed; throws if `at_most` was not enough.
  Duration run_until_idle(Duration at_most = std::chrono::hours{24 * 30});
  // The date that people see moves, and the time that passes does not.
  void jump_wall_clock(Duration by);
  WallTime wall_now() const;
  Instant now() const;

  // --- Faults ---

  // The connection of this lease's worker breaks.
  void lose_worker(const Lease& lease);
  // The next append to the journal ends with this error. Not `certain`: the engine cannot tell
  // whether the entry was written; `written`: it was.
  void fail_next_append(Error error, bool certain = true, bool written = false);
  // What is appended stays on its way until release_appends(); what depends on it waits. Meanwhile
  // functions that need an answer return Code::unavailable.
  void hold_appends();
  void release_appends();
  // The next write to the store ends with this error.
  void fail_next_flush(Error error);
  // Free bytes on the disk; nothing: as it really is.
  void set_room_bytes(std::optional<std::uint64_t> bytes);
  // The engine's process stands still while time passes.
  void freeze(Duration by);
  // The engine is killed, and started again on what it left behind. Handlers work on.
  void restart();
  // The same, but it stops in order.
  void stop_and_restart();

  // --- The engine itself ---

  // Of its whole state: equal for equal journals.
  std::uint64_t hash();
  // The hash after applying every entry since the first one to an empty state, which is written to
  // a store after each `flush_every` entries (0: never). Must be the same.
  std::uint64_t replay_hash(std::size_t flush_every = 0);
  // Facts as Client::info() has them.
  std::string fact(std::string_view name);
  // Lines of the engine's log.
  const std::vector<std::string>& log() const;

  // What the tests of JACK itself use, beneath all this.
  class Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace jack::testing

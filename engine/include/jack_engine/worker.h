// Running tasks: a handler for one or more queues, with leases kept alive behind its back.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/client.h>
#include <jack_engine/error.h>
#include <jack_engine/task.h>

namespace jack {

// How a handler ends its attempt. A plain string is a success with that result.
class Settlement {
 public:
  Settlement(std::string result) : result_(std::move(result)) {}
  Settlement(const char* result) : result_(result) {}

  static Settlement succeed(std::string result, std::string content_type = {});
  // Retried after its back-off, or `delay` where given, while attempts are left.
  static Settlement fail(std::string error, std::optional<Duration> delay = std::nullopt);
  // Failed for good: no retry.
  static Settlement fail_for_good(std::string error);
  // Given back without counting the attempt.
  static Settlement release(Duration delay = Duration{0});

  // Tasks submitted in the same step as the success, all or nothing.
  Settlement& then(TaskSpec follow_up) &;
  Settlement&& then(TaskSpec follow_up) &&;

  Outcome outcome() const { return outcome_; }
  const std::string& result() const { return result_; }
  const std::string& content_type() const { return content_type_; }
  const std::string& error() const { return error_; }
  bool retry() const { return retry_; }
  std::optional<Duration> delay() const { return delay_; }
  const std::vector<TaskSpec>& follow_ups() const { return follow_ups_; }

 private:
  Settlement() = default;

  Outcome outcome_ = Outcome::succeeded;
  std::string result_;
  std::string content_type_;
  std::string error_;
  bool retry_ = true;
  std::optional<Duration> delay_;
  std::vector<TaskSpec> follow_ups_;
};

// One attempt, as its handler sees it. Valid while the handler runs, on any thread.
class Attempt {
 public:
  virtual ~Attempt() = default;

  virtual const TaskSpec& task() const = 0;
  virtual std::uint32_t number() const = 0;  // counted from 1
  virtual LeaseToken token() const = 0;

  // Requested once the lease has ended: cancelled, timed out, or lost. Whatever the handler
  // returns afterwards is thrown away.
  virtual std::stop_token stop_token() const = 0;

  // What the task's watchers see at once; coalesced and best effort. `fraction` is 0 to 1.
  virtual void progress(double fraction, std::string_view note = {}) = 0;
  // Appends to the task's output, kept up to Limits::output_bytes_max.
  virtual void output(std::string_view bytes) = 0;
};

// May throw: that is a failed attempt with the exception's text.
using Handler = std::function<Settlement(Attempt&)>;

// An attempt that is over, and what the engine made of it.
struct SettledAttempt {
  TaskId task;
  std::string_view queue;
  std::uint32_t number = 0;  // counted from 1
  LeaseToken token;
  const Settlement& settlement;  // as it was sent, which is not what the handler returned where
                                 // the engine could not have taken that
  std::optional<Duration> took;  // by its handler; nothing where it has not begun or not returned
  Code answer = Code::ok;        // ok: it is kept. lease_lost: it came too late
};

struct WorkerOptions {
  ClientOptions engine;             // where the tasks come from
  std::vector<std::string> queues;  // at most 64
  std::uint32_t threads = 1;        // handlers that run at the same time
  std::uint32_t prefetch = 0;       // tasks leased beyond those running, so that threads never wait
  Duration lease{0};                // how long a silent worker keeps its leases; 0: the engine's
  Duration grace{10'000};           // stop(): how long handlers may finish before being released
  // Ends once the engine has accepted the settles of so many attempts that succeeded or failed, and
  // never takes more tasks than can be among them; 0: no bound.
  std::uint64_t tasks_max = 0;
  // Called for each attempt once the engine has answered its settle, on the worker's own thread: it
  // should be short, and what it throws is not caught.
  std::function<void(const SettledAttempt&)> on_settled;
};

// Leases are kept alive while handlers run, over reconnects and restarts of the engine too. Its
// functions may be called from any thread.
class Worker {
 public:
  // Starts to take tasks at once. An engine that is out of reach is tried again until stop().
  // Errors: invalid_argument  no or too many queues, no handler, an endpoint that is none
  static Result<Worker> start(const WorkerOptions& options, Handler handler);

  Worker(Worker&&) noexcept;
  Worker& operator=(Worker&&) noexcept;
  ~Worker();  // stop()

  // Takes no more tasks, lets handlers finish for the grace time, then requests their stop tokens
  // and releases what has not ended. Returns when all is settled or given back.
  void stop();

  // Returns once the worker has ended: tasks_max was reached, stop() was called, or the engine
  // refused it for good (then the error).
  Result<void> wait();

  // Attempts that succeeded or failed, and whose settle the engine has accepted so far.
  std::uint64_t settled() const;

 private:
  class Impl;
  explicit Worker(std::unique_ptr<Impl> impl);
  friend class Engine;
  friend struct Attach;  // engine/runtime/attach.h
  std::unique_ptr<Impl> impl_;
};

}  // namespace jack

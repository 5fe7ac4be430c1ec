// `jack work`: any command as an agent.
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

#include <jack_engine/worker.h>

#include "apps/commands/commands.h"
#include "apps/commands/connection.h"
#include "apps/signals.h"
#include "apps/terminal.h"
#include "apps/work/command_handler.h"
#include "apps/work/error_writer.h"
#include "apps/work/first_contact.h"
#include "apps/work/until_empty.h"
#include "engine/guarded_by.h"

namespace jack::app {
namespace {

// "QUEUE,QUEUE…", as far as a command line can tell.
struct QueueNames {
  std::vector<std::string> names;
};

Result<void> read_value(std::string_view text, QueueNames& target) {
  if (text.empty() || text.front() == ',' || text.back() == ',' ||
      text.find(",,") != std::string_view::npos) {
    return Error{Code::invalid_argument, fmt::format("'{}' has an empty name in it", text)};
  }
  target.names = split_list(text);
  return {};
}

struct WorkFlags {
  EngineFlags engine;
  QueueNames queues;
  std::uint32_t jobs = 1;
  std::uint64_t max = 0;
  bool until_empty = false;
  Duration lease{0};
  Duration timeout{0};
  Duration grace{5000};
  Duration finish{10'000};
  std::string name;
  bool stream = false;
  bool verbose = false;
  std::vector<std::string> command;
};

// Why the work is over. The first reason counts.
class Finish {
 public:
  void set(Result<ExitStatus> reason) {
    const std::lock_guard lock(mutex_);
    if (!reason_) reason_ = std::move(reason);
    changed_.notify_all();
  }

  Result<ExitStatus> wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return reason_.has_value(); });
    return *reason_;
  }

 private:
  std::mutex
      mutex_;  // set by the threads of signals, of the worker, of its tasks and of the queues
  std::condition_variable changed_;
  std::optional<Result<ExitStatus>> reason_ JACK_GUARDED_BY(mutex_);
};

WorkerOptions worker_options(const WorkFlags& flags, const ClientOptions& engine,
                             ErrorWriter& errors) {
  WorkerOptions options;
  options.engine = engine;
  options.engine.name = flags.name;
  options.queues = flags.queues.names;
  options.threads = flags.jobs;
  options.lease = flags.lease;
  options.grace = flags.finish;
  options.tasks_max = flags.max;
  if (flags.verbose) {
    options.on_settled = [&errors](const SettledAttempt& attempt) {
      errors.write(complaint(line_of(attempt)));
    };
  }
  return options;
}

CommandOptions command_options(const WorkFlags& flags, std::string program,
                               const ClientOptions& engine, Finish& finish) {
  CommandOptions options;
  options.program = std::move(program);
  options.arguments = flags.command;
  options.variables = engine_variables(engine);
  options.timeout = flags.timeout;
  options.grace = flags.grace;
  options.stream = flags.stream;
  options.on_broken = [&finish](const std::string& why) {
    finish.set(Error{Code::failed_precondition, why + "; its task was given back"});
  };
  return options;
}

std::string search_path() {
  const char* const path = std::getenv("PATH");
  return path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path;
}

// Runs until something finishes it; then the worker lets its commands end or gives their tasks
// back.
Result<ExitStatus> work_until(Finish& finish, const WorkFlags& flags, const ClientOptions& engine,
                              CommandHandler& handler, ErrorWriter& errors) {
  Result<Worker> worker =
      Worker::start(worker_options(flags, engine, errors),
                    [&handler](Attempt& attempt) { return handler.run(attempt); });
  if (!worker) return worker.error();
  const FirstContact contact(engine, [&finish](const Error& none) { finish.set(none); });
  std::optional<EmptinessWatch> emptiness;
  if (flags.until_empty) {
    emptiness.emplace(engine, flags.queues.names, [&finish] { finish.set(ExitStatus::done); });
  }
  std::jthread ended([&finish, &worker] {
    const Result<void> outcome = worker->wait();
    finish.set(outcome ? Result<ExitStatus>(ExitStatus::done) : outcome.error());
  });
  Result<ExitStatus> reason = finish.wait();
  worker->stop();
  return reason;
}

Result<ExitStatus> work(const WorkFlags& flags) {
  if (flags.command.empty()) {
    complain("write the command behind --, as in: jack work QUEUE -- COMMAND");
    return ExitStatus::usage;
  }
  const std::string& name = flags.command.front();
  std::optional<std::string> program = find_program(name, search_path());
  if (!program) {
    complain(fmt::format("{}: no such command, or it may not be run", name));
    return ExitStatus::usage;
  }
  const Result<Settings> settings = load_settings(flags.engine);
  if (!settings) return settings.error();
  const ClientOptions engine = client_options(*settings);

  // A command may close its input, or whoever reads our standard error may go away.
  std::signal(SIGPIPE, SIG_IGN);
  Result<ProcessGuard> guard = ProcessGuard::start();
  if (!guard) return guard.error();
  Finish finish;
  const CommandOptions options = command_options(flags, *std::move(program), engine, finish);
  // Before the other threads, and there until they have ended: a second signal ends it at once.
  const SignalWatch signals([&finish] { finish.set(ExitStatus::done); }, [] {});
  ErrorWriter errors(STDERR_FILENO);
  CommandHandler handler(options, *guard, errors);
  return work_until(finish, flags, engine, handler, errors);
}

}  // namespace

Command work_command() {
  const auto flags = std::make_shared<WorkFlags>();
  Command command("work", "run a command for each task of one or more queues");
  command.argument("QUEUE", flags->queues, "the queue, or several: QUEUE,QUEUE…")
      .rest("COMMAND [ARG…]", flags->command, "is run once per attempt")
      .option("--jobs,-j", "N", flags->jobs, "how many commands run at a time (default: 1)")
      .above_zero()
      .option("--max", "N", flags->max, "end after so many attempts succeeded or failed")
      .above_zero()
      .flag("--until-empty", flags->until_empty,
            "end once none of the queues has a queued or running task, whoever runs it; tasks that "
            "are scheduled for later do not count")
      .flag("--stream", flags->stream,
            "make standard output the task's output while the command runs, for `jack watch`")
      .option("--timeout", "DURATION", flags->timeout,
              "stop a command that takes longer; 0s, the default, stops none")
      .option("--grace", "DURATION", flags->grace,
              "between SIGTERM and SIGKILL to a command that is stopped (default: 5s)")
      .option("--finish", "DURATION", flags->finish,
              "how long commands may go on once `jack work` is told to stop (default: 10s)")
      .option("--lease", "DURATION", flags->lease,
              "how long a task waits for this worker when it falls silent (default: 30s)")
      .option("--name", "TEXT", flags->name, "by which the history of a task names this worker")
      .flag("--verbose,-v", flags->verbose,
            "print a line on standard error for each attempt, once the engine has answered")
      .details(
          "The command gets the payload on its standard input, which it need not read. What it "
          "prints on its standard output is the result. Its exit status says how the attempt went: "
          "0 succeeded, 75 try again, 65 failed for good, any other try again; then the last lines "
          "of its standard error are the task's error. Printing more than a result may have fails "
          "for good, as payload_too_large.")
      .details(
          "In its environment are JACK_TASK_ID, JACK_QUEUE, JACK_TYPE, JACK_ATTEMPT, JACK_FROM, "
          "JACK_TOKEN, JACK_PARENT, JACK_REPLY_TO, JACK_CONTENT_TYPE, JACK_HEADERS (JSON) and "
          "TRACEPARENT, and where the engine is, so that `jack submit` within it hands on.")
      .details(
          "When a task is cancelled or times out, or its lease is lost, the whole process group of "
          "its command gets SIGTERM, and SIGKILL after the grace time. SIGTERM or SIGINT to `jack "
          "work` itself: it takes nothing more, lets its commands finish or gives their tasks "
          "back, "
          "and ends; a second one ends it at once. It outlives restarts of its engine, once "
          "that has answered.")
      .example("jack work upper -- tr a-z A-Z", "an agent")
      .example("jack work reviewer -j 4 --timeout 10m -- ./review.sh", "four at a time")
      .example("jack work mail,sms --until-empty -- ./send", "does what there is and ends")
      .status(ExitStatus::done, "told to stop, or --max or --until-empty was reached")
      .status(ExitStatus::usage, "the command line is wrong, or COMMAND cannot be found")
      .status(ExitStatus::refused,
              "the engine refused the worker, or COMMAND cannot be run any more")
      .run([flags] { return work(*flags); });
  add_engine_flags(command, flags->engine);
  return command;
}

}  // namespace jack::app

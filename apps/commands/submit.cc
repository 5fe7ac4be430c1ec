// `jack submit`: hand in a task.
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "apps/commands/commands.h"
#include "apps/commands/connection.h"
#include "apps/commands/outcome.h"
#include "apps/commands/payload.h"
#include "apps/json.h"
#include "apps/terminal.h"
#include "apps/work/environment.h"

namespace jack::app {
namespace {

struct SubmitFlags {
  EngineFlags engine;
  TaskSpec spec;
  std::optional<std::string> payload;
  std::optional<std::string> file;
  std::optional<std::string> from;
  std::optional<TaskId> parent;
  std::vector<std::pair<std::string, std::string>> headers;
  double backoff_factor = Backoff{}.factor_permille / 1000.0;
  double backoff_jitter = Backoff{}.jitter_permille / 1000.0;
  bool alone = false;
  bool wait = false;
  std::optional<Duration> wait_timeout;
  bool json = false;
};

std::uint32_t permille(double value) {
  return static_cast<std::uint32_t>(std::lround(std::min(value, 1e6) * 1000));
}

// What the flags leave open follows from the task that the caller is running, if it is.
TaskSpec spec_of(const SubmitFlags& flags) {
  TaskSpec spec = flags.spec;
  if (!flags.alone) inherit(spec, process_variable);
  if (flags.from) spec.from = *flags.from;
  if (flags.parent) spec.parent = *flags.parent;
  for (const auto& [name, value] : flags.headers) spec.headers[name] = value;
  spec.backoff.factor_permille = permille(flags.backoff_factor);
  spec.backoff.jitter_permille = permille(flags.backoff_jitter);
  if (spec.id.empty()) spec.id = new_task_id();  // to be able to name it whatever happens
  return spec;
}

std::optional<std::string> header_given_twice(const SubmitFlags& flags) {
  std::set<std::string> names;
  for (const auto& [name, value] : flags.headers) {
    if (!names.insert(name).second) return name;
  }
  return std::nullopt;
}

// A submit without an answer may have been accepted.
Error explain(Error error, const TaskId& id) {
  if (error.code != Code::unavailable) return error;
  error.message += fmt::format(
      " (to try again, add --id {}: it stays one task even if this was accepted)", to_string(id));
  return error;
}

Result<ExitStatus> submit(const SubmitFlags& flags) {
  if (flags.payload && flags.file) {
    complain("PAYLOAD and --file exclude each other");
    return ExitStatus::usage;
  }
  if (const std::optional<std::string> twice = header_given_twice(flags)) {
    complain(fmt::format("--header: '{}' is given twice", *twice));
    return ExitStatus::usage;
  }
  TaskSpec spec = spec_of(flags);
  Result<std::string> payload = read_payload(flags.payload, flags.file);
  if (!payload && payload.error().code != Code::payload_too_large) {
    complain(payload.error());
    return ExitStatus::usage;
  }
  if (!payload) return payload.error();
  spec.payload = *std::move(payload);

  Result<Connection> connection = Connection::open(flags.engine);
  if (!connection) return connection.error();
  const TaskId id = spec.id;
  const Result<TaskId> accepted = (*connection)->submit(std::move(spec));
  if (!accepted) return explain(accepted.error(), id);

  if (flags.wait || flags.wait_timeout) {
    return present_outcome(connection->client(), *accepted, flags.wait_timeout.value_or(kForever),
                           flags.json);
  }
  if (flags.json) {
    print(Json::object().set("id", to_string(*accepted)).line() + "\n");
  } else {
    print(to_string(*accepted) + "\n");
  }
  return ExitStatus::done;
}

void add_spec_flags(Command& command, SubmitFlags& flags) {
  TaskSpec& spec = flags.spec;
  command
      .option("--id", "ID", spec.id,
              "the task's id; the same id again is the same task (default: a new one)")
      .option("--type", "TEXT", spec.type, "which handler, where a queue has several")
      .option("--content-type", "TYPE", spec.content_type, "media type of the payload")
      .option("--priority", "PRIORITY", spec.priority, "higher runs first, strictly")
      .choices({"low", "normal", "high", "urgent"})
      .option("--delay", "DURATION", spec.delay, "start no attempt before this time has passed")
      .option("--not-before", "DATE", spec.not_before, "start no attempt before this date")
      .option("--expires-in", "DURATION", spec.expires_in,
              "start no attempt once this time has passed")
      .above_zero()
      .option("--expires-at", "DATE", spec.expires_at, "start no attempt after this date")
      .option("--timeout", "DURATION", spec.timeout,
              "how long one attempt may take; 0s, the default, is any time")
      .option("--attempts", "N", spec.max_attempts, "how often it is tried (default: 3)")
      .above_zero()
      .option("--backoff", "DURATION", spec.backoff.initial,
              "wait before the second attempt (default: 1s)")
      .option("--backoff-factor", "N", flags.backoff_factor,
              "by which the wait grows with each attempt (default: 2)")
      .option("--backoff-max", "DURATION", spec.backoff.max, "the longest wait (default: 10m)")
      .option("--backoff-jitter", "N", flags.backoff_jitter,
              "part of the wait by which it is moved at random (default: 0.2)")
      .option("--reply-to", "QUEUE", spec.reply_to, "gets the outcome as a task")
      .option("--parent", "ID", flags.parent, "the task that this one is for")
      .option("--from", "TEXT", flags.from, "who submits")
      .option("--header", "NAME=VALUE", flags.headers, "carried along; may be given several times")
      .flag("--alone", flags.alone, "take no parent, sender and headers from the task being run");
}

}  // namespace

Command submit_command() {
  const auto flags = std::make_shared<SubmitFlags>();
  Command command("submit", "hand in a task and print its id");
  command.argument("QUEUE", flags->spec.queue, "who is to do it: the name of an agent's queue")
      .argument("[PAYLOAD]", flags->payload, "what is to be done; - reads it from standard input")
      .option("--file,-f", "FILE", flags->file, "read the payload from a file");
  add_spec_flags(command, *flags);
  command.flag("--wait,-w", flags->wait, "wait for the task and print its result instead of the id")
      .option("--wait-timeout", "DURATION", flags->wait_timeout, "wait, but no longer than this")
      .flag("--json", flags->json, "print JSON")
      .details(
          "The task is durable once the id is printed. Within a command that `jack work` runs, the "
          "new task gets the running one as its parent, its queue as sender, and its headers.")
      .details(
          "Durations are 500ms, 10s, 5m, 2h, 3d or 1h30m; dates 2026-01-31T12:00:00Z, or with an "
          "offset like +01:00.")
      .example("jack submit reviewer --file change.diff", "hands a file to the agent `reviewer`")
      .example("git diff | jack submit reviewer - --wait", "and waits for what it has to say")
      .example("jack submit mail 'Good morning' --not-before 2026-01-31T07:00:00+01:00",
               "is done no earlier than this")
      .status(ExitStatus::done, "accepted; with --wait: succeeded")
      .status(ExitStatus::task_failed, "with --wait: failed, cancelled or expired")
      .status(ExitStatus::usage, "the command line is wrong, or the file cannot be read")
      .status(ExitStatus::refused, "the engine refused the task; the message says why")
      .status(ExitStatus::timed_out, "with --wait: it has not ended in time; it goes on")
      .run([flags] { return submit(*flags); });
  add_engine_flags(command, flags->engine);
  return command;
}

}  // namespace jack::app

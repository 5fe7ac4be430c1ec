// `jack result`: what a task brought back.
#include <memory>

#include "apps/commands/commands.h"
#include "apps/commands/connection.h"
#include "apps/commands/outcome.h"

namespace jack::app {
namespace {

struct ResultFlags {
  EngineFlags engine;
  TaskId task;
  bool wait = false;
  std::optional<Duration> timeout;
  bool json = false;
};

Result<ExitStatus> result(const ResultFlags& flags) {
  Result<Connection> connection = Connection::open(flags.engine);
  if (!connection) return connection.error();
  const bool waits = flags.wait || flags.timeout.has_value();
  const Duration timeout = waits ? flags.timeout.value_or(kForever) : Duration{0};
  if (waits) {  // an engine that was never there is not waited for
    if (auto answered = connection->client().info(); !answered) return answered.error();
  }
  return present_outcome(connection->client(), flags.task, timeout, flags.json);
}

}  // namespace

Command result_command() {
  const auto flags = std::make_shared<ResultFlags>();
  Command command("result", "print the result of a task as it is, or why there is none");
  command.argument("ID", flags->task, "the task")
      .flag("--wait,-w", flags->wait, "wait until the task has ended")
      .option("--wait-timeout", "DURATION", flags->timeout, "wait, but no longer than this")
      .flag("--json", flags->json, "print the outcome as JSON, whatever it is")
      .example("jack result 0190d4c2-7b1e-7c3a-9f00-1234567890ab --wait > report.pdf",
               "waits for the task and keeps what it brought back")
      .status(ExitStatus::done, "the task succeeded; its result is on standard output")
      .status(ExitStatus::task_failed,
              "it failed, was cancelled or expired; the error is on standard error")
      .status(ExitStatus::not_found, "there is no such task, or it is no longer kept")
      .status(ExitStatus::timed_out, "it has not ended yet")
      .run([flags] { return result(*flags); });
  add_engine_flags(command, flags->engine);
  return command;
}

}  // namespace jack::app

// `jack show`: everything about one task.
#include <chrono>
#include <memory>
#include <optional>

#include "apps/commands/commands.h"
#include "apps/commands/connection.h"
#include "apps/json.h"
#include "apps/tasks/task_json.h"
#include "apps/tasks/task_text.h"
#include "apps/terminal.h"
#include "apps/text/date.h"

namespace jack::app {
namespace {

struct ShowFlags {
  EngineFlags engine;
  TaskId task;
  bool output = false;
  bool payload = false;
  bool json = false;
};

// All output that is kept so far, part by part.
Result<ExitStatus> print_output(Client& client, const TaskId& task) {
  for (std::uint64_t offset = 0;;) {
    const Result<OutputPart> part = client.read_output(task, offset);
    if (!part) return part.error();
    print(part->bytes);
    offset += part->bytes.size();
    if (part->bytes.empty() || offset >= part->total) return ExitStatus::done;
  }
}

Result<ExitStatus> show(const ShowFlags& flags) {
  if (flags.output + flags.payload + flags.json > 1) {
    complain("--output, --payload and --json exclude each other");
    return ExitStatus::usage;
  }
  Result<Connection> connection = Connection::open(flags.engine);
  if (!connection) return connection.error();
  Client& client = connection->client();
  const Result<Task> task = client.get(flags.task, true);
  if (!task) return task.error();

  if (flags.output) return print_output(client, flags.task);
  if (flags.payload) {
    print(task->spec.payload);
    return ExitStatus::done;
  }
  std::optional<TaskResult> result;
  if (task->status.state == TaskState::succeeded) {
    if (Result<TaskResult> ended = client.wait(flags.task, Duration{0})) result = std::move(*ended);
  }
  if (flags.json) {
    Json json = json_of(*task);
    if (result) set_result(json, *result);
    print(json.line() + "\n");
    return ExitStatus::done;
  }
  const WallTime now = wall_now();
  print(task_text(*task, result ? &*result : nullptr, now, table_style()));
  return ExitStatus::done;
}

}  // namespace

Command show_command() {
  const auto flags = std::make_shared<ShowFlags>();
  Command command("show", "show a task: what was asked, what has happened, each attempt");
  command.argument("ID", flags->task, "the task")
      .flag("--output", flags->output, "print the output of its attempts so far, as it is")
      .flag("--payload", flags->payload, "print its payload, as it is")
      .flag("--json", flags->json, "print all of it as JSON; `state` is at the top")
      .example("jack show 0190d4c2-7b1e-7c3a-9f00-1234567890ab", "for people")
      .example("jack show 0190d4c2-7b1e-7c3a-9f00-1234567890ab --json | jq -r .state",
               "for scripts")
      .status(ExitStatus::done, "shown, whatever its state")
      .status(ExitStatus::not_found, "there is no such task, or it is no longer kept")
      .run([flags] { return show(*flags); });
  add_engine_flags(command, flags->engine);
  return command;
}

}  // namespace jack::app

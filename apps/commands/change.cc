// `jack cancel`, `retry`, `pause` and `resume`: changes to several tasks or queues, one at a time.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "apps/commands/commands.h"
#include "apps/commands/connection.h"
#include "apps/json.h"
#include "apps/tasks/task_json.h"
#include "apps/terminal.h"

namespace jack::app {
namespace {

struct ChangeFlags {
  EngineFlags engine;
  std::vector<TaskId> tasks;
  std::vector<std::string> queues;
  std::string reason;
  bool json = false;
};

std::string name_of_target(const TaskId& task) { return to_string(task); }
std::string name_of_target(const std::string& queue) { return queue; }

// Changes each target and goes on after one that was refused. The status is that of the first that
// was. Silence is success, unless JSON was asked for.
template <typename Target>
Result<ExitStatus> change_each(const ChangeFlags& flags, const std::vector<Target>& targets,
                               const std::string& target_name,
                               const std::function<Result<void>(Client&, const Target&)>& change) {
  Result<Connection> connection = Connection::open(flags.engine);
  if (!connection) return connection.error();

  ExitStatus status = ExitStatus::done;
  Json results = Json::array();
  for (const Target& target : targets) {
    const Result<void> changed = change(connection->client(), target);
    Json result = Json::object();
    result.set(target_name, name_of_target(target)).set("ok", changed.has_value());
    if (!changed) {
      const ExitStatus refused = complain(changed.error());
      if (status == ExitStatus::done) status = refused;
      result.set("error", json_of(changed.error()));
    }
    results.add(std::move(result));
    if (!changed && changed.error().code == Code::unavailable)
      break;  // it is so for the others too
  }
  if (flags.json) print(Json::object().set("results", std::move(results)).line() + "\n");
  return status;
}

void add_common_flags(Command& command, ChangeFlags& flags) {
  command.flag("--json", flags.json, "print what became of each as JSON")
      .status(ExitStatus::done, "all of them are changed");
  add_engine_flags(command, flags.engine);
}

Command task_command(const std::string& name, const std::string& summary,
                     const std::shared_ptr<ChangeFlags>& flags,
                     const std::function<Result<void>(Client&, const TaskId&)>& change) {
  Command command(name, summary);
  command.argument("ID", flags->tasks, "the tasks").run([flags, change] {
    return change_each<TaskId>(*flags, flags->tasks, "id", change);
  });
  add_common_flags(command, *flags);
  return command;
}

Command queue_command(const std::string& name, const std::string& summary,
                      const std::function<Result<void>(Client&, const std::string&)>& change) {
  const auto flags = std::make_shared<ChangeFlags>();
  Command command(name, summary);
  command.argument("QUEUE", flags->queues, "the queues").run([flags, change] {
    return change_each<std::string>(*flags, flags->queues, "queue", change);
  });
  add_common_flags(command, *flags);
  return command;
}

}  // namespace

Command cancel_command() {
  const auto flags = std::make_shared<ChangeFlags>();
  Command command = task_command(
      "cancel", "cancel tasks that have not ended", flags,
      [flags](Client& client, const TaskId& id) { return client.cancel(id, flags->reason); });
  command.option("--reason", "TEXT", flags->reason, "kept as the task's error")
      .details("The worker of a running task is told to stop; whatever it brings back is refused.")
      .example("jack cancel 0190d4c2-7b1e-7c3a-9f00-1234567890ab --reason 'no longer needed'",
               "ends the task as cancelled")
      .status(ExitStatus::not_found, "a task is not there")
      .status(ExitStatus::refused, "a task has ended already, and not as cancelled");
  return command;
}

Command retry_command() {
  Command command = task_command("retry", "begin failed, cancelled or expired tasks anew",
                                 std::make_shared<ChangeFlags>(),
                                 [](Client& client, const TaskId& id) { return client.retry(id); });
  command
      .details(
          "A new cycle with all its attempts begins; the history stays. A date at which "
          "the task expires no longer counts.")
      .example("jack ls --state failed --json | jq -r '.tasks[].id' | xargs jack retry",
               "tries again what failed")
      .status(ExitStatus::not_found, "a task is not there, or is no longer kept")
      .status(ExitStatus::refused, "a task is neither failed nor cancelled nor expired");
  return command;
}

Command pause_command() {
  Command command =
      queue_command("pause", "hand out no tasks of queues",
                    [](Client& client, const std::string& queue) { return client.pause(queue); });
  command.details("What runs goes on, and tasks are still accepted.")
      .example("jack pause reviewer", "until `jack resume reviewer`")
      .status(ExitStatus::refused, "no name of a queue");
  return command;
}

Command resume_command() {
  Command command =
      queue_command("resume", "hand out tasks of paused queues again",
                    [](Client& client, const std::string& queue) { return client.resume(queue); });
  command.example("jack resume reviewer", "after `jack pause reviewer`")
      .status(ExitStatus::refused, "no name of a queue");
  return command;
}

}  // namespace jack::app

// `jack ls` and `jack queues`: what there is.
#include <algorithm>
#include <chrono>
#include <memory>

#include "apps/commands/commands.h"
#include "apps/commands/connection.h"
#include "apps/json.h"
#include "apps/tasks/task_json.h"
#include "apps/tasks/task_text.h"
#include "apps/terminal.h"
#include "apps/text/date.h"

namespace jack::app {
namespace {

// Of one request; more is fetched page by page.
constexpr std::uint32_t kPageTasksMax = 1000;

struct ListFlags {
  EngineFlags engine;
  std::string queue;
  std::optional<TaskState> state;
  bool unfinished = false;
  std::optional<TaskId> before;
  std::uint64_t limit = 50;
  bool json = false;
};

Result<TaskPage> list_pages(Client& client, const ListFlags& flags) {
  ListFilter filter;
  filter.queue = flags.queue;
  filter.state = flags.state;
  filter.finished_too = !flags.unfinished;
  filter.before = flags.before.value_or(TaskId{});
  TaskPage all;
  do {
    filter.count_max = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(flags.limit - all.tasks.size(), kPageTasksMax));
    Result<TaskPage> page = client.list(filter);
    if (!page) return page;
    std::ranges::move(page->tasks, std::back_inserter(all.tasks));
    filter.before = all.next = page->next;
  } while (!all.next.empty() && all.tasks.size() < flags.limit);
  return all;
}

Result<ExitStatus> ls(const ListFlags& flags) {
  Result<Connection> connection = Connection::open(flags.engine);
  if (!connection) return connection.error();
  const Result<TaskPage> page = list_pages(connection->client(), flags);
  if (!page) return page.error();

  if (flags.json) {
    Json tasks = Json::array();
    for (const Task& task : page->tasks) tasks.add(json_of(task));
    Json next = page->next.empty() ? Json() : Json(to_string(page->next));
    print(Json::object().set("tasks", std::move(tasks)).set("next", std::move(next)).line() + "\n");
    return ExitStatus::done;
  }
  const WallTime now = wall_now();
  print(tasks_text(page->tasks, now, table_style()));
  if (!page->next.empty() && is_terminal(Stream::errors)) {
    complain("there may be more; go on with --before " + to_string(page->next));
  }
  return ExitStatus::done;
}

struct QueuesFlags {
  EngineFlags engine;
  bool json = false;
};

Result<ExitStatus> queues(const QueuesFlags& flags) {
  Result<Connection> connection = Connection::open(flags.engine);
  if (!connection) return connection.error();
  Result<std::vector<QueueStatus>> queues = (*connection)->queues();
  if (!queues) return queues.error();
  std::ranges::sort(*queues, {}, &QueueStatus::name);

  if (flags.json) {
    Json list = Json::array();
    for (const QueueStatus& queue : *queues) list.add(json_of(queue));
    print(Json::object().set("queues", std::move(list)).line() + "\n");
  } else {
    print(queues_text(*queues, table_style()));
  }
  return ExitStatus::done;
}

}  // namespace

Command ls_command() {
  const auto flags = std::make_shared<ListFlags>();
  Command command("ls", "list tasks, newest first");
  command.argument("[QUEUE]", flags->queue, "only tasks of this queue")
      .option("--state,-s", "STATE", flags->state, "only tasks in this state")
      .choices({"scheduled", "queued", "running", "succeeded", "failed", "cancelled", "expired"})
      .flag("--unfinished,-u", flags->unfinished, "only tasks that have not ended")
      .option("--limit,-n", "N", flags->limit, "at most so many (default: 50)")
      .above_zero()
      .option("--before", "ID", flags->before, "only tasks older than this one: the next page")
      .flag("--json", flags->json,
            "print {\"tasks\": […], \"next\": …}, where next is the ID for --before, or null")
      .example("jack ls", "the newest tasks")
      .example("jack ls reviewer --state failed", "what went wrong at one agent")
      .example("jack ls --unfinished --json | jq '.tasks | length'", "how much is to be done")
      .status(ExitStatus::done, "listed, even if there is none")
      .status(ExitStatus::refused, "no name of a queue")
      .run([flags] { return ls(*flags); });
  add_engine_flags(command, flags->engine);
  return command;
}

Command queues_command() {
  const auto flags = std::make_shared<QueuesFlags>();
  Command command("queues", "show what is in each queue, and what went through it");
  command.flag("--json", flags->json, "print {\"queues\": […]}")
      .example("jack queues", "a line per queue")
      .status(ExitStatus::done, "shown")
      .run([flags] { return queues(*flags); });
  add_engine_flags(command, flags->engine);
  return command;
}

}  // namespace jack::app

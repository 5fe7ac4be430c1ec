#include "apps/commands/outcome.h"

#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "apps/json.h"
#include "apps/tasks/task_json.h"
#include "apps/tasks/task_text.h"
#include "apps/terminal.h"
#include "apps/text/duration.h"

namespace jack::app {
namespace {

// An engine that goes away is waited for like the task: it comes back, or the time is over.
Result<TaskResult> wait_for(Client& client, const TaskId& task, Duration timeout) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point end = Clock::now() + timeout;
  bool told = false;
  for (Duration left = timeout;;) {
    Result<TaskResult> ended = client.wait(task, left);
    if (ended || ended.error().code != Code::unavailable) return ended;
    left = std::chrono::ceil<Duration>(end - Clock::now());
    if (left <= Duration{0}) return ended;
    if (!std::exchange(told, true)) {
      complain("the engine is gone; waiting for it, and for task " + to_string(task));
    }
  }
}

Error still_going(const TaskId& task, Duration timeout) {
  const std::string within =
      timeout.count() == 0 ? "yet" : fmt::format("within {}", exact_text(timeout));
  return {Code::timed_out, fmt::format("task {0} has not ended {1}; wait for it with: jack result "
                                       "{0} --wait",
                                       to_string(task), within)};
}

// A script that asked for JSON still wants the id, which may be a new one.
void print_state(Client& client, const TaskId& task) {
  Json json = Json::object();
  json.set("id", to_string(task));
  if (const Result<Task> now = client.get(task)) json.set("state", name_of(now->status.state));
  print(json.line() + "\n");
}

}  // namespace

Result<ExitStatus> present_outcome(Client& client, const TaskId& task, Duration timeout,
                                   bool json) {
  const Result<TaskResult> ended = wait_for(client, task, timeout);
  if (!ended && ended.error().code == Code::timed_out) {
    if (json) print_state(client, task);
    return still_going(task, timeout);
  }
  if (!ended) return ended.error();

  const bool succeeded = ended->state == TaskState::succeeded;
  if (json) {
    print(json_of(*ended).line() + "\n");
  } else if (succeeded) {
    print(ended->result);
  } else {
    complain_lines(failure_text(*ended));
  }
  return succeeded ? ExitStatus::done : ExitStatus::task_failed;
}

}  // namespace jack::app

#include "apps/commands/outcome.h"

#include <fmt/format.h>

#include "apps/tasks/task_json.h"
#include "apps/tasks/task_text.h"
#include "apps/terminal.h"
#include "apps/text/duration.h"

namespace jack::app {
namespace {

Error still_going(const TaskId& task, Duration timeout) {
  if (timeout.count() == 0) {
    return {Code::timed_out,
            fmt::format("task {} has not ended; --wait waits for it", to_string(task))};
  }
  return {Code::timed_out,
          fmt::format("task {0} has not ended within {1}; go on waiting with: jack "
                      "result {0} --wait",
                      to_string(task), exact_text(timeout))};
}

}  // namespace

Result<ExitStatus> present_outcome(Client& client, const TaskId& task, Duration timeout,
                                   bool json) {
  const Result<TaskResult> ended = client.wait(task, timeout);
  if (!ended && ended.error().code == Code::timed_out) return still_going(task, timeout);
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

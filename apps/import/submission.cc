#include "apps/import/submission.h"

#include <algorithm>
#include <cstddef>

#include <fmt/format.h>

namespace jack::app {
namespace {

std::size_t bytes_of(const Entry& entry) {
  return entry.text.size() + entry.response.value_or("").size();
}

// A task to be submitted, and the file that its outcome counts for.
struct Next {
  PlannedFile* file = nullptr;
  const PlannedTask* task = nullptr;
};

// By date, and otherwise as they stand.
std::vector<Next> in_order(std::vector<PlannedFile>& files) {
  std::vector<Next> order;
  order.reserve(count_tasks(files));
  for (PlannedFile& file : files) {
    for (const PlannedTask& task : file.tasks) order.push_back({&file, &task});
  }
  std::ranges::stable_sort(
      order, {}, [](const Next& next) { return next.task->entry.time.value_or(WallTime::min()); });
  return order;
}

// How many of these fit into one batch, at least one.
std::size_t batch_of(std::span<const Next> tasks) {
  std::size_t count = 0;
  std::size_t bytes = 0;
  while (count < tasks.size() && count < kImportBatchTasks) {
    bytes += bytes_of(tasks[count].task->entry);
    if (count > 0 && bytes > kImportBatchBytes) break;
    ++count;
  }
  return count;
}

// Whether it is this task that the engine does not want; it would not take it later either.
bool is_about_the_task(Code code) {
  return code == Code::invalid_argument || code == Code::payload_too_large ||
         code == Code::failed_precondition;
}

class Submission {
 public:
  Submission(ImportTarget& target, std::atomic<std::uint64_t>& done)
      : target_(target), done_(done) {}

  Result<void> submit(std::span<const Next> batch) {
    std::vector<ImportTask> tasks;
    tasks.reserve(batch.size());
    for (const Next& next : batch) tasks.push_back(task_of(*next.task));
    const Result<std::vector<Result<ImportOutcome>>> outcomes = target_.submit(tasks);
    if (!outcomes) return note_refusal_of_all(batch, outcomes.error());
    std::optional<Error> stop;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const Result<ImportOutcome>& outcome = (*outcomes)[i];
      if (outcome) {
        count(batch[i], *outcome);
      } else if (!note_refusal(batch[i], outcome.error())) {
        if (!stop) stop = outcome.error();
        continue;
      }
      ++done_;
    }
    if (stop) return *std::move(stop);
    return {};
  }

 private:
  void count(const Next& next, ImportOutcome outcome) {
    ImportCounts& counts = next.file->counts;
    const bool is_new = outcome == ImportOutcome::imported;
    ++(is_new ? counts.imported : counts.already_there);
    const bool is_done = is_new && next.task->entry.response;
    if (is_done || outcome == ImportOutcome::completed) ++counts.completed;
    if (outcome != ImportOutcome::there_otherwise) return;
    next.file->problems.push_back({next.task->entry.line, 0,
                                   "was imported before, to another queue or with another id of "
                                   "before, and stays so",
                                   false});
  }

  // It is about the task where that alone is more than a request may have.
  Result<void> note_refusal_of_all(std::span<const Next> batch, const Error& error) {
    if (batch.size() > 1 || error.code != Code::payload_too_large) return error;
    note_refusal(batch[0], error);
    ++done_;
    return {};
  }

  // False where the refusal is not about this task.
  bool note_refusal(const Next& next, const Error& error) {
    if (!is_about_the_task(error.code)) return false;
    ++next.file->counts.left_out;
    const std::string_view about = error.code == Code::failed_precondition
                                       ? "left out: completed since it was imported, but "
                                       : "left out: ";
    next.file->problems.push_back(
        {next.task->entry.line, 0, fmt::format("{}{}", about, error.message), true});
    return true;
  }

  ImportTarget& target_;
  std::atomic<std::uint64_t>& done_;
};

}  // namespace

Result<void> submit_all(std::vector<PlannedFile>& files, ImportTarget& target,
                        std::atomic<std::uint64_t>& done) {
  Submission submission(target, done);
  const std::vector<Next> order = in_order(files);
  for (std::span<const Next> rest = order; !rest.empty();) {
    const std::size_t count = batch_of(rest);
    if (Result<void> sent = submission.submit(rest.first(count)); !sent) return sent;
    rest = rest.subspan(count);
  }
  return {};
}

std::uint64_t count_tasks(const std::vector<PlannedFile>& files) {
  std::uint64_t count = 0;
  for (const PlannedFile& file : files) count += file.tasks.size();
  return count;
}

}  // namespace jack::app

#include "apps/import/submission.h"

#include <algorithm>
#include <cstddef>

#include <fmt/format.h>

namespace jack::app {
namespace {

std::size_t bytes_of(const Entry& entry) {
  return entry.text.size() + entry.response.value_or("").size();
}

// How many of these fit into one batch, at least one.
std::size_t batch_of(std::span<const PlannedTask> tasks) {
  std::size_t count = 0;
  std::size_t bytes = 0;
  while (count < tasks.size() && count < kImportBatchTasks) {
    bytes += bytes_of(tasks[count].entry);
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

class FileSubmission {
 public:
  FileSubmission(PlannedFile& file, ImportTarget& target, std::atomic<std::uint64_t>& done)
      : file_(file), target_(target), done_(done) {}

  Result<void> run() {
    std::span<const PlannedTask> rest = file_.tasks;
    while (!rest.empty()) {
      const std::size_t count = batch_of(rest);
      if (Result<void> sent = submit(rest.first(count)); !sent) return sent;
      rest = rest.subspan(count);
    }
    return {};
  }

 private:
  Result<void> submit(std::span<const PlannedTask> batch) {
    std::vector<ImportTask> tasks;
    tasks.reserve(batch.size());
    for (const PlannedTask& planned : batch) tasks.push_back(task_of(planned, file_.path));
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

  void count(const PlannedTask& task, ImportOutcome outcome) {
    const bool is_new = outcome == ImportOutcome::imported;
    ++(is_new ? file_.counts.imported : file_.counts.already_there);
    const bool is_done = is_new && task.entry.response;
    if (is_done || outcome == ImportOutcome::completed) ++file_.counts.completed;
  }

  // It is about the task where that alone is more than a request may have.
  Result<void> note_refusal_of_all(std::span<const PlannedTask> batch, const Error& error) {
    if (batch.size() > 1 || error.code != Code::payload_too_large) return error;
    note_refusal(batch[0], error);
    ++done_;
    return {};
  }

  // False where the refusal is not about this task.
  bool note_refusal(const PlannedTask& task, const Error& error) {
    if (error.code == Code::already_exists) {
      // The id follows from the entry, so it is the same, but for where it goes.
      ++file_.counts.already_there;
      file_.problems.push_back(
          {task.entry.line, 0, "was imported before, to another queue, and stays there", false});
      return true;
    }
    if (!is_about_the_task(error.code)) return false;
    ++file_.counts.left_out;
    const std::string_view about = error.code == Code::failed_precondition
                                       ? "left out: completed since it was imported, but "
                                       : "left out: ";
    file_.problems.push_back({task.entry.line, 0, fmt::format("{}{}", about, error.message), true});
    return true;
  }

  PlannedFile& file_;
  ImportTarget& target_;
  std::atomic<std::uint64_t>& done_;
};

}  // namespace

Result<void> submit_all(std::vector<PlannedFile>& files, ImportTarget& target,
                        std::atomic<std::uint64_t>& done) {
  for (PlannedFile& file : files) {
    if (Result<void> sent = FileSubmission(file, target, done).run(); !sent) return sent;
  }
  return {};
}

std::uint64_t count_tasks(const std::vector<PlannedFile>& files) {
  std::uint64_t count = 0;
  for (const PlannedFile& file : files) count += file.tasks.size();
  return count;
}

}  // namespace jack::app

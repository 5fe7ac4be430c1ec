#include "apps/import/client_target.h"

#include <utility>

namespace jack::app {
namespace {

Result<ImportOutcome> outcome_of(const Result<Submitted>& answer) {
  // The id follows from the entry, so it is the same task all the same.
  if (!answer && answer.error().code == Code::already_exists) return ImportOutcome::there_otherwise;
  if (!answer) return answer.error();
  return answer->repeated ? ImportOutcome::already_there : ImportOutcome::imported;
}

bool was_there(const Result<ImportOutcome>& outcome) {
  return outcome &&
         (*outcome == ImportOutcome::already_there || *outcome == ImportOutcome::there_otherwise);
}

}  // namespace

Result<std::vector<Result<ImportOutcome>>> ClientTarget::submit(std::span<const ImportTask> tasks) {
  std::vector<RecordedTask> recorded;
  recorded.reserve(tasks.size());
  for (const ImportTask& task : tasks) recorded.push_back({task.spec, task.result, {}});
  const Result<std::vector<Result<Submitted>>> answers = client_->record(recorded);
  if (!answers) return answers.error();

  std::vector<Result<ImportOutcome>> outcomes;
  outcomes.reserve(tasks.size());
  for (const Result<Submitted>& answer : *answers) outcomes.push_back(outcome_of(answer));
  if (Result<void> completed = complete(tasks, outcomes); !completed) return completed.error();
  return outcomes;
}

// Those with a result that were there already may be there since an import that found them pending.
Result<void> ClientTarget::complete(std::span<const ImportTask> tasks,
                                    std::vector<Result<ImportOutcome>>& outcomes) {
  std::vector<std::size_t> places;
  std::vector<Completion> completions;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (!was_there(outcomes[i]) || !tasks[i].result) continue;
    places.push_back(i);
    completions.push_back({tasks[i].spec.id, *tasks[i].result, {}});
  }
  if (completions.empty()) return {};
  const Result<std::vector<Result<Completed>>> completed = client_->complete(completions);
  if (!completed) return completed.error();
  for (std::size_t i = 0; i < places.size(); ++i) {
    const Result<Completed>& answer = (*completed)[i];
    if (!answer) {
      outcomes[places[i]] = outcome_of_refused(completions[i].task, answer.error());
      const Result<ImportOutcome>& outcome = outcomes[places[i]];
      // Else the next ones would wait as long for the engine.
      if (!outcome && outcome.error().code == Code::unavailable) return outcome.error();
    } else if (!answer->repeated) {
      outcomes[places[i]] = ImportOutcome::completed;
    }
  }
  return {};
}

// A task that has succeeded is as good as completed, with whatever result.
Result<ImportOutcome> ClientTarget::outcome_of_refused(const TaskId& task, const Error& refusal) {
  if (refusal.code == Code::not_found) return ImportOutcome::already_there;  // no longer kept
  if (refusal.code != Code::failed_precondition) return refusal;
  const Result<Task> there = client_->get(task);
  if (!there) return there.error();
  if (there->status.state == TaskState::succeeded) return ImportOutcome::already_there;
  return refusal;
}

}  // namespace jack::app

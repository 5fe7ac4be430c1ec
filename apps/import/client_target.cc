#include "apps/import/client_target.h"

#include <utility>

#include "apps/import/entry_ids.h"

namespace jack::app {
namespace {

constexpr std::uint32_t kKnownPerPage = 1000;

}  // namespace

Result<ClientTarget> ClientTarget::open(Client& client) {
  ListFilter filter;
  filter.before = TaskId::from(kImportedIdsEnd, 0, 0);
  filter.count_max = kKnownPerPage;
  std::set<TaskId> known;
  do {
    const Result<TaskPage> page = client.list(filter);
    if (!page) return page.error();
    for (const Task& task : page->tasks) known.insert(task.spec.id);
    filter.before = page->next;
  } while (!filter.before.empty());
  return ClientTarget(client, std::move(known));
}

Result<std::vector<Result<ImportOutcome>>> ClientTarget::submit(std::span<const ImportTask> tasks) {
  std::vector<Result<ImportOutcome>> outcomes;
  std::vector<std::size_t> places;
  std::vector<TaskSpec> specs;
  for (const ImportTask& task : tasks) {
    const bool known = known_.contains(task.spec.id);
    if (!task.result) {
      places.push_back(outcomes.size());
      specs.push_back(task.spec);
    } else if (!known) {
      // A worker could get it between a submit and whatever ends it.
      outcomes.push_back(
          Error{Code::unsupported, "this engine takes no task that is done already"});
      continue;
    }
    outcomes.push_back(known ? ImportOutcome::already_there : ImportOutcome::imported);
  }
  if (specs.empty()) return outcomes;
  Result<std::vector<Result<TaskId>>> submitted = client_->submit(specs);
  if (!submitted) return submitted.error();
  for (std::size_t i = 0; i < places.size(); ++i) {
    Result<TaskId>& accepted = (*submitted)[i];
    if (accepted) {
      known_.insert(*accepted);  // the same entry can be in two files of the same name
    } else {
      outcomes[places[i]] = std::move(accepted).error();
    }
  }
  return outcomes;
}

}  // namespace jack::app

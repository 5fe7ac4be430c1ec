#include "apps/import/plan.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "apps/import/entry_ids.h"
#include "apps/jules/task_view.h"
#include "apps/text/escape.h"
#include "engine/format/spec.h"

namespace jack::app {
namespace {

constexpr std::size_t kHeaderColumnsMax = 200;

// Headers and senders are texts for people, of limited length.
std::string fit_for_header(std::string_view text) {
  return cut_to(escaped(text), kHeaderColumnsMax);
}

// Of two entries that are the same task.
void complete(Entry& entry, const Entry& twin) {
  if (!entry.response) entry.response = twin.response;
  if (entry.id.empty()) entry.id = twin.id;
}

class Planner {
 public:
  Planner(const Destinations& destinations, PlannedFile& planned)
      : destinations_(destinations), planned_(planned) {}

  void take(Entry entry, const TaskId& id) {
    if (std::optional<Queue> queue = queue_of(entry.agent)) {
      planned_.tasks.push_back({std::move(entry), id, std::move(queue->name), queue->keeps_name});
      return;
    }
    ++planned_.counts.left_out;
    auto [refused, first] = refused_.try_emplace(entry.agent, Refused{entry.line, 0});
    ++refused->second.entries;
  }

  void report() {
    for (const auto& [agent, refused] : refused_) {
      planned_.problems.push_back(
          {refused.line, 0,
           fmt::format("left out: no queue can be named for '{}'; give it one with --map "
                       "AGENT=QUEUE (tasks in this file: {})",
                       cut_to(escaped(agent), 60), refused.entries),
           true});
    }
  }

 private:
  struct Refused {
    std::uint64_t line = 0;  // of its first entry
    std::uint64_t entries = 0;
  };

  struct Queue {
    std::string name;
    bool keeps_name = false;
  };

  std::optional<Queue> queue_of(const std::string& agent) const {
    if (agent.empty()) return Queue{destinations_.inbox};
    const auto mapped = destinations_.queues.find(agent);
    if (mapped != destinations_.queues.end()) return Queue{mapped->second};
    const std::optional<std::string> queue = jules::queue_of_agent(agent);
    if (!queue || !is_plain_text(agent)) return std::nullopt;
    return Queue{*queue, *queue != agent};
  }

  const Destinations& destinations_;
  PlannedFile& planned_;
  std::map<std::string, Refused> refused_;  // by agent
};

}  // namespace

PlannedFile plan(ParsedFile file, std::string path, const Destinations& destinations) {
  PlannedFile planned;
  planned.problems = std::move(file.problems);
  planned.counts.left_out =
      static_cast<std::uint64_t>(std::ranges::count(planned.problems, true, &Problem::left_out));
  const std::vector<TaskId> ids = ids_of(file);
  Planner planner(destinations, planned);
  planned.tasks.reserve(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) planner.take(std::move(file.entries[i]), ids[i]);
  planner.report();
  planned.kind = file.kind;
  planned.path = std::move(path);
  return planned;
}

void merge_twins(std::vector<PlannedFile>& files) {
  struct Kept {
    const PlannedFile* file = nullptr;
    Entry* entry = nullptr;
  };
  std::map<TaskId, Kept> all;
  std::vector<PlannedFile*> order;
  for (PlannedFile& file : files) order.push_back(&file);
  std::ranges::stable_partition(
      order, [](const PlannedFile* file) { return file->kind == FileKind::agent_tasks; });
  for (PlannedFile* const file : order) {
    for (PlannedTask& task : file->tasks) {
      const auto [kept, is_first] = all.try_emplace(task.id, Kept{file, &task.entry});
      if (!is_first) complete(*kept->second.entry, task.entry);
    }
  }
  for (PlannedFile& file : files) {
    file.counts.already_there += std::erase_if(
        file.tasks, [&](const PlannedTask& task) { return all.at(task.id).file != &file; });
  }
}

ImportTask task_of(const PlannedTask& planned) {
  const Entry& entry = planned.entry;
  ImportTask task;
  task.spec.id = planned.id;
  task.spec.queue = planned.queue;
  task.spec.payload = entry.text;
  task.spec.from = cut_to(escaped(entry.from), 60);
  auto& headers = task.spec.headers;
  if (planned.keeps_name) headers[jules::kAgentHeader] = entry.agent;
  if (!entry.id.empty()) headers["import-id"] = fit_for_header(entry.id);
  if (!entry.created.empty()) headers["import-created"] = fit_for_header(entry.created);
  task.result = entry.response;
  return task;
}

}  // namespace jack::app

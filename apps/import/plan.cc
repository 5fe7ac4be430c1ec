#include "apps/import/plan.h"

#include <algorithm>
#include <filesystem>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "apps/import/entry_ids.h"
#include "apps/text/escape.h"
#include "engine/format/spec.h"

namespace jack::app {
namespace {

constexpr std::size_t kHeaderColumnsMax = 200;

std::string file_name_of(std::string_view path) {
  return std::filesystem::path(path).filename().string();
}

// What an agent's queue could be called, for a hint.
std::string queue_name_like(std::string_view agent) {
  std::string name;
  for (const char c : agent) {
    const bool fits = is_queue_name({&c, 1});
    if (fits || !name.ends_with('-')) name += fits ? c : '-';
  }
  return is_queue_name(name) && name != "-" ? name : "NAME";
}

// Headers and senders are texts for people, of limited length.
std::string fit_for_header(std::string_view text) {
  return cut_to(escaped(text), kHeaderColumnsMax);
}

// Agent, text, and id or date, which the flag tells apart.
using TwinKey = std::tuple<std::string_view, std::string_view, bool, std::string_view>;

TwinKey twin_key(const Entry& entry) {
  return {entry.agent, entry.text, entry.id.empty(), entry.id.empty() ? entry.created : entry.id};
}

class Planner {
 public:
  Planner(const Destinations& destinations, PlannedFile& planned)
      : destinations_(destinations), planned_(planned) {}

  void take(Entry entry, const TaskId& id) {
    const std::string queue = queue_of(entry);
    if (is_queue_name(queue)) {
      planned_.tasks.push_back({std::move(entry), id, queue});
      return;
    }
    ++planned_.counts.left_out;
    auto [refused, first] = refused_.try_emplace(entry.agent, Refused{entry.line, 0});
    ++refused->second.entries;
  }

  void report() {
    for (const auto& [agent, refused] : refused_) {
      const std::string shown = cut_to(escaped(agent), 60);
      planned_.problems.push_back(
          {refused.line, 0,
           fmt::format(
               "left out: '{}' cannot be the name of a queue; give it one with --map '{}={}'"
               " (tasks in this file: {})",
               shown, shown, queue_name_like(agent), refused.entries),
           true});
    }
  }

 private:
  struct Refused {
    std::uint64_t line = 0;  // of its first entry
    std::uint64_t entries = 0;
  };

  std::string queue_of(const Entry& entry) const {
    if (entry.agent.empty()) return destinations_.inbox;
    const auto mapped = destinations_.queues.find(entry.agent);
    return mapped == destinations_.queues.end() ? entry.agent : mapped->second;
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
  const std::vector<TaskId> ids = ids_of(file, file_name_of(path));
  Planner planner(destinations, planned);
  planned.tasks.reserve(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) planner.take(std::move(file.entries[i]), ids[i]);
  planner.report();
  planned.kind = file.kind;
  planned.path = std::move(path);
  return planned;
}

void drop_twins(std::vector<PlannedFile>& files) {
  std::map<TwinKey, std::uint64_t> of_agents;
  for (const PlannedFile& file : files) {
    if (file.kind != FileKind::agent_tasks) continue;
    for (const PlannedTask& task : file.tasks) ++of_agents[twin_key(task.entry)];
  }
  for (PlannedFile& file : files) {
    if (file.kind != FileKind::tasks) continue;
    file.counts.already_there += std::erase_if(file.tasks, [&](const PlannedTask& task) {
      const auto twin = of_agents.find(twin_key(task.entry));
      if (task.entry.agent.empty() || twin == of_agents.end() || twin->second == 0) return false;
      --twin->second;
      return true;
    });
  }
}

ImportTask task_of(const PlannedTask& planned, std::string_view path) {
  const Entry& entry = planned.entry;
  ImportTask task;
  task.spec.id = planned.id;
  task.spec.queue = planned.queue;
  task.spec.payload = entry.text;
  task.spec.from = cut_to(escaped(entry.from), 60);
  auto& headers = task.spec.headers;
  headers["import-file"] = fit_for_header(file_name_of(path));
  if (!entry.id.empty()) headers["import-id"] = fit_for_header(entry.id);
  if (!entry.created.empty()) headers["import-created"] = fit_for_header(entry.created);
  task.result = entry.response;
  return task;
}

}  // namespace jack::app

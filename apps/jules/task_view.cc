#include "apps/jules/task_view.h"

#include <algorithm>
#include <initializer_list>

#include <nlohmann/json.hpp>

#include "apps/strict_json.h"
#include "apps/tasks/task_text.h"
#include "engine/date.h"
#include "engine/format/spec.h"

namespace jack::jules {
namespace {

constexpr const char* kCreatedHeader = "import-created";

std::string created_of(const Task& task) {
  const auto imported = task.spec.headers.find(kCreatedHeader);
  if (imported != task.spec.headers.end()) return imported->second;
  return second_text(app::date_of(task.status.submitted));
}

// Fields that were put stand for those that follow from the task, but for these and its agent.
void overlay(Value& target, const Task& task, std::initializer_list<std::string_view> but) {
  for (const auto& [name, note] : task.status.annotations) {
    if (name == kLeaseNote || name == kAgentNote) continue;
    if (std::find(but.begin(), but.end(), name) == but.end()) target[name] = value_of_note(note);
  }
}

}  // namespace

std::optional<std::string> queue_of_agent(std::string_view agent) {
  std::string queue(agent);
  for (char& c : queue) {
    if (!is_queue_name({&c, 1})) c = '-';
  }
  if (!is_queue_name(queue)) return std::nullopt;
  return queue;
}

std::optional<std::string> queue_of_agent(std::string_view agent, const Options& options) {
  std::optional<std::string> queue = queue_of_agent(agent);
  if (queue == options.inbox || queue == options.responses) return std::nullopt;
  return queue;
}

bool is_of_agent(const Task& task, std::string_view agent, const Options& options) {
  const std::string assigned = agent_of(task, options);
  if (assigned == agent || task.spec.headers.contains(kAgentHeader)) return assigned == agent;
  return task.spec.queue == queue_of_agent(agent, options);
}

std::string agent_of(const Task& task, const Options& options) {
  const auto named = task.spec.headers.find(kAgentHeader);
  if (named != task.spec.headers.end()) return named->second;
  if (task.spec.queue == options.responses) return {};
  if (task.spec.queue != options.inbox) return task.spec.queue;
  const auto assigned = task.status.annotations.find(kAgentNote);
  if (assigned == task.status.annotations.end()) return {};
  const Value agent = value_of_note(assigned->second);
  return agent.is_string() ? agent.get<std::string>() : std::string();
}

std::string note_of(const Value& value) {
  if (value.is_string()) {
    auto text = value.get<std::string>();
    if (!app::parse_json(text)) return text;
  }
  return value.dump();
}

Value value_of_note(const std::string& note) {
  Result<Value> value = app::parse_json(note);
  return value ? *std::move(value) : Value(note);
}

std::string_view status_of(TaskState state) {
  switch (state) {
    case TaskState::waiting:
    case TaskState::scheduled:
    case TaskState::queued: return "pending";
    case TaskState::running: return "acknowledged";
    case TaskState::succeeded: return "completed";
    case TaskState::failed:
    case TaskState::cancelled:
    case TaskState::expired: return name_of(state);
  }
  return "pending";
}

std::string second_text(WallTime at) {
  std::string text = date_text(at);  // "2026-01-31T12:00:00.250Z"
  return text.replace(text.find('.'), std::string::npos, "Z");
}

Value entry_of(const Task& task, const Options& options) {
  Value entry = {{"id", task.status.serial},
                 {"task", task.spec.payload},
                 {"created", created_of(task)},
                 {"assigned_to", agent_of(task, options)},
                 {"status", status_of(task.status.state)}};
  overlay(entry, task, {"id", "task"});
  return entry;
}

Value data_of(const Task& task, const Options& options) {
  Value data = {{"task", task.spec.payload},
                {"status", status_of(task.status.state)},
                {"created", created_of(task)}};
  const std::string agent = agent_of(task, options);
  if (!agent.empty()) data["assigned_to"] = agent;
  overlay(data, task, {});
  return data;
}

}  // namespace jack::jules

#include "apps/work/environment.h"

#include <string_view>

#include <unistd.h>

#include "apps/json.h"

namespace jack::app {
namespace {

// A value ends at a zero byte for whoever reads it.
std::string without_zeros(const std::string& text) { return text.substr(0, text.find('\0')); }

std::string_view name_in(const std::string& variable) {
  return std::string_view(variable).substr(0, variable.find('='));
}

std::optional<std::string> unless_empty(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return text;
}

}  // namespace

Variables task_variables(const TaskSpec& task, std::uint32_t attempt, LeaseToken token) {
  Variables variables;
  variables["JACK_TASK_ID"] = to_string(task.id);
  variables["JACK_QUEUE"] = task.queue;
  variables["JACK_TYPE"] = without_zeros(task.type);
  variables["JACK_ATTEMPT"] = std::to_string(attempt);
  variables["JACK_TOKEN"] = std::to_string(token.value);
  variables["JACK_FROM"] = without_zeros(task.from);
  variables["JACK_PARENT"] = task.parent.empty() ? "" : to_string(task.parent);
  variables["JACK_REPLY_TO"] = task.reply_to;
  variables["JACK_CONTENT_TYPE"] = without_zeros(task.content_type);
  variables["JACK_HEADERS"] = Json(task.headers).line();
  const auto trace = task.headers.find("traceparent");
  variables["TRACEPARENT"] = trace == task.headers.end()
                                 ? std::optional<std::string>()
                                 : unless_empty(without_zeros(trace->second));
  return variables;
}

Variables engine_variables(const ClientOptions& engine) {
  Variables variables;
  variables["JACK_DATA_DIR"] = unless_empty(engine.data_dir);
  variables["JACK_ENGINE"] = unless_empty(engine.endpoint);
  variables["JACK_CLIENT_KEY_FILE"] = unless_empty(engine.key_file);
  variables["JACK_CLIENT_ENGINE_KEY_FILE"] = unless_empty(engine.engine_key_file);
  return variables;
}

std::vector<std::string> environment_with(const std::vector<std::string>& inherited,
                                          const Variables& variables) {
  std::vector<std::string> environment;
  for (const std::string& variable : inherited) {
    if (!variables.contains(std::string(name_in(variable)))) environment.push_back(variable);
  }
  for (const auto& [name, value] : variables) {
    if (value) environment.push_back(name + "=" + *value);
  }
  return environment;
}

std::vector<std::string> own_environment() {
  std::vector<std::string> environment;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    environment.emplace_back(*variable);
  }
  return environment;
}

void inherit(TaskSpec& spec,
             const std::function<std::optional<std::string>(const std::string&)>& variable) {
  if (const auto task = TaskId::parse(variable("JACK_TASK_ID").value_or(""))) {
    if (spec.parent.empty()) spec.parent = *task;
    if (spec.from.empty()) spec.from = variable("JACK_QUEUE").value_or("");
    if (const auto headers = parse_texts(variable("JACK_HEADERS").value_or("{}"))) {
      spec.headers.insert(headers->begin(), headers->end());
    }
  }
  // The command may have made a span of its own.
  if (const auto trace = variable("TRACEPARENT")) spec.headers["traceparent"] = *trace;
}

}  // namespace jack::app

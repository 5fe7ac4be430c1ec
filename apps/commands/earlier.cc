// `jack add`, `list`, `task-status`, `results` and `health`: the commands of the earlier program,
// which ask a server by HTTP. docs/migration.md leads to today's.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "apps/commands/commands.h"
#include "apps/config/settings.h"
#include "apps/http/base_url.h"
#include "apps/jules/answer_text.h"
#include "apps/jules/client.h"
#include "apps/terminal.h"
#include "apps/text/escape.h"

namespace jack::app {
namespace {

constexpr const char* kKeyVariable = "JACK_API_KEY";
constexpr std::uint64_t kResultsDefault = 50;  // each is a request of its own

struct ServerUrl {
  http::BaseUrl url{false, "localhost", 5000, {}};
};

Result<void> read_value(std::string_view text, ServerUrl& target) {
  Result<http::BaseUrl> url = http::parse_base_url(text);
  if (!url) return url.error();
  target.url = *std::move(url);
  return {};
}

// What names a task in a path.
struct EarlierId {
  std::string text;
};

Result<void> read_value(std::string_view text, EarlierId& target) {
  if (text.empty() || text == "." || text == "..") {
    return Error{Code::invalid_argument, "'" + std::string(text) + "' is no task's id"};
  }
  target.text = text;
  return {};
}

struct EarlierFlags {
  ServerUrl server;
  Duration timeout{10'000};
  bool json = false;
  std::string text;
  std::string agent;
  EarlierId task;
  std::optional<std::uint64_t> limit;
};

// It goes into a header.
bool is_key(const std::string& text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

Result<jules::Client> client_of(const EarlierFlags& flags) {
  std::string key = process_variable(kKeyVariable).value_or("");
  if (!is_key(key)) {
    return Error{Code::invalid_argument,
                 std::string(kKeyVariable) + " has characters that no API key has"};
  }
  http::CallLimits limits;
  limits.time = std::chrono::milliseconds(flags.timeout.count());
  return jules::Client(flags.server.url, std::move(key), limits);
}

using Ask = std::function<Result<jules::Value>(jules::Client&)>;
using Show = std::function<std::string(const jules::Value&)>;

Result<ExitStatus> ask(const EarlierFlags& flags, const Ask& question, const Show& show) {
  Result<jules::Client> client = client_of(flags);
  if (!client) return client.error();
  const Result<jules::Value> answer = question(*client);
  if (!answer && answer.error().code == Code::unauthenticated) {
    return Error{Code::unauthenticated,
                 answer.error().message + " (the key is taken from " + kKeyVariable + ")"};
  }
  if (!answer) return answer.error();
  if (flags.json) {
    print(answer->dump(-1, ' ', false, jules::Value::error_handler_t::replace) + "\n");
  } else {
    print(show(*answer));
  }
  return ExitStatus::done;
}

// The id, as `jack submit` prints it.
std::string added_text(const jules::Value& answer) {
  std::string text = jules::text_of(answer, "id");
  if (text.empty()) text = jules::text_of(answer, "message");
  return escaped(text) + "\n";
}

Result<jules::Value> newest_tasks(jules::Client& client, std::uint64_t limit) {
  Result<jules::Value> tasks = client.tasks();
  if (tasks && tasks->size() > limit) {
    tasks->erase(tasks->begin() + static_cast<std::ptrdiff_t>(limit), tasks->end());
  }
  return tasks;
}

void add_server_flags(Command& command, EarlierFlags& flags) {
  command
      .option("--url", "BASE", flags.server,
              "the server, http:// or https:// (default: http://localhost:5000)")
      .option("--timeout", "DURATION", flags.timeout, "how long an answer may take (default: 10s)")
      .above_zero()
      .flag("--json", flags.json, "print the server's answer")
      .details(
          "The server is the earlier one, or `jack serve` in its place. Where it asks for an API "
          "key, that is taken from the variable JACK_API_KEY.")
      .status(ExitStatus::refused, "the server refused it, or sends it elsewhere")
      .status(ExitStatus::no_engine, "no server answered, or what answered is not one of these")
      .status(ExitStatus::not_permitted, "the server asks for a key, or for another one")
      .status(ExitStatus::internal, "something is wrong with the server");
}

void add_limit_flag(Command& command, EarlierFlags& flags, std::string help) {
  command.option("--limit,-l", "N", flags.limit, std::move(help)).above_zero();
}

}  // namespace

Command add_command() {
  const auto flags = std::make_shared<EarlierFlags>();
  Command command("add", "hand in a task");
  command.earlier("--add-task,-a", "submit QUEUE TEXT")
      .argument("TEXT", flags->text, "what is to be done")
      .option("--assigned-to", "AGENT", flags->agent, "who is to do it (default: nobody)")
      .example("jack add \"review the draft\" --assigned-to ada", "prints the task's id")
      .status(ExitStatus::done, "the server has it")
      .run([flags] {
        return ask(
            *flags, [&](jules::Client& client) { return client.add(flags->text, flags->agent); },
            added_text);
      });
  add_server_flags(command, *flags);
  return command;
}

Command list_command() {
  const auto flags = std::make_shared<EarlierFlags>();
  Command command("list", "list tasks, newest first");
  command.earlier("--tasks,-t", "ls")
      .example("jack list --limit 20", "the newest tasks")
      .status(ExitStatus::done, "listed, even if there is none")
      .run([flags] {
        constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();
        return ask(
            *flags,
            [&](jules::Client& client) {
              return newest_tasks(client, flags->limit.value_or(kAll));
            },
            [](const jules::Value& tasks) { return jules::tasks_text(tasks, table_style()); });
      });
  add_limit_flag(command, *flags, "at most so many (default: all that the server gives)");
  add_server_flags(command, *flags);
  return command;
}

Command task_status_command() {
  const auto flags = std::make_shared<EarlierFlags>();
  Command command("task-status", "show a task");
  command.earlier("--task-status,-s", "show ID")
      .argument("ID", flags->task, "the task, by its number or its other id")
      .example("jack task-status 17", "all that the server knows of it")
      .status(ExitStatus::done, "shown, whatever its status")
      .status(ExitStatus::not_found, "there is no such task")
      .run([flags] {
        return ask(
            *flags, [&](jules::Client& client) { return client.task(flags->task.text); },
            [](const jules::Value& task) { return jules::task_text(task, table_style()); });
      });
  add_server_flags(command, *flags);
  return command;
}

Command results_command() {
  const auto flags = std::make_shared<EarlierFlags>();
  Command command("results", "list tasks that have a result, newest first");
  command.earlier("--results,-r", "result ID")
      .example("jack results --limit 3", "what came of the newest tasks")
      .status(ExitStatus::done, "listed, even if there is none")
      .run([flags] {
        const auto limit = static_cast<std::size_t>(flags->limit.value_or(kResultsDefault));
        return ask(
            *flags, [&](jules::Client& client) { return client.results(limit); },
            [](const jules::Value& results) {
              return jules::results_text(results, table_style());
            });
      });
  add_limit_flag(command, *flags, "at most so many (default: 50)");
  add_server_flags(command, *flags);
  return command;
}

Command health_command() {
  const auto flags = std::make_shared<EarlierFlags>();
  Command command("health", "ask a server how it is");
  command.earlier("--health,-H", "doctor")
      .example("jack health --url http://127.0.0.1:5001", "whether a server answers there")
      .status(ExitStatus::done, "it answered")
      .run([flags] {
        return ask(
            *flags, [](jules::Client& client) { return client.health(); },
            [](const jules::Value& health) { return jules::health_text(health, table_style()); });
      });
  add_server_flags(command, *flags);
  return command;
}

}  // namespace jack::app

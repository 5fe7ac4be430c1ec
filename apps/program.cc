#include "apps/program.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <optional>
#include <string>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <jack_engine/version.h>

#include "apps/cli/earlier_flags.h"
#include "apps/cli/help.h"
#include "apps/commands/commands.h"
#include "apps/terminal.h"
#include "apps/text/nearest.h"

namespace jack::app {
namespace {

bool asks_for_help(const std::string& argument) { return argument == "--help" || argument == "-h"; }

// What stands before "--": what is behind it may be another program's --help.
bool asks_for_help(const std::vector<std::string>& arguments) {
  const auto end = std::ranges::find(arguments, "--");
  return std::any_of(arguments.begin(), end,
                     [](const std::string& argument) { return asks_for_help(argument); });
}

ExitStatus refuse_command(const std::string& name, const std::vector<Command>& commands) {
  std::vector<std::string> names;
  names.reserve(commands.size());
  for (const Command& command : commands) names.push_back(command.name());
  const std::optional<std::string> meant = nearest(name, names);
  complain(fmt::format("there is no command '{}'{}; `jack --help` lists them", name,
                       meant ? fmt::format(", did you mean {}?", *meant) : ""));
  return ExitStatus::usage;
}

ExitStatus run_command(const Command& command, const std::vector<std::string>& arguments) {
  set_complainer("jack " + command.name());
  if (asks_for_help(arguments)) {
    print(help_of(command));
    return ExitStatus::done;
  }
  if (const Result<void> parsed = command.parse(arguments); !parsed) {
    complain(fmt::format("{} (`jack {} --help`)", parsed.error().message, command.name()));
    return ExitStatus::usage;
  }
  const Result<ExitStatus> ended = command();
  return ended ? *ended : complain(ended.error());
}

ExitStatus run_arguments(const std::vector<std::string>& given) {
  if (given.empty()) {
    complain("which command? `jack --help` lists them");
    return ExitStatus::usage;
  }
  const std::vector<Command> commands = all_commands();
  const Result<std::vector<std::string>> put = without_earlier_flags(given, commands);
  if (!put) {
    complain(put.error().message + " (`jack --help`)");
    return ExitStatus::usage;
  }
  const std::vector<std::string>& arguments = *put;
  const std::string& name = arguments.front();
  if (name == "--version") {
    print(fmt::format("jack {}\n", version()));
    return ExitStatus::done;
  }
  if (name == "help" && arguments.size() > 1) return run_arguments({arguments[1], "--help"});
  if (asks_for_help(name) || name == "help") {
    print(help_of(commands));
    return ExitStatus::done;
  }
  const auto command = std::ranges::find(commands, name, &Command::name);
  if (command == commands.end()) return refuse_command(name, commands);
  return run_command(*command, {arguments.begin() + 1, arguments.end()});
}

// A file that is opened while one of these is closed would get its number, and with it whatever is
// printed. What stands in for it fails to be read or written all the same.
void open_standard_files() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) >= 0) continue;
    ::open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

// Output that got lost must not look like success.
ExitStatus flush_output(ExitStatus status) {
  if (flush_printed()) return status;
  complain(fmt::format("cannot write to standard output: {}", std::strerror(print_error())));
  return status == ExitStatus::done ? ExitStatus::internal : status;
}

}  // namespace

std::vector<Command> all_commands() {
  return {serve_command(),       submit_command(),     result_command(), watch_command(),
          work_command(),        ls_command(),         show_command(),   cancel_command(),
          retry_command(),       queues_command(),     pause_command(),  resume_command(),
          import_command(),      doctor_command(),     bench_command(),  config_command(),
          keys_command(),        completion_command(), add_command(),    list_command(),
          task_status_command(), results_command(),    health_command()};
}

int run_program(int argc, const char* const* argv) {
  open_standard_files();
  try {
    const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
    return static_cast<int>(flush_output(run_arguments(arguments)));
  } catch (const std::exception& error) {
    // Our own code reports errors as values, so this is memory that ran out, or a bug.
    complain(error.what());
    return static_cast<int>(ExitStatus::internal);
  }
}

}  // namespace jack::app

#include "apps/cli/earlier_flags.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include <fmt/format.h>

namespace jack::app {
namespace {

using Arguments = std::vector<std::string>;

Error wrong_flags(std::string message) { return {Code::invalid_argument, std::move(message)}; }

// A flag that stands for a command, as it was given.
struct Given {
  const Command* command = nullptr;
  std::string flag;
  std::optional<std::string> value;  // where both are one argument: "--add-task=TEXT", "-aTEXT"
};

// The command's only argument, which is the flag's value.
const Option* argument_of(const Command& command) {
  const auto found = std::ranges::find_if(
      command.options(), [](const Option& option) { return option.names.empty(); });
  return found == command.options().end() ? nullptr : &*found;
}

std::optional<Given> given_by(const std::string& argument, const std::vector<Command>& commands) {
  for (const Command& command : commands) {
    for (const std::string& flag : split_list(command.earlier_flags())) {
      if (argument == flag) return Given{&command, flag, std::nullopt};
      const std::string start = flag.starts_with("--") ? flag + "=" : flag;
      if (argument_of(command) != nullptr && argument.starts_with(start)) {
        return Given{&command, flag, argument.substr(start.size())};
      }
    }
  }
  return std::nullopt;
}

bool looks_like_a_flag(const std::string& text) {
  return text.size() > 1 && text.front() == '-' && text.find(' ') == std::string::npos;
}

}  // namespace

Result<Arguments> without_earlier_flags(const Arguments& arguments,
                                        const std::vector<Command>& commands) {
  if (arguments.empty() || !arguments.front().starts_with('-')) return arguments;
  std::optional<Given> given;
  Arguments others;
  for (auto at = arguments.begin(); at != arguments.end(); ++at) {
    std::optional<Given> flag = given_by(*at, commands);
    if (!flag) {
      others.push_back(*at);
      continue;
    }
    if (given) return wrong_flags(fmt::format("{} and {}: only one at a time", given->flag, *at));
    const Option* const argument = argument_of(*flag->command);
    if (argument != nullptr && !flag->value) {
      const auto next = std::next(at);
      if (next == arguments.end() || looks_like_a_flag(*next)) {
        return wrong_flags(fmt::format("{} needs {}", flag->flag, argument->placeholder));
      }
      flag->value = *++at;
    }
    given = std::move(flag);
  }
  if (!given) return arguments;

  others.insert(others.begin(), given->command->name());
  if (given->value) others.insert(others.end(), {"--", *given->value});
  return others;
}

}  // namespace jack::app

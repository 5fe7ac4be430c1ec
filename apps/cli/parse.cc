// Command::parse() by CLI11, which is heavy to compile and is in this file alone.
#include <algorithm>
#include <iterator>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "apps/cli/command.h"
#include "apps/text/nearest.h"

namespace jack::app {
namespace {

Result<void> take(const Option& option, const std::string& value) {
  const auto refuse = [](std::string why) { return Error{Code::invalid_argument, std::move(why)}; };
  if (option.placeholder.empty() && value != "true") return refuse("takes no value");
  if (!option.choices.empty() && std::ranges::count(option.choices, value) == 0) {
    return refuse(fmt::format("'{}' is none of {}", value, fmt::join(option.choices, ", ")));
  }
  Result<void> taken = option.take(value);
  if (!taken || !option.above_zero) return taken;
  if (std::uint64_t number = 1; read_value(value, number) && number == 0) {
    return refuse("must be at least 1");
  }
  if (Duration time{1}; read_value(value, time) && time == Duration{0}) {
    return refuse("must be longer than 0s");
  }
  return taken;
}

// CLI11 calls this with all values of an option, or with "true" for a flag.
CLI::callback_t taker_of(const Option& option) {
  return [&option](const CLI::results_t& values) {
    for (const std::string& value : values) {
      if (const Result<void> taken = take(option, value); !taken) {
        const std::string name =
            option.names.empty() ? option.placeholder : split_list(option.names).front();
        throw CLI::ValidationError(name, taken.error().message);
      }
    }
    return true;
  };
}

void add_to(CLI::App& app, const Option& option) {
  const bool is_flag = option.placeholder.empty();
  CLI::Option* const added =
      app.add_option(option.names.empty() ? option.placeholder : option.names, taker_of(option));
  if (is_flag) {
    added->type_size(0)->expected(0)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  } else if (option.repeated) {
    added->type_size(1)->expected(-1);  // one or more
    added->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(option.names.empty());
  } else {
    added->type_size(1)->expected(1);
  }
  added->required(option.required);
}

Error usage_error(std::string message) { return {Code::invalid_argument, std::move(message)}; }

Error unknown(const std::string& argument, const Command& command) {
  if (argument.size() < 2 || argument.front() != '-') {
    return usage_error(fmt::format("'{}' is one argument too many", argument));
  }
  const std::string name = argument.substr(0, argument.find('='));
  const std::optional<std::string> meant = nearest(name, command.option_names());
  return usage_error(fmt::format("there is no option {}{}", name,
                                 meant ? fmt::format("; did you mean {}?", *meant) : ""));
}

}  // namespace

Result<void> Command::parse(const std::vector<std::string>& arguments) const {
  auto end = arguments.end();
  if (rest_ != nullptr) {
    end = std::ranges::find(arguments, "--");
    rest_->assign(end == arguments.end() ? end : std::next(end), arguments.end());
  }

  CLI::App app;
  app.set_help_flag();  // help has been dealt with
  for (const Option& option : options_) add_to(app, option);
  std::vector<std::string> reversed(std::make_reverse_iterator(end), arguments.rend());
  try {
    app.parse(std::move(reversed));
    return {};
  } catch (const CLI::ExtrasError&) {
    return unknown(app.remaining().front(), *this);
  } catch (const CLI::Error& error) {
    return usage_error(error.what());
  }
}

}  // namespace jack::app

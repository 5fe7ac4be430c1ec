#include "apps/cli/command.h"

namespace jack::app {

Command& Command::flag(std::string names, bool& target, std::string help) {
  add({std::move(names), {}, std::move(help), false, false, {}, false, [&target](std::string_view) {
         target = true;
         return Result<void>();
       }});
  return *this;
}

Command& Command::rest(std::string name, std::vector<std::string>& target, std::string help) {
  rest_name_ = std::move(name);
  rest_help_ = std::move(help);
  rest_ = &target;
  return *this;
}

Command& Command::choices(std::vector<std::string> choices) {
  options_.back().choices = std::move(choices);
  return *this;
}

Command& Command::above_zero() {
  options_.back().above_zero = true;
  return *this;
}

Command& Command::details(std::string paragraph) {
  details_.push_back(std::move(paragraph));
  return *this;
}

Command& Command::example(std::string line, std::string meaning) {
  examples_.push_back({std::move(line), std::move(meaning)});
  return *this;
}

Command& Command::status(ExitStatus status, std::string meaning) {
  statuses_.emplace_back(status, std::move(meaning));
  return *this;
}

Command& Command::earlier(std::string flags, std::string today) {
  earlier_flags_ = std::move(flags);
  today_ = std::move(today);
  return *this;
}

Command& Command::run(std::function<Result<ExitStatus>()> run) {
  run_ = std::move(run);
  return *this;
}

std::vector<std::string> Command::option_names() const {
  std::vector<std::string> names;
  for (const Option& option : options_) {
    for (std::string& name : split_list(option.names)) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace jack::app

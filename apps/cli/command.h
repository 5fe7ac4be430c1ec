// What one command of the program takes, as data: the parser, the help and the completions read it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <jack_engine/error.h>

#include "apps/cli/values.h"
#include "apps/exit_status.h"

namespace jack::app {

using TakeValue = std::function<Result<void>(std::string_view)>;

// An option, a flag, or an argument that is known by its place.
struct Option {
  std::string names;        // "--jobs,-j"; empty: an argument
  std::string placeholder;  // what a value is, or the argument's name; empty: a flag
  std::string help;
  bool required = false;
  bool repeated = false;
  std::vector<std::string> choices;  // all values there are; empty: others than these
  bool above_zero = false;           // a number that is at least 1, or a duration of some length
  TakeValue take;                    // of a flag: is called with an empty text
};

struct Example {
  std::string line;
  std::string meaning;
};

class Command {
 public:
  Command(std::string name, std::string summary)
      : name_(std::move(name)), summary_(std::move(summary)) {}

  // `target` must live until the command has run. One that is a vector may be given several times.
  template <typename T>
  Command& option(std::string names, std::string placeholder, T& target, std::string help) {
    add({std::move(names),
         std::move(placeholder),
         std::move(help),
         false,
         is_vector(target),
         {},
         false,
         [&target](std::string_view text) { return read_value(text, target); }});
    return *this;
  }

  Command& flag(std::string names, bool& target, std::string help);

  // In the order of their places; a vector takes all that follow. "QUEUE" is required, "[PAYLOAD]"
  // is not.
  template <typename T>
  Command& argument(std::string_view name, T& target, std::string help) {
    const bool required = name.front() != '[';
    if (!required) name = name.substr(1, name.size() - 2);
    add({{},
         std::string(name),
         std::move(help),
         required,
         is_vector(target),
         {},
         false,
         [&target](std::string_view text) { return read_value(text, target); }});
    return *this;
  }

  // What stands behind "--", as it is.
  Command& rest(std::string name, std::vector<std::string>& target, std::string help);

  // Of the option or argument that was added last.
  Command& choices(std::vector<std::string> choices);
  Command& above_zero();

  // For the help, in this order.
  Command& details(std::string paragraph);
  Command& example(std::string line, std::string meaning);
  Command& status(ExitStatus status, std::string meaning);

  // It is there for scripts that were written for the earlier program: which flags were the same
  // command there ("--tasks,-t"), and what does it today ("ls").
  Command& earlier(std::string flags, std::string today);

  Command& run(std::function<Result<ExitStatus>()> run);

  const std::string& name() const { return name_; }
  const std::string& summary() const { return summary_; }
  const std::vector<Option>& options() const { return options_; }
  const std::vector<std::string>& details() const { return details_; }
  const std::vector<Example>& examples() const { return examples_; }
  const std::vector<std::pair<ExitStatus, std::string>>& statuses() const { return statuses_; }
  const std::string& rest_name() const { return rest_name_; }
  const std::string& rest_help() const { return rest_help_; }

  bool is_earlier() const { return !today_.empty(); }
  const std::string& earlier_flags() const { return earlier_flags_; }
  const std::string& today() const { return today_; }

  // The names of all options: "--jobs", "-j", …
  std::vector<std::string> option_names() const;

  // `arguments` are those behind the command's name. Without "--" there is no rest.
  // Errors: invalid_argument  the command line is wrong; the message is for people
  Result<void> parse(const std::vector<std::string>& arguments) const;

  Result<ExitStatus> operator()() const { return run_(); }

 private:
  template <typename T>
  static constexpr bool is_vector(const T&) {
    return false;
  }
  template <typename T>
  static constexpr bool is_vector(const std::vector<T>&) {
    return true;
  }

  void add(Option option) { options_.push_back(std::move(option)); }

  std::string name_;
  std::string summary_;
  std::vector<Option> options_;
  std::string rest_name_;
  std::string rest_help_;
  std::vector<std::string>* rest_ = nullptr;
  std::vector<std::string> details_;
  std::vector<Example> examples_;
  std::vector<std::pair<ExitStatus, std::string>> statuses_;
  std::string earlier_flags_;
  std::string today_;
  std::function<Result<ExitStatus>()> run_;
};

}  // namespace jack::app

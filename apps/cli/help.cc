#include "apps/cli/help.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "apps/text/escape.h"

namespace jack::app {
namespace {

constexpr std::size_t kColumns = 90;
constexpr std::size_t kIndent = 2;
constexpr std::size_t kHelpColumnMax = 32;

struct Entry {
  std::string head;  // "--delay DURATION"
  std::string text;
};

// Heads in one column, texts in another.
std::string entries_text(const std::vector<Entry>& entries) {
  std::size_t column = 0;
  for (const Entry& entry : entries) column = std::max(column, width_of(entry.head));
  column = std::min(column + 2 * kIndent, kHelpColumnMax);

  std::string text;
  for (const Entry& entry : entries) {
    const std::string lines = wrapped(entry.text, column, kColumns);
    std::string line(kIndent, ' ');
    line += entry.head;
    if (width_of(line) + kIndent <= column) {
      line.append(column - width_of(line), ' ');
      text += line + lines.substr(std::min(column, lines.size()));
    } else {
      text += line + "\n" + lines;
    }
  }
  return text;
}

std::string section(std::string_view title, const std::vector<Entry>& entries) {
  if (entries.empty()) return {};
  return fmt::format("\n{}:\n{}", title, entries_text(entries));
}

// "--jobs,-j" as "--jobs, -j"
std::string spaced(std::string_view names) {
  std::string text;
  for (const std::string& name : split_list(names)) text += (text.empty() ? "" : ", ") + name;
  return text;
}

Entry entry_of(const Command& command) {
  if (!command.is_earlier()) return {command.name(), command.summary()};
  return {command.name(), fmt::format("{}; as a flag: {}; today: jack {}", command.summary(),
                                      spaced(command.earlier_flags()), command.today())};
}

Entry entry_of(const Option& option) {
  if (option.names.empty()) return {option.placeholder, option.help};
  std::string head = spaced(option.names);
  if (!option.placeholder.empty()) head += " " + option.placeholder;
  return {head, option.help};
}

std::string usage_of(const Command& command) {
  std::string line = "usage: jack " + command.name();
  for (const Option& option : command.options()) {
    if (!option.names.empty()) continue;
    const std::string name = option.placeholder + (option.repeated ? "…" : "");
    line += option.required ? " " + name : " [" + name + "]";
  }
  line += " [OPTION…]";
  if (!command.rest_name().empty()) line += " -- " + command.rest_name();
  return line + "\n";
}

std::string examples_text(const std::vector<Example>& examples) {
  if (examples.empty()) return {};
  std::string text = "\nExamples:\n";
  for (const Example& example : examples) {
    text += fmt::format("  {}\n{}", example.line, wrapped(example.meaning, 6, kColumns));
  }
  return text;
}

}  // namespace

std::string wrapped(std::string_view paragraph, std::size_t indent, std::size_t width) {
  std::string text;
  std::string line;
  const auto end_line = [&] {
    if (!line.empty()) text += std::string(indent, ' ') + line + "\n";
    line.clear();
  };
  while (!paragraph.empty()) {
    const std::string_view word = paragraph.substr(0, paragraph.find(' '));
    if (!line.empty() && indent + width_of(line) + 1 + width_of(word) > width) end_line();
    if (!word.empty()) line.append(line.empty() ? "" : " ").append(word);
    paragraph.remove_prefix(std::min(word.size() + 1, paragraph.size()));
  }
  end_line();
  return text;
}

std::string help_of(const std::vector<Command>& commands) {
  std::string text =
      "usage: jack COMMAND [ARGUMENT…]\n\n"
      "Hands tasks between agents and never loses one.\n";
  std::vector<Entry> entries;
  std::vector<Entry> earlier;
  for (const Command& command : commands) {
    (command.is_earlier() ? earlier : entries).push_back(entry_of(command));
  }
  text += section("Commands", entries);
  text += section("For scripts of before, asking a server by HTTP", earlier);
  text +=
      "\n`jack COMMAND --help` (or `jack help COMMAND`) tells more, with examples. `jack "
      "--version` prints the version.\n"
      "\nExit status: 0 done, 1 the task did not succeed, 2 wrong usage, 3 not found, 4 refused,\n"
      "5 no engine, 6 timed out waiting, 7 not permitted, 8 incomplete, 70 internal.\n";
  return text;
}

std::string help_of(const Command& command) {
  std::string summary = command.summary() + ".";
  summary.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(summary.front())));
  std::string text = usage_of(command) + "\n" + wrapped(summary, 0, kColumns);
  if (command.is_earlier()) {
    text +=
        "\n" + wrapped(fmt::format("For scripts that were written for the earlier program, where "
                                   "it could also be written as a flag: {}. Today's command is "
                                   "`jack {}`.",
                                   spaced(command.earlier_flags()), command.today()),
                       0, kColumns);
  }
  for (const std::string& paragraph : command.details()) {
    text += "\n" + wrapped(paragraph, 0, kColumns);
  }

  std::vector<Entry> arguments;
  std::vector<Entry> options;
  for (const Option& option : command.options()) {
    (option.names.empty() ? arguments : options).push_back(entry_of(option));
  }
  if (!command.rest_name().empty()) arguments.push_back({command.rest_name(), command.rest_help()});
  options.push_back({"--help, -h", "print this"});
  text += section("Arguments", arguments);
  text += section("Options", options);
  text += examples_text(command.examples());

  std::vector<Entry> statuses;
  auto sorted = command.statuses();
  std::ranges::stable_sort(sorted, {}, [](const auto& each) { return each.first; });
  for (const auto& [status, meaning] : sorted) {
    statuses.push_back({std::to_string(static_cast<int>(status)), meaning});
  }
  return text + section("Exit status", statuses);
}

}  // namespace jack::app

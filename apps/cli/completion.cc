#include "apps/cli/completion.h"

#include <fmt/format.h>

namespace jack::app {
namespace {

bool is_flag(const Option& option) { return option.placeholder.empty(); }
bool takes_file(const Option& option) { return option.placeholder == "FILE"; }
bool takes_directory(const Option& option) { return option.placeholder == "DIR"; }

std::string joined(const std::vector<std::string>& words, std::string_view separator) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : separator).append(word);
  return text;
}

// Our texts hold no characters that mean something within single quotes but the quote itself.
std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'')
      out += "'\\''";
    else
      out += c;
  }
  return out + "'";
}

// --- bash: one case per command with its options, one per option with its values ---

std::string bash_values(const Command& command, const Option& option) {
  std::string words;
  if (takes_file(option)) words = "files";
  if (takes_directory(option)) words = "directories";
  if (!option.choices.empty()) words = quoted(joined(option.choices, " "));
  if (is_flag(option) || option.names.empty()) return {};
  std::string patterns;
  for (const std::string& name : split_list(option.names)) {
    patterns += fmt::format("{}{},{}", patterns.empty() ? "" : "|", command.name(), name);
  }
  return fmt::format("    {}) words={} ;;\n", patterns, words.empty() ? "''" : words);
}

std::string bash_script(const std::vector<Command>& commands) {
  std::string names;
  std::string values;
  std::string options;
  for (const Command& command : commands) {
    names += (names.empty() ? "" : " ") + command.name();
    for (const Option& option : command.options()) values += bash_values(command, option);
    std::string words = joined(command.option_names(), " ") + " --help";
    for (const Option& option : command.options()) {
      if (option.names.empty() && !option.choices.empty()) {
        words += " " + joined(option.choices, " ");
      }
    }
    options += fmt::format("        {}) words={} ;;\n", command.name(), quoted(words));
  }
  return fmt::format(
      R"(# Completion of jack for bash: source it, or put it where bash-completion looks.
_jack() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}}
  local command=${{COMP_WORDS[1]}} words=
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W '{} --help --version' -- "$current")
    return
  fi
  case $command,$previous in
{}    *)
      case $command in
{}      esac
      ;;
  esac
  case $words in
    files) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    directories) mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current") ;;
  esac
}}
complete -o filenames -F _jack jack
)",
      names, values, options);
}

// --- zsh: _arguments, with the help beside each option ---

// Within a specification of _arguments: "--name[text]:what:action".
std::string zsh_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string zsh_action(const Option& option) {
  if (takes_file(option)) return "_files";
  if (takes_directory(option)) return "_files -/";
  return option.choices.empty() ? " " : "(" + joined(option.choices, " ") + ")";
}

std::string zsh_option(const Option& option) {
  const std::string value =
      is_flag(option) ? ""
                      : fmt::format(":{}:{}", zsh_text(option.placeholder), zsh_action(option));
  if (option.names.empty()) {
    return " " + quoted((option.repeated ? "*" : option.required ? "" : ":") + value);
  }
  std::string specs;
  for (const std::string& name : split_list(option.names)) {
    specs += fmt::format(" {}", quoted(fmt::format("{}{}[{}]{}", option.repeated ? "*" : "", name,
                                                   zsh_text(option.help), value)));
  }
  return specs;
}

std::string zsh_script(const std::vector<Command>& commands) {
  std::string names;
  std::string cases;
  for (const Command& command : commands) {
    names += fmt::format("    {}\n", quoted(command.name() + ":" + zsh_text(command.summary())));
    std::string specs;
    for (const Option& option : command.options()) specs += zsh_option(option);
    if (!command.rest_name().empty()) specs += " '*::command:_normal'";
    cases +=
        fmt::format("    {}) _arguments -s '--help[print help]'{} ;;\n", command.name(), specs);
  }
  return fmt::format(R"(#compdef jack
# Completion of jack for zsh: put it as _jack into a folder of $fpath.
_jack() {{
  local -a commands=(
{}  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
{}  esac
}}
if [[ $funcstack[1] == _jack ]]; then
  _jack "$@"
else
  compdef _jack jack
fi
)",
                     names, cases);
}

// --- fish: one line per command and option ---

std::string fish_option(const Command& command, const Option& option) {
  std::string line =
      fmt::format("complete -c jack -n '__fish_seen_subcommand_from {}'", command.name());
  for (const std::string& name : split_list(option.names)) {
    const bool is_long = name.starts_with("--");
    line += fmt::format(" -{} {}", is_long ? "l" : "s", name.substr(is_long ? 2 : 1));
  }
  const bool has_value = !is_flag(option) && !option.names.empty();
  if (has_value) line += takes_file(option) ? " -rF" : " -x";
  if (!option.choices.empty()) line += " -a " + quoted(joined(option.choices, " "));
  if (takes_directory(option)) line += " -a '(__fish_complete_directories)'";
  return line + " -d " + quoted(option.help) + "\n";
}

std::string fish_script(const std::vector<Command>& commands) {
  std::string text =
      "# Completion of jack for fish: put it as jack.fish into ~/.config/fish/completions.\n"
      "complete -c jack -f\n";
  for (const Command& command : commands) {
    text += fmt::format("complete -c jack -n __fish_use_subcommand -a {} -d {}\n", command.name(),
                        quoted(command.summary()));
    for (const Option& option : command.options()) {
      if (!option.names.empty() || !option.choices.empty()) text += fish_option(command, option);
    }
  }
  return text;
}

}  // namespace

std::optional<std::string> completion_script(std::string_view shell,
                                             const std::vector<Command>& commands) {
  if (shell == "bash") return bash_script(commands);
  if (shell == "zsh") return zsh_script(commands);
  if (shell == "fish") return fish_script(commands);
  return std::nullopt;
}

}  // namespace jack::app

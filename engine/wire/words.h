// Lines and words of small text files.
#pragma once

#include <algorithm>
#include <string_view>

namespace jack::wire {

// The first word of `line`, empty where there is none; `line` keeps what follows.
inline std::string_view take_word(std::string_view& line) {
  constexpr std::string_view kBlank = " \t\r";
  line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kBlank));
  line.remove_prefix(word.size());
  return word;
}

// The first line of `text`, without its line feed; `text` keeps the others.
inline std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

}  // namespace jack::wire

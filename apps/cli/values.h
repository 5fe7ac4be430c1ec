// Reading what a command line gives for a value. Each function leaves its target as it was where
// it fails; the error says what the text should have been.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/id.h>
#include <jack_engine/task.h>
#include <jack_engine/time.h>

namespace jack::app {

Result<void> read_value(std::string_view text, std::string& target);
Result<void> read_value(std::string_view text, std::uint32_t& target);
Result<void> read_value(std::string_view text, std::uint64_t& target);
Result<void> read_value(std::string_view text, double& target);  // not negative
Result<void> read_value(std::string_view text, Duration& target);
Result<void> read_value(std::string_view text, WallTime& target);
Result<void> read_value(std::string_view text, TaskId& target);
Result<void> read_value(std::string_view text, Position& target);  // "1042.3", or "1042"
Result<void> read_value(std::string_view text, Priority& target);
Result<void> read_value(std::string_view text, TaskState& target);
// "NAME=VALUE"
Result<void> read_value(std::string_view text, std::pair<std::string, std::string>& target);

template <typename T>
Result<void> read_value(std::string_view text, std::optional<T>& target) {
  T value{};
  Result<void> read = read_value(text, value);
  if (read) target = std::move(value);
  return read;
}

// One more.
template <typename T>
Result<void> read_value(std::string_view text, std::vector<T>& target) {
  T value{};
  Result<void> read = read_value(text, value);
  if (read) target.push_back(std::move(value));
  return read;
}

// "1042.3": what a Position is read back from.
std::string text_of(Position position);

// A file that is read, as far as a command line can tell: there is one of that name.
struct InputFile {
  std::string path;
};
Result<void> read_value(std::string_view text, InputFile& target);

// The parts of "a,b,c"; empty ones are left out.
std::vector<std::string> split_list(std::string_view text);

}  // namespace jack::app

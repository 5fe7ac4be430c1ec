#include "apps/cli/values.h"

#include <cerrno>
#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <unistd.h>

#include "apps/text/date.h"
#include "apps/text/duration.h"

namespace jack::app {
namespace {

Error wrong(std::string_view text, std::string_view expected) {
  return {Code::invalid_argument, fmt::format("'{}' is no {}", text, expected)};
}

template <typename T>
bool read_number(std::string_view text, T& target) {
  T value{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size()) return false;
  target = value;
  return true;
}

template <typename T>
Result<void> read_count(std::string_view text, T& target) {
  if (!read_number(text, target)) return wrong(text, "whole number, or too large");
  return {};
}

template <typename T, typename U>
Result<void> take(Result<T> value, U& target) {
  if (!value) return value.error();
  target = *value;
  return {};
}

}  // namespace

Result<void> read_value(std::string_view text, std::string& target) {
  target = text;
  return {};
}

Result<void> read_value(std::string_view text, std::uint32_t& target) {
  return read_count(text, target);
}

Result<void> read_value(std::string_view text, std::uint64_t& target) {
  return read_count(text, target);
}

Result<void> read_value(std::string_view text, double& target) {
  double value = 0;
  if (!read_number(text, value) || !std::isfinite(value) || value < 0) return wrong(text, "number");
  target = value;
  return {};
}

Result<void> read_value(std::string_view text, Duration& target) {
  return take(parse_duration(text), target);
}

Result<void> read_value(std::string_view text, WallTime& target) {
  return take(parse_date(text), target);
}

Result<void> read_value(std::string_view text, TaskId& target) {
  const std::optional<TaskId> id = TaskId::parse(text);
  if (!id) return wrong(text, "task id (36 characters, as submit and ls print them)");
  target = *id;
  return {};
}

Result<void> read_value(std::string_view text, Position& target) {
  const std::size_t dot = text.find('.');
  Position position;
  const bool whole = read_number(text.substr(0, dot), position.entry);
  const bool part =
      dot == std::string_view::npos || read_number(text.substr(dot + 1), position.ordinal);
  if (!whole || !part) return wrong(text, "position (like 1042.3, as watch prints them)");
  // All of an entry, where no place within it is given.
  if (dot == std::string_view::npos) position.ordinal = UINT32_MAX;
  target = position;
  return {};
}

Result<void> read_value(std::string_view text, Priority& target) {
  const std::optional<Priority> priority = priority_from(text);
  if (!priority) return wrong(text, "priority: low, normal, high or urgent");
  target = *priority;
  return {};
}

Result<void> read_value(std::string_view text, TaskState& target) {
  const std::optional<TaskState> state = task_state_from(text);
  if (!state) {
    return wrong(text,
                 "state: waiting, scheduled, queued, running, succeeded, failed, cancelled or "
                 "expired");
  }
  target = *state;
  return {};
}

Result<void> read_value(std::string_view text, std::pair<std::string, std::string>& target) {
  const std::size_t sign = text.find('=');
  if (sign == std::string_view::npos || sign == 0) return wrong(text, "NAME=VALUE");
  target = {std::string(text.substr(0, sign)), std::string(text.substr(sign + 1))};
  return {};
}

Result<void> read_value(std::string_view text, InputFile& target) {
  std::string path(text);
  // Whether it may be read is another question, which whoever opens it answers.
  if (::access(path.c_str(), F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
    return Error{Code::invalid_argument, fmt::format("there is no file '{}'", text)};
  }
  target.path = std::move(path);
  return {};
}

std::string text_of(Position position) {
  return fmt::format("{}.{}", position.entry, position.ordinal);
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    if (comma != 0) parts.emplace_back(text.substr(0, comma));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return parts;
}

}  // namespace jack::app

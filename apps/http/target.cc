#include "apps/http/target.h"

#include <algorithm>
#include <cstddef>

#include "apps/text/escape.h"

namespace jack::http {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> decoded(std::string_view text, bool plus_is_space) {
  std::string plain;
  plain.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i] == '+' && plus_is_space ? ' ' : text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const int high = hex_digit(text[i + 1]);
    const int low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
    plain += static_cast<char>(high * 16 + low);
    i += 2;
  }
  if (!app::is_utf8(plain)) return std::nullopt;
  return plain;
}

// The part before the next `end`, which is taken off together with it.
std::string_view take_until(std::string_view& text, char end) {
  const std::size_t at = std::min(text.find(end), text.size());
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return part;
}

bool add_segments(std::string_view path, std::vector<std::string>& segments) {
  if (path == "/") return true;
  while (!path.empty()) {
    path.remove_prefix(1);  // its '/'
    const std::size_t end = std::min(path.find('/'), path.size());
    std::optional<std::string> segment = decoded(path.substr(0, end), false);
    if (!segment || *segment == "." || *segment == "..") return false;
    segments.push_back(std::move(*segment));
    path.remove_prefix(end);
  }
  return true;
}

bool add_query(std::string_view query, std::vector<Field>& fields) {
  while (!query.empty()) {
    std::string_view value = take_until(query, '&');
    if (value.empty()) continue;
    std::optional<std::string> name = decoded(take_until(value, '='), true);
    std::optional<std::string> text = decoded(value, true);
    if (!name || !text) return false;
    fields.push_back({std::move(*name), std::move(*text)});
  }
  return true;
}

}  // namespace

std::optional<Target> parse_target(std::string_view text) {
  Target target;
  const std::string_view path = take_until(text, '?');
  if (!path.starts_with('/') || !add_segments(path, target.segments)) return std::nullopt;
  if (!add_query(text, target.query)) return std::nullopt;
  return target;
}

}  // namespace jack::http

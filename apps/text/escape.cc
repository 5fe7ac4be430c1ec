#include "apps/text/escape.h"

#include <cstdint>

#include <fmt/format.h>

namespace jack::app {
namespace {

bool is_continuation(char c) { return (static_cast<std::uint8_t>(c) & 0xc0) == 0x80; }

// How many bytes the character at the front of `text` has; 0 where it is not UTF-8.
std::size_t character_bytes(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = at(0);
  if (first < 0x80) return 1;
  const std::size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < bytes) return 0;
  for (std::size_t i = 1; i < bytes; ++i) {
    if (!is_continuation(text[i])) return 0;
  }
  const std::uint8_t second = at(1);
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool beyond = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
  return overlong || beyond ? 0 : bytes;
}

// U+0080 to U+009F control terminals too.
bool is_control(std::string_view character) {
  const auto first = static_cast<std::uint8_t>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7f;
  return first == 0xc2 && static_cast<std::uint8_t>(character[1]) < 0xa0;
}

std::string escape_of(char c) {
  if (c == '\n') return "\\n";
  if (c == '\t') return "\\t";
  if (c == '\r') return "\\r";
  return fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<std::uint8_t>(c)));
}

std::string escape(std::string_view text, std::string_view kept) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t valid = character_bytes(text);
    const std::size_t bytes = valid == 0 ? 1 : valid;
    const std::string_view character = text.substr(0, bytes);
    const bool plain = valid != 0 && !is_control(character);
    if (plain || kept.find(character[0]) != std::string_view::npos) {
      out += character;
    } else {
      for (const char c : character) out += escape_of(c);
    }
    text.remove_prefix(bytes);
  }
  return out;
}

}  // namespace

std::string escaped(std::string_view text) { return escape(text, ""); }

std::string escaped_lines(std::string_view text) { return escape(text, "\n\t"); }

std::size_t width_of(std::string_view text) {
  std::size_t columns = 0;
  for (const char c : text) columns += is_continuation(c) ? 0 : 1;
  return columns;
}

std::string cut_to(std::string_view text, std::size_t columns) {
  if (width_of(text) <= columns) return std::string(text);
  if (columns == 0) return {};
  std::size_t bytes = 0;
  for (std::size_t column = 0; column + 1 < columns; ++column) {
    ++bytes;
    while (bytes < text.size() && is_continuation(text[bytes])) ++bytes;
  }
  return std::string(text.substr(0, bytes)) + "…";
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t bytes = character_bytes(text);
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

}  // namespace jack::app

#include "apps/import/json_reader.h"

#include <algorithm>

#include <fmt/format.h>

#include "apps/text/escape.h"

namespace jack::app {
namespace {

constexpr std::string_view kOfNumbers =
    "+-.0123456789Ee";  // what order is right is not looked into

void append_utf8(std::uint32_t character, std::string& out) {
  const auto add = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
  const auto add_rest = [&](std::uint32_t shift) { add(0x80 | (character >> shift & 0x3f)); };
  if (character < 0x80) {
    add(character);
  } else if (character < 0x800) {
    add(0xc0 | character >> 6);
    add_rest(0);
  } else if (character < 0x10000) {
    add(0xe0 | character >> 12);
    add_rest(6);
    add_rest(0);
  } else {
    add(0xf0 | character >> 18);
    add_rest(12);
    add_rest(6);
    add_rest(0);
  }
}

}  // namespace

void JsonReader::fail(std::string_view message) {
  if (failed()) return;
  fault_ = at_ == json_.size() ? fmt::format("the file ends here: {}", message) : message;
}

void JsonReader::skip_blanks() {
  at_ = std::min(json_.find_first_not_of(" \t\r\n", at_), json_.size());
}

bool JsonReader::take(char expected) {
  skip_blanks();
  if (failed() || at_ == json_.size() || json_[at_] != expected) return false;
  ++at_;
  return true;
}

JsonReader::Type JsonReader::next() {
  skip_blanks();
  if (failed()) return Type::none;
  const char first = at_ < json_.size() ? json_[at_] : '\0';
  if (first == '{') return Type::object;
  if (first == '[') return Type::array;
  if (first == '"') return Type::text;
  if (first == '-' || (first >= '0' && first <= '9')) return Type::number;
  for (const std::string_view word : {"true", "false", "null"}) {
    if (json_.substr(at_).starts_with(word)) return Type::word;
  }
  fail("a value is missing");
  return Type::none;
}

void JsonReader::enter() {
  const Type type = next();
  if (type != Type::array && type != Type::object) {
    fail("an array or an object is missing");
  } else if (levels_.size() == kJsonDepthMax) {
    fail(fmt::format("brackets are nested deeper than {}", kJsonDepthMax));
  } else {
    levels_.push_back({type == Type::array ? ']' : '}', true});
    ++at_;
  }
}

bool JsonReader::more() {
  if (failed()) return false;
  Level& level = levels_.back();
  if (take(level.close)) {
    levels_.pop_back();
    return false;
  }
  if (!level.first && !take(',')) {
    fail(fmt::format("',' or '{}' is missing", level.close));
    return false;
  }
  level.first = false;
  return true;
}

JsonReader::Text JsonReader::name() {
  if (next() != Type::text) {
    fail("the name of a member is missing");
    return {};
  }
  Text name = text();
  if (!take(':')) fail("':' is missing");
  return name;
}

JsonReader::Text JsonReader::text() {
  Text text;
  if (next() != Type::text) {
    fail("a text is missing");
    return text;
  }
  ++at_;
  while (!failed()) {
    const std::size_t end = std::min(json_.find_first_of("\"\\", at_), json_.size());
    text.value += json_.substr(at_, end - at_);
    at_ = end;
    if (at_ == json_.size()) {
      fail("within a text");
    } else if (json_[at_++] == '"') {
      break;
    } else {
      read_escape(text);
    }
  }
  if (text.fault.empty() && !is_utf8(text.value)) text.fault = "is not UTF-8";
  return text;
}

// Behind the backslash.
void JsonReader::read_escape(Text& text) {
  static constexpr std::string_view kNames = "\"\\/bfnrt";
  static constexpr std::string_view kCharacters = "\"\\/\b\f\n\r\t";
  if (at_ == json_.size()) return fail("within a text");
  const char name = json_[at_++];
  if (const std::size_t known = kNames.find(name); known != std::string_view::npos) {
    text.value += kCharacters[known];
    return;
  }
  if (name != 'u') {
    text.fault = "has a backslash that means nothing";
    return;
  }
  const std::uint32_t character = read_hex();
  if (character >= 0xd800 && character <= 0xdfff) return read_surrogates(character, text);
  if (character > 0xffff) {
    text.fault = "has \\u without four digits";
  } else {
    append_utf8(character, text.value);
  }
}

// Four digits; nothing is taken where they are not there, and the value is none of four digits.
std::uint32_t JsonReader::read_hex() {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const char c = at_ + i < json_.size() ? json_[at_ + i] : '"';
    const bool digit = c >= '0' && c <= '9';
    const char letter = static_cast<char>(c | 0x20);
    if (!digit && (letter < 'a' || letter > 'f')) return UINT32_MAX;
    value = value << 4 | static_cast<std::uint32_t>(digit ? c - '0' : letter - 'a' + 10);
  }
  at_ += 4;
  return value;
}

// Characters beyond U+FFFF are written as two halves.
void JsonReader::read_surrogates(std::uint32_t high, Text& text) {
  const std::size_t before = at_;
  if (high < 0xdc00 && json_.substr(at_).starts_with("\\u")) {
    at_ += 2;
    const std::uint32_t low = read_hex();
    if (low >= 0xdc00 && low <= 0xdfff) {
      return append_utf8(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00), text.value);
    }
    at_ = before;
  }
  text.fault = "has half of a character (a lone surrogate)";
}

std::string_view JsonReader::skip() {
  const Type type = next();
  const std::size_t begin = at_;
  switch (type) {
    case Type::object:  // no deeper than kJsonDepthMax, here and below
      for (enter(); more();) {
        name();
        skip();
      }
      break;
    case Type::array:
      for (enter(); more();) skip();
      break;
    case Type::text: text(); break;
    case Type::number:
      at_ = std::min(json_.find_first_not_of(kOfNumbers, at_), json_.size());
      break;
    case Type::word: at_ += json_[at_] == 'f' ? 5 : 4; break;  // true, false, null
    case Type::none: break;
  }
  return json_.substr(begin, at_ - begin);
}

void JsonReader::finish() {
  skip_blanks();
  if (!failed() && at_ < json_.size()) fail("something stands behind the end of the JSON value");
}

std::uint64_t JsonReader::line() {
  skip_blanks();
  const std::string_view passed = json_.substr(lines_until_, at_ - lines_until_);
  line_ += static_cast<std::uint64_t>(std::ranges::count(passed, '\n'));
  lines_until_ = at_;
  return line_;
}

Problem JsonReader::fault() {
  const std::uint64_t at_line = line();
  const std::size_t before = json_.substr(0, at_).rfind('\n');
  const std::size_t begin = before == std::string_view::npos ? 0 : before + 1;
  return {at_line, width_of(json_.substr(begin, at_ - begin)) + 1, fault_, true};
}

}  // namespace jack::app

// JSON read step by step, by whoever knows what should come.
//
// It differs from a library in what one fault costs: a text that is not Unicode spoils that text
// alone, and after a fault of the syntax all that was read before it stands. And it knows its line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "apps/import/entry.h"

namespace jack::app {

// Values nest no deeper; beyond, the file is at fault.
inline constexpr std::size_t kJsonDepthMax = 32;

// Pure, not thread-safe. The text outlives it. After a fault of the syntax nothing comes any more.
class JsonReader {
 public:
  enum class Type { object, array, text, number, word, none };

  struct Text {
    std::string value;
    std::string fault;  // why it is no text of Unicode characters; empty: it is
  };

  explicit JsonReader(std::string_view json) : json_(json) {}

  // What the next value is; none: there is none, and so a fault.
  Type next();

  // Into the array or object that is next.
  void enter();
  // Whether an element or member follows; otherwise it is left. False after a fault, too.
  bool more();
  // The name of the member that follows; its value is next then.
  Text name();

  // The text that is next.
  Text text();
  // Passes over the value that is next, whatever it is, and gives what is written there.
  std::string_view skip();

  // Nothing but blanks may stand behind the first value.
  void finish();

  // The line where the next value begins.
  std::uint64_t line();

  bool failed() const { return !fault_.empty(); }
  // What the fault is and where.
  Problem fault();

 private:
  struct Level {
    char close = ']';
    bool first = true;
  };

  void fail(std::string_view message);
  void skip_blanks();
  bool take(char expected);
  void read_escape(Text& text);
  std::uint32_t read_hex();
  void read_surrogates(std::uint32_t high, Text& text);

  std::string_view json_;
  std::size_t at_ = 0;
  std::vector<Level> levels_;
  std::string fault_;
  std::size_t lines_until_ = 0;  // up to there they are counted
  std::uint64_t line_ = 1;
};

}  // namespace jack::app

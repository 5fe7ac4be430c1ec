// Rows in aligned columns, for people.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jack::app {

// What a piece of text wants to say by its colour.
enum class Tone { plain, title, good, bad, busy, faint };

// With the terminal's codes for the tone around it, if `colour`.
std::string toned(std::string_view text, Tone tone, bool colour);

enum class Align { left, right };

struct Column {
  std::string title;
  Align align = Align::left;
  bool shrinks = false;  // is cut where the table is wider than the terminal
};

// The text must be fit for a terminal already (text/escape.h).
struct Cell {
  Cell(std::string text_, Tone tone_ = Tone::plain) : text(std::move(text_)), tone(tone_) {}
  Cell(const char* text_) : text(text_) {}

  std::string text;
  Tone tone = Tone::plain;
};

struct TableStyle {
  std::size_t width_max = 0;  // of a line; 0: as wide as it needs
  bool colour = false;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // One cell per column.
  void add(std::vector<Cell> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.empty(); }

  // A line of titles and one per row, two blanks between columns, none at the end of a line.
  // Where it would be wider than `width_max`, columns that shrink are cut, the widest first, but
  // not below their titles.
  std::string text(const TableStyle& style = {}) const;

 private:
  std::vector<std::size_t> widths(std::size_t width_max) const;
  std::string line(const std::vector<Cell>& cells, const std::vector<std::size_t>& widths,
                   bool colour) const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace jack::app

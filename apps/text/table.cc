#include "apps/text/table.h"

#include <algorithm>

#include "apps/text/escape.h"

namespace jack::app {
namespace {

constexpr std::size_t kGap = 2;

std::string_view code_of(Tone tone) {
  switch (tone) {
    case Tone::plain: return "";
    case Tone::title: return "\x1b[1m";
    case Tone::good: return "\x1b[32m";
    case Tone::bad: return "\x1b[31m";
    case Tone::busy: return "\x1b[36m";
    case Tone::faint: return "\x1b[2m";
  }
  return "";
}

}  // namespace

std::string toned(std::string_view text, Tone tone, bool colour) {
  const std::string_view code = code_of(tone);
  if (!colour || code.empty() || text.empty()) return std::string(text);
  return std::string(code).append(text).append("\x1b[0m");
}

std::vector<std::size_t> Table::widths(std::size_t width_max) const {
  std::vector<std::size_t> widths;
  std::size_t total = 0;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = width_of(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, width_of(row[i].text));
    widths.push_back(width);
    total += width + (i == 0 ? 0 : kGap);
  }
  while (width_max != 0 && total > width_max) {
    std::size_t widest = columns_.size();
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (!columns_[i].shrinks || widths[i] <= width_of(columns_[i].title)) continue;
      if (widest == columns_.size() || widths[i] > widths[widest]) widest = i;
    }
    if (widest == columns_.size()) break;
    --widths[widest];
    --total;
  }
  return widths;
}

std::string Table::line(const std::vector<Cell>& cells, const std::vector<std::size_t>& widths,
                        bool colour) const {
  std::string line;
  std::size_t blanks = 0;  // put down only before something else
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const std::string cut = cut_to(cells[i].text, widths[i]);
    const std::size_t padding = widths[i] - width_of(cut);
    if (columns_[i].align == Align::right) blanks += padding;
    if (!cut.empty()) {
      line.append(std::exchange(blanks, 0), ' ');
      line += toned(cut, cells[i].tone, colour);
    }
    if (columns_[i].align == Align::left) blanks += padding;
    blanks += kGap;
  }
  return line + "\n";
}

std::string Table::text(const TableStyle& style) const {
  const std::vector<std::size_t> widths = this->widths(style.width_max);
  std::vector<Cell> titles;
  titles.reserve(columns_.size());
  for (const Column& column : columns_) titles.emplace_back(column.title, Tone::title);

  std::string text = line(titles, widths, style.colour);
  for (const auto& row : rows_) text += line(row, widths, style.colour);
  return text;
}

}  // namespace jack::app

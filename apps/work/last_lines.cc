#include "apps/work/last_lines.h"

namespace jack::app {

void LastLines::add(std::string_view part) {
  kept_ += part;
  if (kept_.size() <= 2 * bytes_max_) return;
  kept_.erase(0, kept_.size() - bytes_max_);
  cut_ = true;
}

std::string LastLines::text() const {
  std::string_view text = kept_;
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  bool cut = cut_;
  if (text.size() > bytes_max_) {
    text.remove_prefix(text.size() - bytes_max_);
    cut = true;
  }
  // The first line is a part of one, unless it is all there is.
  const std::size_t line = text.find('\n');
  if (cut && line != std::string_view::npos) text.remove_prefix(line + 1);
  return std::string(text);
}

}  // namespace jack::app

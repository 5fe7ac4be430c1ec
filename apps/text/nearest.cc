#include "apps/text/nearest.h"

#include <algorithm>

namespace jack::app {
namespace {

// Longer words are no name of ours, and the cost is that of the product of the lengths.
constexpr std::size_t kWordBytesMax = 200;

// The optimal string alignment distance. Three rows suffice: the last two, and the one in work.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, changed});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
    std::swap(before_last, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& known) {
  if (word.size() > kWordBytesMax) return std::nullopt;
  std::optional<std::string> best;
  std::size_t best_distance = 0;
  for (const std::string& candidate : known) {
    const std::size_t changes = distance(word, candidate);
    if (3 * changes > std::max(word.size(), candidate.size())) continue;
    if (best && changes >= best_distance) continue;
    best = candidate;
    best_distance = changes;
  }
  return best;
}

}  // namespace jack::app

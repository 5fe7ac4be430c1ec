#include "engine/format/duration.h"

#include <array>
#include <cstdint>
#include <utility>

namespace jack {
namespace {

constexpr std::array<std::pair<const char*, std::int64_t>, 5> kDurationUnits = {
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};

}  // namespace

std::string exact_text(Duration duration) {
  if (duration.count() <= 0) return "0s";
  std::string text;
  std::int64_t rest = duration.count();
  for (const auto& [name, ms] : kDurationUnits) {
    if (rest >= ms) text += std::to_string(rest / ms) + name;
    rest %= ms;
  }
  return text;
}

}  // namespace jack

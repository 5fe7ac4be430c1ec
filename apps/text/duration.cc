#include "apps/text/duration.h"

#include <array>
#include <charconv>
#include <cstdint>

#include <fmt/format.h>

namespace jack::app {
namespace {

constexpr std::int64_t kMsMax = std::int64_t{100} * 366 * 86'400'000;

struct Unit {
  std::string_view name;
  std::int64_t ms;
};

constexpr std::array<Unit, 5> kUnits = {
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};

// The letters that `text` begins with.
std::string_view letters_of(std::string_view text) {
  std::size_t count = 0;
  while (count < text.size() && text[count] >= 'a' && text[count] <= 'z') ++count;
  return text.substr(0, count);
}

const Unit* unit_named(std::string_view name) {
  for (const Unit& unit : kUnits) {
    if (unit.name == name) return &unit;
  }
  return nullptr;
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  const Error wrong{
      Code::invalid_argument,
      fmt::format("'{}' is no duration; write 500ms, 10s, 5m, 2h, 3d or 1h30m", text)};
  if (text == "0") return Duration{0};
  if (text.empty()) return wrong;

  std::int64_t total = 0;
  for (std::string_view rest = text; !rest.empty();) {
    std::int64_t count = 0;
    const auto [end, failed] = std::from_chars(rest.data(), rest.data() + rest.size(), count);
    if (failed != std::errc() || rest.front() == '-') return wrong;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    const Unit* unit = unit_named(letters_of(rest));
    if (unit == nullptr) return wrong;
    rest.remove_prefix(unit->name.size());
    if (count > (kMsMax - total) / unit->ms) {
      return Error{Code::invalid_argument, fmt::format("'{}' is longer than 100 years", text)};
    }
    total += count * unit->ms;
  }
  return Duration{total};
}

std::string short_text(Duration duration) {
  const std::int64_t ms = duration.count();
  if (ms < 0) return "-" + short_text(Duration{-ms});
  if (ms < 1000) return fmt::format("{}ms", ms);
  if (ms < 60'000) {
    return ms % 1000 == 0 ? fmt::format("{}s", ms / 1000)
                          : fmt::format("{}.{}s", ms / 1000, ms % 1000 / 100);
  }
  for (std::size_t i = 0; i + 1 < kUnits.size(); ++i) {
    if (ms < kUnits[i].ms) continue;
    const std::int64_t minor = ms % kUnits[i].ms / kUnits[i + 1].ms;
    const std::string major = fmt::format("{}{}", ms / kUnits[i].ms, kUnits[i].name);
    return minor == 0 ? major : fmt::format("{} {}{}", major, minor, kUnits[i + 1].name);
  }
  return fmt::format("{}ms", ms);
}

}  // namespace jack::app

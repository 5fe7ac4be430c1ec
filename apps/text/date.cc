#include "apps/text/date.h"

#include <array>
#include <chrono>
#include <ctime>

namespace jack::app {

WallTime wall_now() { return std::chrono::floor<Duration>(std::chrono::system_clock::now()); }

std::string local_date_text(WallTime at) {
  const std::time_t seconds =
      std::chrono::floor<std::chrono::seconds>(at).time_since_epoch().count();
  std::tm parts{};
  std::array<char, 32> text{};
  if (localtime_r(&seconds, &parts) == nullptr ||
      std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts) == 0) {
    return date_text(at);
  }
  return text.data();
}

}  // namespace jack::app

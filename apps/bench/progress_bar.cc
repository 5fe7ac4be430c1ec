#include "apps/bench/progress_bar.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>

#include <fmt/format.h>

#include "apps/terminal.h"

namespace jack::app {
namespace {

constexpr std::uint64_t kCells = 40;
constexpr std::chrono::milliseconds kEvery{100};
constexpr const char* kWipe = "\r\x1b[K";

void draw(const std::string& what, std::uint64_t done, std::uint64_t all) {
  const std::uint64_t cells = all == 0 ? kCells : std::min(kCells, kCells * done / all);
  std::string bar;
  for (std::uint64_t i = 0; i < kCells; ++i) bar += i < cells ? "█" : "░";
  fmt::print(stderr, "{}{} {} {}/{}", kWipe, what, bar, done, all);
}

}  // namespace

ProgressBar::ProgressBar(std::string what, std::uint64_t all, std::function<std::uint64_t()> done) {
  if (!is_terminal(Stream::errors)) return;
  thread_ = std::jthread(
      [what = std::move(what), all, done = std::move(done)](const std::stop_token& stop) {
        std::mutex mutex;
        std::condition_variable_any never;
        std::unique_lock lock(mutex);
        while (!stop.stop_requested()) {
          draw(what, done(), all);
          never.wait_for(lock, stop, kEvery, [] { return false; });
        }
        std::fputs(kWipe, stderr);
      });
}

ProgressBar::~ProgressBar() = default;

}  // namespace jack::app

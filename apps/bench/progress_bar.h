// A bar that grows on a terminal while something long goes on.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <thread>

namespace jack::app {

// Draws on standard error, a few times a second, if that is a terminal; otherwise does nothing.
class ProgressBar {
 public:
  // `done` is called on a thread of its own and counts up to `all`.
  ProgressBar(std::string what, std::uint64_t all, std::function<std::uint64_t()> done);
  ~ProgressBar();  // wipes it away

 private:
  std::jthread thread_;
};

}  // namespace jack::app

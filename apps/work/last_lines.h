// The end of a text that comes in parts.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace jack::app {

// Keeps the last lines of what it is given, whole ones as far as they fit into `bytes_max`.
class LastLines {
 public:
  explicit LastLines(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  void add(std::string_view part);

  // Without line feeds at the end.
  std::string text() const;

 private:
  std::size_t bytes_max_;
  std::string kept_;  // at most twice bytes_max_
  bool cut_ = false;
};

}  // namespace jack::app

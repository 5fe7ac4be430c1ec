// What this process has used so far.
#pragma once

#include <cstdint>

namespace jack::app {

struct Usage {
  double cpu_seconds = 0;          // user and system, all threads
  std::uint64_t memory_bytes = 0;  // resident now
  std::uint64_t memory_peak_bytes = 0;
  // Given to write calls, nearly all of it to files. What the kernel counts as written is larger:
  // for a byte, whole folios.
  std::uint64_t written_bytes = 0;
};

Usage usage_now();

}  // namespace jack::app

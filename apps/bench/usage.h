// What this process has used so far.
#pragma once

#include <cstdint>

namespace jack::app {

struct Usage {
  double cpu_seconds = 0;          // user and system, all threads
  std::uint64_t memory_bytes = 0;  // resident now
  std::uint64_t memory_peak_bytes = 0;
  std::uint64_t written_bytes = 0;  // handed to the disk, from /proc/self/io
};

Usage usage_now();

}  // namespace jack::app

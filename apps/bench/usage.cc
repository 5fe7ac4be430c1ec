#include "apps/bench/usage.h"

#include <fstream>
#include <string>

#include <sys/resource.h>

namespace jack::app {
namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// The number behind `name` in a file of "name: number" lines; 0 where there is none.
std::uint64_t number_in(const char* path, const std::string& name) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with(name)) return std::strtoull(line.c_str() + name.size(), nullptr, 10);
  }
  return 0;
}

}  // namespace

Usage usage_now() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  Usage usage;
  usage.cpu_seconds = seconds(used.ru_utime) + seconds(used.ru_stime);
  usage.memory_bytes = number_in("/proc/self/status", "VmRSS:") * 1024;
  usage.memory_peak_bytes = number_in("/proc/self/status", "VmHWM:") * 1024;
  usage.written_bytes = number_in("/proc/self/io", "wchar:");
  return usage;
}

}  // namespace jack::app

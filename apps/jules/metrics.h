// What GET /metrics tells, in the text format of Prometheus.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <jack_engine/client.h>

#include "apps/jules/task_view.h"

namespace jack::jules {

// On the server's thread.
class Metrics {
 public:
  void on_acknowledged(const std::string& agent) { ++acknowledged_[agent]; }
  // `endpoint`: the route's pattern.
  void on_answered(std::string_view endpoint, std::string_view method,
                   std::chrono::steady_clock::duration took);

  // With names of before for what there was, and of today (jack_…) for queues and engine.
  std::string text(const std::vector<QueueStatus>& queues,
                   const std::vector<std::pair<std::string, std::string>>& engine,
                   const Options& options) const;

 private:
  static constexpr std::array<double, 11> kBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                     0.1,   0.25,   0.5,   1,    2.5};
  struct Histogram {
    std::array<std::uint64_t, kBounds.size() + 1> counts{};  // the last: beyond
    double sum = 0;
  };

  std::map<std::string, std::uint64_t> acknowledged_;
  std::map<std::pair<std::string, std::string>, Histogram, std::less<>> durations_;
};

}  // namespace jack::jules

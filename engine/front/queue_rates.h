// How many tasks come to each queue and leave it, of late.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <unordered_map>

#include <jack_engine/time.h>

namespace jack {

// Tasks per second, the older ones counting ever less: half as much for each 20 seconds or so.
class Rate {
 public:
  void add(SteadyTime now) {
    fade(now);
    per_second_ += 1 / kSeconds;
  }
  double per_second(SteadyTime now) {
    fade(now);
    return per_second_;
  }

 private:
  static constexpr double kSeconds = 30;

  void fade(SteadyTime now) {
    if (now == at_) return;
    per_second_ *= std::exp(-static_cast<double>((now - at_).count()) / (kSeconds * 1e9));
    at_ = now;
  }

  double per_second_ = 0;
  SteadyTime at_{};
};

// Pure, not thread-safe. Beside the state: it is about this engine's present and decides nothing.
class QueueRates {
 public:
  void on_arrival(std::string_view queue, SteadyTime now) { of(queue, now).arriving.add(now); }
  void on_leaving(std::string_view queue, SteadyTime now) { of(queue, now).leaving.add(now); }

  // In thousandths.
  std::uint64_t arriving_milli(std::string_view queue, SteadyTime now) {
    return milli(queue, &Rates::arriving, now);
  }
  std::uint64_t leaving_milli(std::string_view queue, SteadyTime now) {
    return milli(queue, &Rates::leaving, now);
  }

 private:
  struct Rates {
    Rate arriving;
    Rate leaving;
  };
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  // Queues for which nothing came or left lately make room, whenever there are twice as many as
  // were left the last time: so that a task costs the same, however many queues there are.
  void forget_idle(SteadyTime now) {
    for (auto queue = rates_.begin(); queue != rates_.end();) {
      Rates& rates = queue->second;
      const bool idle = rates.arriving.per_second(now) + rates.leaving.per_second(now) < 1e-4;
      queue = idle ? rates_.erase(queue) : std::next(queue);
    }
  }

  Rates& of(std::string_view queue, SteadyTime now) {
    const auto found = rates_.find(queue);
    if (found != rates_.end()) return found->second;
    if (rates_.size() >= forget_at_) {
      forget_idle(now);
      forget_at_ = std::max(kKept, 2 * rates_.size());
    }
    return rates_[std::string(queue)];
  }
  std::uint64_t milli(std::string_view queue, Rate Rates::*which, SteadyTime now) {
    const auto found = rates_.find(queue);
    if (found == rates_.end()) return 0;
    return static_cast<std::uint64_t>(1000 * (found->second.*which).per_second(now));
  }

  static constexpr std::size_t kKept = 1000;

  std::unordered_map<std::string, Rates, Hash, std::equal_to<>> rates_;
  std::size_t forget_at_ = kKept;
};

}  // namespace jack

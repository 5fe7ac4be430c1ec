// Inside a Client: one link, one call at a time, no thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <random>
#include <string>

#include <jack_engine/client.h>

#include "engine/runtime/link.h"

namespace jack {

// A longer wait is cut to this, so that it can be turned into nanoseconds.
inline constexpr Duration kClientWaitMax = std::chrono::hours{24 * 365 * 100};

inline Error to_error(const wire::Refused& refused) {
  return {refused.code, std::string(refused.message)};
}

// The engine is going down, or its transport is out of reach; both pass.
inline bool passes(Code code) { return code == Code::stopped || code == Code::unavailable; }

// What people read are dates: journal times, moved by what the engine says is the difference.
inline void move(Instant& at, Duration by) {
  if (at != kNever) at = at + by;
}

class Client::Impl {
 public:
  static Result<std::unique_ptr<Impl>> open(wire::Route route, const ClientOptions& options);

  // Sends what `encode(correlation)` makes until it is answered, and returns the answer, whose
  // texts are valid until the next call. `encode` is asked anew for each repeat.
  template <typename Encode>
  Result<wire::Reply> call(Encode encode);

  // The same for a call that outlasts the engine: a refusal because the engine is stopping is no
  // answer, the next engine's is.
  template <typename Encode>
  Result<wire::Reply> call_over_restarts(Encode encode);

  // Whether the last call was sent more than once, so that the engine may have heard it twice.
  bool repeated() const { return sends_ > 1; }

  Result<void> watch(const WatchOptions& options, const std::function<bool(const Event&)>& on_event,
                     Duration idle_timeout);

 private:
  using SteadyClock = std::chrono::steady_clock;
  class Patience;
  class Watching;

  Impl(Link link, Duration patience) : link_(std::move(link)), patience_(patience) {}

  template <typename Encode>
  Result<wire::Reply> exchange(Encode encode, bool over_restarts);
  bool send(std::string frame);
  std::chrono::milliseconds some_time() { return std::chrono::milliseconds{100 + random_() % 100}; }

  Link link_;
  Duration patience_;
  bool watching_ = false;
  int sends_ = 0;  // of the last call's request
  std::minstd_rand random_{std::random_device{}()};
};

// How long a call goes on without a word from the engine, or without a connection.
class Client::Impl::Patience {
 public:
  explicit Patience(Duration patience) : patience_(std::min(patience, kClientWaitMax)) { renew(); }

  void renew() {
    end_ = SteadyClock::now() + patience_;
    next_ping_ = SteadyClock::now() + kPingEvery;
  }
  bool over() const { return SteadyClock::now() >= end_; }

  // Until there is something to do, at most `other`.
  std::chrono::milliseconds pause(std::chrono::milliseconds other) const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(std::min(end_, next_ping_) -
                                                                   SteadyClock::now());
    return std::clamp(left, std::chrono::milliseconds{0},
                      std::max(other, std::chrono::milliseconds{0}));
  }

  void ping_if_due(Link& link) {
    if (SteadyClock::now() < next_ping_) return;
    const bool said = link.ready() && link.say(wire::Ping{});
    next_ping_ = SteadyClock::now() + (said ? kPingEvery : kPingSoon);
  }

 private:
  // An engine answers pings at once, whatever its disk does.
  static constexpr std::chrono::milliseconds kPingEvery{2500};
  static constexpr std::chrono::milliseconds kPingSoon{100};  // while there is nobody to say it to

  Duration patience_;
  SteadyClock::time_point end_;
  SteadyClock::time_point next_ping_;
};

}  // namespace jack

// Inside a Client: one link, one call at a time, no thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <random>
#include <string>

#include <jack_engine/client.h>

#include "engine/runtime/link.h"
#include "engine/runtime/patience.h"

namespace jack {

// A longer wait is cut to this, so that it can be turned into nanoseconds.
inline constexpr Duration kClientWaitMax = std::chrono::hours{24 * 365 * 100};

inline Error to_error(const wire::Refused& refused) {
  return {refused.code, std::string(refused.message)};
}

// The engine is going down, or its transport is out of reach; both pass.
inline bool passes(Code code) { return code == Code::stopped || code == Code::unavailable; }

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
  class Watching;

  Impl(Link link, Duration patience)
      : link_(std::move(link)), patience_(std::min(patience, kClientWaitMax)) {}

  template <typename Encode>
  Result<wire::Reply> exchange(Encode encode, bool over_restarts);
  bool send(std::string frame);
  bool say_ping() { return link_.ready() && link_.say(wire::Ping{}); }
  std::chrono::milliseconds some_time() { return std::chrono::milliseconds{100 + random_() % 100}; }

  Link link_;
  Duration patience_;
  bool watching_ = false;
  int sends_ = 0;  // of the last call's request
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace jack

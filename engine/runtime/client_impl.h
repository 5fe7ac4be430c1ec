// Inside a Client: one link, one call at a time, no thread.
#pragma once

#include <chrono>
#include <memory>
#include <random>
#include <string>

#include <jack_engine/client.h>

#include "engine/runtime/link.h"

namespace jack {

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
  std::chrono::milliseconds some_time();

  Link link_;
  Duration patience_;
  bool watching_ = false;
  int sends_ = 0;  // of the last call's request
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace jack

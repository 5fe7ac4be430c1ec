// Who may ask anything: web pages of others may not, and where there are API keys nobody else.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include <jack_engine/engine.h>

#include "apps/http/guard.h"
#include "apps/http/message.h"
#include "engine/wire/key_ring.h"
#include "engine/wire/last_used.h"

namespace jack::api {

struct DoorkeeperOptions {
  http::GuardRules guard;
  // Nobody without a key; else that is so once there are API keys in the list.
  bool keys_required = false;
  // Of each key, or of all clients together without keys; 0: any number.
  std::uint32_t requests_per_second_max = 0;
  std::function<void(LogLevel, std::string_view)> log;
};

// Of who comes without a key that is let in.
inline const Error kKeyRequired{Code::unauthenticated, "API key required"};

// On the server's thread.
class Doorkeeper {
 public:
  // `last_used` may be empty.
  Doorkeeper(DoorkeeperOptions options, std::shared_ptr<wire::KeyRing> keys,
             std::shared_ptr<wire::LastUsed> last_used);

  // 403 by the guard, 401 without a key that is let in, 429 beyond the rate. Some paths are open
  // to all, so that what watches this server needs no key. Sets the key's name as the principal.
  http::Admission admit(const http::Request& request);

  // Whether a request of this path is let in without a key, whoever sends it.
  static bool is_open(const http::Request& request);

  // Whether nobody else is let in without a key, as things are now.
  bool needs_key();

 private:
  using Clock = std::chrono::steady_clock;

  struct Bucket {
    double tokens = 0;
    Clock::time_point filled;
  };

  Result<std::string> principal_of(const http::Request& request);
  bool is_too_fast(const std::string& principal);
  void log_refusal(const http::Request& request, const Error& error);

  const DoorkeeperOptions options_;
  const std::shared_ptr<wire::KeyRing> keys_;
  const std::shared_ptr<wire::LastUsed> last_used_;
  std::map<std::string, Bucket, std::less<>> buckets_;  // no more than there are keys
  Clock::time_point logged_{};
  std::uint64_t unlogged_ = 0;
};

}  // namespace jack::api

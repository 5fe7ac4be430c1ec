// The engine over HTTP: one server, and behind it one session with the engine for each key.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/engine.h>
#include <jack_engine/error.h>
#include <jack_engine/limits.h>
#include <jack_engine/time.h>

#include "apps/http/server.h"

namespace jack::api {

struct GatewayOptions {
  std::vector<std::string> listen;  // as http::ServerOptions
  std::optional<http::TlsFiles> tls;
  http::HttpLimits limits;
  Limits engine_limits;  // those that the engine was opened with

  std::vector<std::string> hosts;            // as http::GuardRules
  std::vector<std::string> allowed_origins;  // as http::GuardRules
  bool behind_proxy = false;                 // as http::GuardRules; and the proxy does TLS

  std::uint32_t requests_per_second_max = 0;  // as DoorkeeperOptions

  // Of the routes of before.
  std::string inbox = "inbox";          // the queue of tasks that are assigned to nobody
  std::string responses = "responses";  // the queue of what agents answered
  Duration acknowledge_lease = std::chrono::minutes{10};

  std::function<void(LogLevel, std::string_view)> log;
};

// Any thread.
class Gateway {
 public:
  // Errors: as http::Server::open()
  //         permission_denied  beyond loopback without keys, or without TLS and not behind a proxy
  // The engine outlives it.
  static Result<std::unique_ptr<Gateway>> open(Engine& engine, GatewayOptions options);
  ~Gateway();

  // "127.0.0.1:5000", with the ports that were free.
  const std::vector<std::string>& addresses() const;

  // As http::Server::stop().
  void stop(std::chrono::milliseconds grace);

 private:
  class Impl;
  explicit Gateway(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace jack::api

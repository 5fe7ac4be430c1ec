// Whether there is an engine at all.
#pragma once

#include <functional>
#include <stop_token>
#include <thread>

#include <jack_engine/client.h>

namespace jack::app {

// Calls `on_none` unless an engine answers within the client's patience. Once one has, it may be
// away for any time.
class FirstContact {
 public:
  FirstContact(const ClientOptions& engine, std::function<void(const Error&)> on_none);
  ~FirstContact();  // takes a second at most
  FirstContact(const FirstContact&) = delete;
  FirstContact& operator=(const FirstContact&) = delete;

 private:
  void run(const std::stop_token& stop);

  const ClientOptions engine_;
  const std::function<void(const Error&)> on_none_;
  std::jthread thread_;
};

}  // namespace jack::app

// When `jack work --until-empty` is done.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <jack_engine/client.h>

namespace jack::app {

// Calls `on_empty` once none of the queues has a queued or running task; tasks that are scheduled
// for later do not count. While the engine is away nothing is known, and it waits.
//
// Looks after each event by which a queue can become empty, rather than from time to time.
class EmptinessWatch {
 public:
  EmptinessWatch(const ClientOptions& engine, std::vector<std::string> queues,
                 std::function<void()> on_empty);
  ~EmptinessWatch();  // takes a second at most
  EmptinessWatch(const EmptinessWatch&) = delete;
  EmptinessWatch& operator=(const EmptinessWatch&) = delete;

 private:
  void run(const std::stop_token& stop);
  Result<bool> look(Client& client, std::optional<Position>& after, const std::stop_token& stop);
  Result<bool> is_empty(Client& client);
  Result<void> wait_for_change(Client& client, Position& after, const std::stop_token& stop);
  bool may_empty(const Event& event) const;

  const ClientOptions engine_;
  const std::vector<std::string> queues_;
  const std::function<void()> on_empty_;
  std::jthread thread_;
};

}  // namespace jack::app

// What the copies of a Responder share: the way to the connection that waits for the answer.
#pragma once

#include <functional>

namespace jack::http {

class Connection;

// Of the server's thread.
class Exchange {
 public:
  explicit Exchange(Connection& owner) : connection(&owner) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange();  // with a connection: the answer was not completed

  Connection* connection;  // null from the end of the answer on

  std::function<void()> on_closed;
  std::function<void()> on_drained;
  std::function<void()> on_stopping;
  std::function<void()> on_answered;
};

}  // namespace jack::http

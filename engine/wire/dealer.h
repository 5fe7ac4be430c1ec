// A client's or worker's side of ZeroMQ: one DEALER socket that connects again by itself, and what
// happens to its connection.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <zmq.hpp>

#include <jack_engine/error.h>

#include "engine/wire/endpoint.h"
#include "engine/wire/socket.h"
#include "engine/wire/wake.h"

namespace jack::wire {

// Not thread-safe. May move to another thread between two calls.
class Dealer {
 public:
  enum class News {
    nothing,       // the time is over, or may not be: libzmq had something of its own to do
    frame,         // one has arrived
    connected,     // from here on frames can be sent; the engine knows nothing of this connection
    disconnected,  // what has no answer may be lost
    refused,       // the engine turned us away: refusal() says why; libzmq goes on trying
    woken,         // by the Wake
    closed,        // the context is being closed: the engine of this process stops
  };

  // Begins to connect.
  // Errors: invalid_argument, unavailable
  static Result<Dealer> open(Route route);

  // Waits for the next news, at most `timeout`.
  News wait(std::chrono::milliseconds timeout, Wake* wake = nullptr);

  // The last frame; valid until the next wait().
  std::string_view frame() const { return frame_.to_string_view(); }
  const Error& refusal() const { return refusal_; }

  // Sent::done says only that the frame is on its way. Never Sent::unreachable.
  Sent send(std::string frame);

  // In the process of the engine: readable when wait() may have news, provided that it was called
  // until it had none after whatever else was done here.
  int descriptor() const { return socket_file_; }

  bool connected() const { return connected_; }
  const Route& route() const { return route_; }

  // Looks whether the engine is to be found elsewhere by now, and goes there.
  void look_up_again();

 private:
  Dealer(Route route, zmq::socket_t socket)
      : route_(std::move(route)), socket_(std::move(socket)) {}

  Result<void> connect();
  std::optional<News> take_frame();
  std::optional<News> take_event();
  News on_key_mismatch();
  News on_refused(std::string message);
  int events();

  Route route_;
  zmq::socket_t socket_;
  Monitor monitor_;  // of nothing in this process: there the connection just is
  int socket_file_ = -1;
  int monitor_file_ = -1;
  bool more_events_ = true;
  bool connected_ = false;
  int hang_ups_ = 0;      // in a row, amid the handshake
  bool greeted_ = false;  // in this process: `connected` has been told
  zmq::message_t frame_;
  Error refusal_;
};

}  // namespace jack::wire

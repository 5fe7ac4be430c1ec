// The one place where ZeroMQ sockets are made. The library's own defaults wait for ever, accept any
// size and drop replies in silence.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include <zmq.hpp>

#include <jack_engine/error.h>

namespace jack::wire {

// The longest frame that an engine takes: a batch of 8 MiB and what describes it.
inline constexpr std::size_t kRequestBytesMax = (8u << 20) + (64u << 10);

// The longest frame that a client or worker takes.
inline constexpr std::size_t kReplyBytesMax = 64u << 20;

// A context of its own for an engine: its sockets, and those of clients and workers in the same
// process.
// Errors: unsupported  libzmq is older than 4.3.3, whose faults strangers can use
Result<std::unique_ptr<zmq::context_t>> open_context();

// The context that all clients and workers of this process share which reach an engine elsewhere.
// It lives as long as someone holds it. Any thread.
// Errors: as open_context()
Result<std::shared_ptr<zmq::context_t>> shared_context();

// A hardened socket. ROUTER and DEALER get what jack/1 asks for; the others only the bounds on
// closing and on memory.
// Errors: unavailable  no more sockets or files
Result<zmq::socket_t> make_socket(zmq::context_t& context, zmq::socket_type type);

struct MonitorEvent {
  int event = 0;  // ZMQ_EVENT_…; 0: none at the moment
  int value = 0;  // a file descriptor or a status, by the event
};

// Tells what happens to a socket's connections (zmq_socket_monitor(3)). On the socket's thread, and
// gone before it. It makes the socket tell nobody any more before it stops listening: libzmq's own
// thread, which all sockets of a context share, waits for ever to tell somebody who has gone.
class Monitor {
 public:
  Monitor() = default;  // of nothing, as in this process, where libzmq has no events

  // Of the events named, ZMQ_EVENT_….
  static Result<Monitor> open(zmq::context_t& context, zmq::socket_t& socket, int events);

  Monitor(Monitor&& other) noexcept
      : watched_(std::exchange(other.watched_, nullptr)), events_(std::move(other.events_)) {}
  Monitor& operator=(Monitor&& other) noexcept {
    std::swap(watched_, other.watched_);
    events_.swap(other.events_);
    return *this;
  }
  ~Monitor();

  explicit operator bool() const { return watched_ != nullptr; }

  // Readable when there may be an event; −1 of nothing.
  int descriptor() const { return watched_ == nullptr ? -1 : events_.get(zmq::sockopt::fd); }

  // Never blocks.
  MonitorEvent next();

 private:
  void* watched_ = nullptr;
  zmq::socket_t events_;
};

// What became of a frame. "Not now" is neither an error nor a loop.
enum class Sent {
  done,
  not_now,      // the peer's queue is full, or there is no connection at the moment
  unreachable,  // no such peer any more
  closed,       // the context is being closed
};

// Never blocks. `message` is empty after Sent::done.
Sent send(zmq::socket_t& socket, zmq::message_t& message, bool more = false);

// Receives one part; false where there is none at the moment or the context is being closed.
bool receive(zmq::socket_t& socket, zmq::message_t& message);

// The frame as a message: moved where it is large, copied where that is cheaper.
zmq::message_t to_message(std::string frame);

// What a failed call of libzmq means to callers.
Error error_of(const zmq::error_t& error, const std::string& doing);

}  // namespace jack::wire

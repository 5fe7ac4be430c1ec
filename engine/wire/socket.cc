#include "engine/wire/socket.h"

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <tuple>
#include <utility>

#include "engine/guarded_by.h"

namespace jack::wire {
namespace {

// 4.3.3 closed CVE-2019-13132 and CVE-2020-15166: before, strangers could overflow the stack or
// silence a CURVE server before they were authenticated.
constexpr auto kOldestZmq = std::tuple(4, 3, 3);

// Each client and worker in an engine's process takes a few; connections take none.
constexpr int kSocketsMax = 16'384;

constexpr int kLingerMs = 1000;  // how long closing waits for answers to leave
constexpr int kHeartbeatMs = 2000;
constexpr int kHeartbeatTimeoutMs = 6000;
constexpr int kHandshakeMs = 5000;
constexpr int kReconnectMs = 100;  // doubled up to the maximum; libzmq adds jitter
constexpr int kReconnectMaxMs = 5000;

// In messages and per connection. Those that an engine keeps may have megabytes each: what it has
// not read yet, and what its client has not.
constexpr int kQueueToEngine = 1000;
constexpr int kQueueFromClient = 256;
constexpr int kQueueToClient = 100;

// From here on handing over a frame's memory is cheaper than copying it.
constexpr std::size_t kCopiedBytesMax = 4096;

void harden(zmq::socket_t& socket, zmq::socket_type type) {
  const bool router = type == zmq::socket_type::router;
  socket.set(zmq::sockopt::linger, kLingerMs);
  socket.set(zmq::sockopt::sndhwm, router ? kQueueToClient : kQueueToEngine);
  socket.set(zmq::sockopt::rcvhwm, router ? kQueueFromClient : kQueueToClient);
  if (!router && type != zmq::socket_type::dealer) return;

  socket.set(zmq::sockopt::maxmsgsize,
             static_cast<std::int64_t>(router ? kRequestBytesMax : kReplyBytesMax));
  socket.set(zmq::sockopt::heartbeat_ivl, kHeartbeatMs);
  socket.set(zmq::sockopt::heartbeat_timeout, kHeartbeatTimeoutMs);
  socket.set(zmq::sockopt::heartbeat_ttl, kHeartbeatTimeoutMs);
  socket.set(zmq::sockopt::handshake_ivl, kHandshakeMs);
  if (router) {
    socket.set(zmq::sockopt::router_mandatory, true);
  } else {
    socket.set(zmq::sockopt::immediate, true);
    socket.set(zmq::sockopt::reconnect_ivl, kReconnectMs);
    socket.set(zmq::sockopt::reconnect_ivl_max, kReconnectMaxMs);
  }
}

Result<void> check_version() {
  const auto version = zmq::version();
  if (version >= kOldestZmq) return {};
  const auto [major, minor, patch] = version;
  return Error{Code::unsupported, "libzmq " + std::to_string(major) + "." + std::to_string(minor) +
                                      "." + std::to_string(patch) +
                                      " has known security faults; install 4.3.3 or later"};
}

// A frame whose memory libzmq reads until it is sent, and then lets us free on a thread of its own.
// Its queues order the threads; the flag says the same to the thread sanitizer, which cannot look
// into libzmq.
struct OwnedFrame {
  std::string bytes;
  std::atomic<bool> handed_over{false};
};

void delete_frame(void*, void* frame) {
  auto* owned = static_cast<OwnedFrame*>(frame);
  static_cast<void>(owned->handed_over.load(std::memory_order_acquire));
  delete owned;
}

}  // namespace

Error error_of(const zmq::error_t& error, const std::string& doing) {
  const Code code = error.num() == EINVAL || error.num() == EPROTONOSUPPORT ||
                            error.num() == ENAMETOOLONG || error.num() == ENOCOMPATPROTO
                        ? Code::invalid_argument
                    : error.num() == EACCES || error.num() == EPERM ? Code::permission_denied
                    : error.num() == ETERM                          ? Code::stopped
                                                                    : Code::unavailable;
  return {code, doing + ": " + error.what()};
}

Result<std::unique_ptr<zmq::context_t>> open_context() {
  if (Result<void> ok = check_version(); !ok) return ok.error();
  try {
    auto context = std::make_unique<zmq::context_t>();
    context->set(zmq::ctxopt::max_sockets, kSocketsMax);
    return context;
  } catch (const zmq::error_t& error) {
    return error_of(error, "cannot start ZeroMQ");
  }
}

Result<std::shared_ptr<zmq::context_t>> shared_context() {
  // Clients are made on any thread. The last one to go takes the context's threads with it.
  static std::mutex mutex;
  static std::weak_ptr<zmq::context_t> current JACK_GUARDED_BY(mutex);
  const std::lock_guard lock(mutex);
  std::shared_ptr<zmq::context_t> context = current.lock();
  if (context != nullptr) return context;
  Result<std::unique_ptr<zmq::context_t>> opened = open_context();
  if (!opened) return std::move(opened).error();
  context = *std::move(opened);
  current = context;
  return context;
}

Result<zmq::socket_t> make_socket(zmq::context_t& context, zmq::socket_type type) {
  try {
    zmq::socket_t socket(context, type);
    harden(socket, type);
    return socket;
  } catch (const zmq::error_t& error) {
    return error_of(error, "cannot make a socket");
  }
}

Result<Monitor> Monitor::open(zmq::context_t& context, zmq::socket_t& socket, int events) {
  static std::atomic<std::uint64_t> number{0};
  const std::string address = "inproc://jack-monitor-" + std::to_string(++number);
  Result<zmq::socket_t> pair = make_socket(context, zmq::socket_type::pair);
  if (!pair) return std::move(pair).error();
  Monitor monitor;
  monitor.events_ = *std::move(pair);
  try {
    // Without a bound: libzmq's own thread would wait where it is reached. Events are few.
    monitor.events_.set(zmq::sockopt::rcvhwm, 0);
    if (zmq_socket_monitor(socket.handle(), address.c_str(), events) != 0) throw zmq::error_t();
    monitor.watched_ = socket.handle();
    monitor.events_.connect(address);
    return monitor;
  } catch (const zmq::error_t& error) {
    return error_of(error, "cannot watch a socket");
  }
}

Monitor::~Monitor() {
  if (watched_ != nullptr) zmq_socket_monitor(watched_, nullptr, 0);
}

MonitorEvent Monitor::next() {
  zmq::message_t part;
  if (watched_ == nullptr || !receive(events_, part)) return {};
  // 16 bits of event and 32 of value in this host's order (zmq_socket_monitor), then the address.
  std::uint16_t event = 0;
  std::uint32_t value = 0;
  if (part.size() == sizeof event + sizeof value) {
    std::memcpy(&event, part.data(), sizeof event);
    std::memcpy(&value, part.data<char>() + sizeof event, sizeof value);
  }
  while (part.more() && receive(events_, part)) {
  }
  return {event, static_cast<int>(value)};
}

Sent send(zmq::socket_t& socket, zmq::message_t& message, bool more) {
  const int flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0);
  while (zmq_msg_send(message.handle(), socket.handle(), flags) < 0) {
    switch (zmq_errno()) {
      case EINTR: continue;
      case EAGAIN: return Sent::not_now;
      case EHOSTUNREACH: return Sent::unreachable;
      default: return Sent::closed;
    }
  }
  return Sent::done;
}

bool receive(zmq::socket_t& socket, zmq::message_t& message) {
  while (zmq_msg_recv(message.handle(), socket.handle(), ZMQ_DONTWAIT) < 0) {
    if (zmq_errno() != EINTR) return false;
  }
  return true;
}

zmq::message_t to_message(std::string frame) {
  if (frame.size() <= kCopiedBytesMax) return zmq::message_t(frame.data(), frame.size());
  auto owned = std::make_unique<OwnedFrame>();
  owned->bytes = std::move(frame);
  zmq::message_t message(owned->bytes.data(), owned->bytes.size(), delete_frame, owned.get());
  owned->handed_over.store(true, std::memory_order_release);
  static_cast<void>(owned.release());  // delete_frame() has it now
  return message;
}

}  // namespace jack::wire

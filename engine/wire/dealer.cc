#include "engine/wire/dealer.h"

#include <algorithm>
#include <array>
#include <utility>

#include <poll.h>

namespace jack::wire {
namespace {

constexpr int kEvents = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                        ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                        ZMQ_EVENT_DISCONNECTED;

// Where one side wants keys and the other does not, both notice and hang up. Who is late sees only
// that, and so does who has another key of the engine: this often in a row, it is no accident.
constexpr int kHangUpsMax = 3;

// Trying a socket file costs nothing, and its engine is usually back in a moment.
constexpr int kIpcReconnectMaxMs = 1000;

constexpr std::chrono::milliseconds kSleepMax = std::chrono::hours{1};

}  // namespace

Result<Dealer> Dealer::open(Route route) {
  Result<zmq::socket_t> socket = make_socket(*route.context, zmq::socket_type::dealer);
  if (!socket) return std::move(socket).error();
  Dealer dealer(std::move(route), *std::move(socket));
  if (!dealer.route_.in_process()) {
    Result<Monitor> monitor = Monitor::open(*dealer.route_.context, dealer.socket_, kEvents);
    if (!monitor) return std::move(monitor).error();
    dealer.monitor_ = *std::move(monitor);
    dealer.monitor_file_ = dealer.monitor_.descriptor();
  }
  dealer.socket_file_ = dealer.socket_.get(zmq::sockopt::fd);
  if (Result<void> ok = dealer.connect(); !ok) return ok.error();
  return dealer;
}

Result<void> Dealer::connect() {
  try {
    if (route_.keys) {
      socket_.set(zmq::sockopt::curve_serverkey, route_.engine_key);
      socket_.set(zmq::sockopt::curve_publickey, route_.keys->public_key);
      socket_.set(zmq::sockopt::curve_secretkey, route_.keys->secret_key);
    }
    const bool ipc = route_.endpoint.starts_with("ipc://");
    if (ipc) socket_.set(zmq::sockopt::reconnect_ivl_max, kIpcReconnectMaxMs);
    socket_.set(zmq::sockopt::ipv6, route_.endpoint.find('[') != std::string::npos);
    socket_.connect(route_.endpoint);
    connected_ = route_.in_process();
    return {};
  } catch (const zmq::error_t& error) {
    return error_of(error, "cannot connect to " + route_.endpoint);
  }
}

void Dealer::look_up_again() {
  const std::string endpoint = look_up(route_);
  if (endpoint == route_.endpoint) return;
  zmq_disconnect(socket_.handle(), route_.endpoint.c_str());
  route_.endpoint = endpoint;
  // An endpoint that is none leaves us disconnected until the next look.
  static_cast<void>(connect().has_value());
}

// libzmq's own poll asks each socket several times, each time by a system call. A socket's
// descriptor becomes readable when there is something to ask for, provided that the socket has been
// asked, until there was nothing, after whatever else was done with it. So everything here asks
// first and then sleeps.
Dealer::News Dealer::wait(std::chrono::milliseconds timeout, Wake* wake) {
  if (!monitor_ && !std::exchange(greeted_, true)) return News::connected;
  if (const std::optional<News> news = take_frame()) return *news;
  if (more_events_) {
    if (const std::optional<News> news = take_event()) return *news;
  }
  std::array<pollfd, 3> files{{{socket_file_, POLLIN, 0},
                               {monitor_file_, POLLIN, 0},  // −1, where there is none, is skipped
                               {wake == nullptr ? -1 : wake->descriptor(), POLLIN, 0}}};
  const auto most = std::min(timeout, kSleepMax);
  if (::poll(files.data(), files.size(), static_cast<int>(most.count())) <= 0) return News::nothing;
  if (files[1].revents != 0) {
    if (const std::optional<News> news = take_event()) return *news;
  }
  if (files[0].revents != 0) {
    if (const std::optional<News> news = take_frame()) return *news;
  }
  if (files[2].revents != 0 && wake->clear()) return News::woken;
  return News::nothing;
}

std::optional<Dealer::News> Dealer::take_frame() {
  if (receive(socket_, frame_)) return News::frame;
  if (zmq_errno() == ETERM) return News::closed;
  return std::nullopt;
}

std::optional<Dealer::News> Dealer::take_event() {
  if (!monitor_) return std::nullopt;
  more_events_ = true;
  for (;;) {
    const MonitorEvent event = monitor_.next();
    switch (event.event) {
      case 0: more_events_ = false; return std::nullopt;
      case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        connected_ = true;
        hang_ups_ = 0;
        return News::connected;
      case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        return on_refused(
            "the engine does not know this key; let it in there with `jack keys allow`");
      case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        if (event.value != ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH) continue;
        return on_key_mismatch();
      case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        if (!route_.endpoint.starts_with("tcp://") || ++hang_ups_ < kHangUpsMax) continue;
        return on_key_mismatch();
      case ZMQ_EVENT_DISCONNECTED:
        if (!std::exchange(connected_, false)) continue;
        return News::disconnected;
      default: continue;
    }
  }
}

Dealer::News Dealer::on_key_mismatch() {
  return on_refused(route_.keys ? "the engine asks for no keys at this address, or its key is not "
                                  "the one given (--engine-key-file)"
                                : "the engine asks for keys at this address: name this side's "
                                  "secret one and the engine's public one (--key-file, "
                                  "--engine-key-file)");
}

Dealer::News Dealer::on_refused(std::string message) {
  refusal_ = {Code::unauthenticated, route_.endpoint + ": " + std::move(message)};
  return News::refused;
}

int Dealer::events() {
  int events = 0;
  std::size_t size = sizeof events;
  return zmq_getsockopt(socket_.handle(), ZMQ_EVENTS, &events, &size) == 0 ? events : 0;
}

Sent Dealer::send(std::string frame) {
  zmq::message_t message = to_message(std::move(frame));
  const Sent sent = wire::send(socket_, message);
  // A send looks for a new connection only now and then; asking for events always does.
  if (sent != Sent::not_now || (events() & ZMQ_POLLOUT) == 0) return sent;
  return wire::send(socket_, message);
}

}  // namespace jack::wire

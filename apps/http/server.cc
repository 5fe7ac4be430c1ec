#include "apps/http/server.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>

#include "apps/http/address.h"
#include "apps/http/byte_stream.h"
#include "apps/http/connection.h"
#include "engine/assert.h"
#include "engine/guarded_by.h"
#include "engine/thread_name.h"

namespace jack::http {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;

// Connections beyond the limit that are being told so.
constexpr std::size_t kTurnedAwayMax = 64;

// How long accepting rests when the process has no descriptors left.
constexpr milliseconds kAcceptRest{100};

std::string text_of(const tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" +
         std::to_string(endpoint.port());
}

Error cannot_listen(const std::string& address, const error_code& error) {
  const Code code =
      error == boost::asio::error::access_denied ? Code::permission_denied : Code::unavailable;
  return {code, "cannot listen on " + address + ": " + error.message()};
}

Result<tcp::acceptor> listen(boost::asio::io_context& io, const std::string& address) {
  const Result<Address> parsed = parse_address(address);
  if (!parsed) return parsed.error();
  const tcp::endpoint endpoint(parsed->ip, parsed->port);
  tcp::acceptor acceptor(io);
  error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) ::fcntl(acceptor.native_handle(), F_SETFD, FD_CLOEXEC);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && parsed->ip.is_v6()) {
    acceptor.set_option(boost::asio::ip::v6_only(true), error);
  }
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(boost::asio::socket_base::max_listen_connections, error);
  if (error) return cannot_listen(address, error);
  return acceptor;
}

// What cannot be set is not needed for the connection to work.
void prepare(tcp::socket& socket, const HttpLimits& limits) {
  error_code ignored;
  ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
  socket.non_blocking(true, ignored);
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(boost::asio::socket_base::keep_alive(true), ignored);
  // What is under way to the client is not counted in this (tcp(7)), so it slows nobody down.
  const int unsent = static_cast<int>(limits.kernel_bytes_max);
  ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
}

milliseconds sweep_period(const HttpLimits& limits) {
  const milliseconds shortest = std::min({limits.header_time, limits.request_time, limits.idle_time,
                                          limits.write_stall, limits.linger});
  return std::clamp(shortest / 16, milliseconds{1}, milliseconds{250});
}

}  // namespace

class Server::Impl {
 public:
  explicit Impl(ServerOptions options)
      : options_(std::move(options)), common_(io_, options_), sweep_timer_(io_), stop_timer_(io_) {}

  Result<void> open();
  void start();
  void stop(milliseconds grace);

  const std::vector<std::string>& addresses() const { return addresses_; }
  void post(std::function<void()> act) { boost::asio::post(io_, std::move(act)); }
  void call_when_readable(int descriptor, std::function<void()> act);
  void stop_calling(int descriptor);
  void call_every(milliseconds period, std::function<void()> act);
  void call_after(milliseconds delay, std::function<void()> act);
  const Counts& counts() const { return common_.counts; }

 private:
  struct Watched {
    boost::asio::posix::stream_descriptor descriptor;
    std::function<void()> act;
  };
  struct Period {
    boost::asio::steady_timer timer;
    milliseconds period;
    std::function<void()> act;
  };
  struct Listener {
    Listener(tcp::acceptor opened, bool at_loopback, boost::asio::io_context& io)
        : acceptor(std::move(opened)), is_loopback(at_loopback), rest(io) {}
    tcp::acceptor acceptor;
    const bool is_loopback;
    boost::asio::steady_timer rest;
    bool resting = false;
  };

  void run();
  void accept(Listener& listener);
  void on_accept(Listener& listener, const error_code& error, tcp::socket socket);
  void take_rest(Listener& listener, const error_code& error);
  void add(tcp::socket socket, bool at_loopback);
  void sweep();
  void wait_for(const std::shared_ptr<Watched>& watched);
  void wait_for(Period& period);
  void begin_stop(milliseconds grace);
  void cut_all();

  const ServerOptions options_;
  std::vector<std::string> addresses_;
  boost::asio::io_context io_{1};
  Common common_;
  std::optional<Tls> tls_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  boost::asio::steady_timer sweep_timer_;
  boost::asio::steady_timer stop_timer_;
  bool sweeping_ = false;
  std::vector<std::shared_ptr<Watched>> watched_;
  std::vector<std::unique_ptr<Period>> periods_;
  std::mutex stop_mutex_;  // whoever stops may do so from several threads
  std::thread thread_ JACK_GUARDED_BY(stop_mutex_);
};

Result<void> Server::Impl::open() {
  if (options_.listen.empty()) {
    return Error{Code::invalid_argument, "a server needs an address to listen on"};
  }
  if (options_.tls) {
    Result<Tls> tls = Tls::open(*options_.tls);
    if (!tls) return tls.error();
    tls_ = std::move(*tls);
  }
  for (const std::string& address : options_.listen) {
    Result<tcp::acceptor> acceptor = listen(io_, address);
    if (!acceptor) return acceptor.error();
    error_code ignored;
    addresses_.push_back(text_of(acceptor->local_endpoint(ignored)));
    listeners_.push_back(
        std::make_unique<Listener>(std::move(*acceptor), is_loopback(address), io_));
  }
  return {};
}

void Server::Impl::start() {
  for (const auto& listener : listeners_) accept(*listener);
  thread_ = std::thread([this] { run(); });
}

void Server::Impl::run() {
  name_thread("jack-http");
  // OpenSSL writes with write(). A blocked signal stays with this thread for ever and does nothing.
  sigset_t pipe{};
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  common_.thread = std::this_thread::get_id();
  const auto work = boost::asio::make_work_guard(io_);
  io_.run();
}

void Server::Impl::accept(Listener& listener) {
  listener.acceptor.async_accept([this, &listener](const error_code& error, tcp::socket socket) {
    on_accept(listener, error, std::move(socket));
  });
}

void Server::Impl::on_accept(Listener& listener, const error_code& error, tcp::socket socket) {
  if (!listener.acceptor.is_open()) return;
  if (error) {
    take_rest(listener, error);
    return;
  }
  listener.resting = false;
  add(std::move(socket), listener.is_loopback);
  accept(listener);
}

// Usually no descriptor is left. What waits in the kernel's queue would be offered again at once.
void Server::Impl::take_rest(Listener& listener, const error_code& error) {
  if (!std::exchange(listener.resting, true)) {
    common_.log(LogLevel::warning, "HTTP: cannot accept connections: " + error.message() +
                                       "; waiting for others to end");
  }
  listener.rest.expires_after(kAcceptRest);
  listener.rest.async_wait([this, &listener](const error_code& cancelled) {
    if (!cancelled && listener.acceptor.is_open()) accept(listener);
  });
}

void Server::Impl::add(tcp::socket socket, bool at_loopback) {
  prepare(socket, options_.limits);
  const bool full =
      common_.connections.size() - common_.turned_away >= options_.limits.connections_max;
  if (full && (tls_ || common_.turned_away >= kTurnedAwayMax)) {
    Counts::add(common_.counts.too_many_connections);
    return;
  }
  auto stream = tls_ ? tls_->stream(std::move(socket)) : plain_stream(std::move(socket));
  if (!stream) return;
  auto connection = std::make_shared<Connection>(common_, std::move(stream),
                                                 Entrance{tls_.has_value(), at_loopback});
  common_.add(connection);
  if (!std::exchange(sweeping_, true)) sweep();
  if (full) {
    connection->turn_away();
  } else {
    connection->start();
  }
}

// One timer for all connections: to move one for every request would cost more than the request.
void Server::Impl::sweep() {
  sweep_timer_.expires_after(sweep_period(options_.limits));
  sweep_timer_.async_wait([this](const error_code& cancelled) {
    if (cancelled) return;
    const auto now = std::chrono::steady_clock::now();
    // From the back, because who is closed is replaced by the last one.
    for (std::size_t i = common_.connections.size(); i > 0; --i) {
      if (i <= common_.connections.size()) common_.connections[i - 1]->on_time(now);
    }
    sweeping_ = !common_.connections.empty();
    if (sweeping_) sweep();
  });
}

void Server::Impl::call_when_readable(int descriptor, std::function<void()> act) {
  boost::asio::post(io_, [this, descriptor, act = std::move(act)]() mutable {
    watched_.push_back(std::make_shared<Watched>(
        Watched{boost::asio::posix::stream_descriptor(io_, descriptor), std::move(act)}));
    wait_for(watched_.back());
  });
}

void Server::Impl::stop_calling(int descriptor) {
  JACK_ASSERT(std::this_thread::get_id() == common_.thread);
  const auto found = std::find_if(watched_.begin(), watched_.end(), [&](const auto& watched) {
    return watched->descriptor.native_handle() == descriptor;
  });
  if (found == watched_.end()) return;
  (*found)->descriptor.release();
  watched_.erase(found);
}

// It may be gone when the handler of a cancelled wait runs, and act() may have ended it.
void Server::Impl::wait_for(const std::shared_ptr<Watched>& watched) {
  watched->descriptor.async_wait(
      boost::asio::posix::stream_descriptor::wait_read,
      [this, weak = std::weak_ptr<Watched>(watched)](const error_code& error) {
        const std::shared_ptr<Watched> ready = weak.lock();
        if (error || !ready) return;
        ready->act();
        if (ready->descriptor.is_open()) wait_for(ready);
      });
}

void Server::Impl::call_every(milliseconds period, std::function<void()> act) {
  boost::asio::post(io_, [this, period, act = std::move(act)]() mutable {
    periods_.push_back(
        std::make_unique<Period>(Period{boost::asio::steady_timer(io_), period, std::move(act)}));
    wait_for(*periods_.back());
  });
}

void Server::Impl::call_after(milliseconds delay, std::function<void()> act) {
  JACK_ASSERT(std::this_thread::get_id() == common_.thread);
  const auto timer = std::make_shared<boost::asio::steady_timer>(io_, delay);
  timer->async_wait([timer, act = std::move(act)](const error_code& error) {
    if (!error) act();
  });
}

void Server::Impl::wait_for(Period& period) {
  period.timer.expires_after(period.period);
  period.timer.async_wait([this, &period](const error_code& error) {
    if (error) return;
    period.act();
    wait_for(period);
  });
}

void Server::Impl::stop(milliseconds grace) {
  const std::lock_guard lock(stop_mutex_);
  if (!thread_.joinable()) return;
  boost::asio::post(io_, [this, grace] { begin_stop(grace); });
  thread_.join();
  for (const auto& watched : watched_) watched->descriptor.release();  // its owner closes it
}

void Server::Impl::begin_stop(milliseconds grace) {
  common_.stopping = true;
  error_code ignored;
  for (const auto& listener : listeners_) {
    listener->acceptor.close(ignored);
    listener->rest.cancel();
  }
  for (const auto& connection : std::vector(common_.connections)) connection->stop_gently();
  if (common_.connections.empty()) {
    io_.stop();
    return;
  }
  common_.on_empty = [this] { io_.stop(); };
  stop_timer_.expires_after(grace);
  stop_timer_.async_wait([this](const error_code&) { cut_all(); });
}

void Server::Impl::cut_all() {
  while (!common_.connections.empty()) {
    const std::shared_ptr<Connection> last = common_.connections.back();
    last->cut();
  }
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() { stop(milliseconds{0}); }

Result<std::unique_ptr<Server>> Server::open(ServerOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  if (Result<void> opened = impl->open(); !opened) return opened.error();
  impl->start();
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

const std::vector<std::string>& Server::addresses() const { return impl_->addresses(); }

void Server::post(std::function<void()> act) { impl_->post(std::move(act)); }

void Server::call_when_readable(int descriptor, std::function<void()> act) {
  impl_->call_when_readable(descriptor, std::move(act));
}

void Server::stop_calling(int descriptor) { impl_->stop_calling(descriptor); }

void Server::call_every(milliseconds period, std::function<void()> act) {
  impl_->call_every(period, std::move(act));
}

void Server::call_after(milliseconds delay, std::function<void()> act) {
  impl_->call_after(delay, std::move(act));
}

void Server::stop(milliseconds grace) { impl_->stop(grace); }

ServerCounters Server::counters() const {
  const Counts& counts = impl_->counts();
  const auto read = [](const Counts::Count& count) {
    return count.load(std::memory_order_relaxed);
  };
  ServerCounters counters;
  counters.connections = read(counts.connections);
  counters.connections_total = read(counts.connections_total);
  counters.requests = read(counts.requests);
  counters.not_admitted = read(counts.not_admitted);
  counters.malformed = read(counts.malformed);
  counters.too_large = read(counts.too_large);
  counters.too_slow = read(counts.too_slow);
  counters.too_many_connections = read(counts.too_many_connections);
  counters.too_many_bodies = read(counts.too_many_bodies);
  counters.stalled = read(counts.stalled);
  counters.tls_failures = read(counts.tls_failures);
  return counters;
}

}  // namespace jack::http

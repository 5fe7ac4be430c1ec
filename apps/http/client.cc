#include "apps/http/client.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <exception>
#include <future>
#include <limits>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <jack_engine/version.h>

#include "apps/http/byte_stream.h"
#include "apps/text/duration.h"

namespace jack::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;
using SteadyTime = std::chrono::steady_clock::time_point;

constexpr std::size_t kReadBytes = 64 * 1024;

Error unavailable(std::string message) { return {Code::unavailable, std::move(message)}; }

// --- Looking up the host ---

struct LookUp {
  error_code failed;
  std::vector<tcp::endpoint> found;
};

LookUp look_up(const BaseUrl& url) {
  asio::io_context io;
  tcp::resolver resolver(io);
  LookUp answer;
  for (const auto& entry : resolver.resolve(url.host, std::to_string(url.port),
                                            tcp::resolver::numeric_service, answer.failed)) {
    answer.found.push_back(entry.endpoint());
  }
  return answer;
}

// Nothing at the deadline. Nobody can tell getaddrinfo() to stop, so it has a thread of its own,
// which is left behind if it takes too long and owns all that it uses.
std::optional<LookUp> look_up_until(SteadyTime deadline, const BaseUrl& url) {
  std::packaged_task<LookUp()> task([url] { return look_up(url); });
  std::future<LookUp> answer = task.get_future();
  std::thread(std::move(task)).detach();
  if (answer.wait_until(deadline) != std::future_status::ready) return std::nullopt;
  return answer.get();
}

// OpenSSL's writes raise SIGPIPE where the peer has left.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~WithoutSigpipe() {
    const timespec at_once{};
    while (sigtimedwait(&pipe_, nullptr, &at_once) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

 private:
  sigset_t pipe_{};
  sigset_t before_{};
};

// --- One exchange ---

class Caller {
 public:
  Caller(const BaseUrl& url, const Call& request, const CallLimits& limits)
      : url_(url), request_(request), limits_(limits) {}

  Result<Response> run();

 private:
  using Parser = beast::http::response_parser<beast::http::string_body>;

  Result<void> connect(const std::vector<tcp::endpoint>& addresses);
  error_code connect_to(tcp::socket& socket, const tcp::endpoint& address, SteadyTime until);
  Result<void> shake_hands();
  std::optional<std::string> send();
  Result<Response> receive(const std::optional<std::string>& unsent);

  // Waits as the step says; false: not until then.
  static bool wait(int socket, Step::Outcome outcome, SteadyTime until);
  // Takes a step until it is more than waiting; nothing at the deadline.
  template <typename Take>
  std::optional<Step> finish(Take take) {
    for (;;) {
      const Step step = take();
      const bool waits = step.outcome == Step::Outcome::wait_readable ||
                         step.outcome == Step::Outcome::wait_writable;
      if (!waits) return step;
      if (!wait(stream_->socket().native_handle(), step.outcome, deadline_)) return std::nullopt;
    }
  }

  std::string head() const;
  std::string too_late() const {
    return fmt::format("{} did not answer within {}", address_,
                       app::short_text(Duration{limits_.time.count()}));
  }
  // Once the request may have arrived.
  Error unfinished(const std::string& message) const {
    if (is_safe(request_.method)) return unavailable(message);
    return unavailable(message + "; it may have taken the request all the same");
  }

  const BaseUrl& url_;
  const Call& request_;
  const CallLimits& limits_;
  const std::string address_ = address_of(url_);
  const SteadyTime deadline_ = std::chrono::steady_clock::now() + limits_.time;
  const WithoutSigpipe without_sigpipe_;
  asio::io_context io_;
  std::unique_ptr<ByteStream> stream_;
};

bool Caller::wait(int socket, Step::Outcome outcome, SteadyTime until) {
  pollfd file{socket,
              static_cast<short>(outcome == Step::Outcome::wait_readable ? POLLIN : POLLOUT), 0};
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    const int ready =
        ::poll(&file, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return true;  // the next step says what is wrong
  }
}

Result<Response> Caller::run() {
  const std::optional<LookUp> host = look_up_until(deadline_, url_);
  if (!host) return unavailable(too_late());
  if (host->failed || host->found.empty()) {
    return unavailable(fmt::format("{} cannot be reached: the host's name is not known ({})",
                                   address_, host->failed.message()));
  }
  if (Result<void> connected = connect(host->found); !connected) return connected.error();
  if (Result<void> ready = shake_hands(); !ready) return ready.error();
  // Even if not all of it could be sent: a server may refuse a request before it has read it.
  return receive(send());
}

Result<void> Caller::connect(const std::vector<tcp::endpoint>& addresses) {
  error_code failed;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    // One that is silent leaves the others their share of the time.
    const SteadyTime now = std::chrono::steady_clock::now();
    tcp::socket socket(io_);
    failed = connect_to(socket, addresses[i],
                        now + (deadline_ - now) / static_cast<int>(addresses.size() - i));
    if (failed) continue;
    stream_ = url_.tls ? tls_client_stream(std::move(socket), url_.host)
                       : plain_stream(std::move(socket));
    if (stream_) return {};
    return unavailable(fmt::format("no TLS is possible with '{}'", url_.host));
  }
  if (failed == asio::error::timed_out) return unavailable(too_late());
  return unavailable(fmt::format("{} cannot be reached: {}", address_, failed.message()));
}

error_code Caller::connect_to(tcp::socket& socket, const tcp::endpoint& address, SteadyTime until) {
  error_code failed;
  socket.open(address.protocol(), failed);
  if (!failed) socket.native_non_blocking(true, failed);
  if (failed) return failed;
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  if (::connect(socket.native_handle(), address.data(), static_cast<socklen_t>(address.size())) ==
      0) {
    return {};
  }
  if (errno != EINPROGRESS && errno != EINTR) {
    return {errno, boost::system::system_category()};
  }
  if (!wait(socket.native_handle(), Step::Outcome::wait_writable, until)) {
    return asio::error::timed_out;
  }
  int outcome = 0;
  socklen_t size = sizeof outcome;
  ::getsockopt(socket.native_handle(), SOL_SOCKET, SO_ERROR, &outcome, &size);
  return {outcome, boost::system::system_category()};
}

Result<void> Caller::shake_hands() {
  const std::optional<Step> step = finish([this] { return stream_->handshake(); });
  if (!step) return unavailable(too_late());
  if (step->outcome == Step::Outcome::done) return {};
  return unavailable(fmt::format("no TLS with {}: {}", address_, stream_->failure()));
}

// Nothing: all was sent. Else why not.
std::optional<std::string> Caller::send() {
  const std::string head_text = head();
  std::string_view head = head_text;
  std::string_view body = request_.body;
  while (!head.empty() || !body.empty()) {
    const std::optional<Step> step = finish([&] { return stream_->write(head, body); });
    if (!step) return too_late();
    if (step->outcome != Step::Outcome::done) {
      return fmt::format("the connection to {} failed: {}", address_, stream_->failure());
    }
    const std::size_t of_head = std::min(step->bytes, head.size());
    head.remove_prefix(of_head);
    body.remove_prefix(step->bytes - of_head);
  }
  return std::nullopt;
}

Result<Response> Caller::receive(const std::optional<std::string>& unsent) {
  const std::string too_large = address_ + " gave an answer that is too large";
  Parser parser;
  parser.eager(true);
  parser.header_limit(static_cast<std::uint32_t>(limits_.header_bytes_max));
  // Looked at below: Beast 1.74 does not hold its own in all cases, and takes none for 0 in others.
  parser.body_limit(std::numeric_limits<std::uint64_t>::max());
  std::string received;
  while (!parser.is_done()) {
    const std::size_t before = received.size();
    received.resize(before + kReadBytes);
    const std::optional<Step> step =
        finish([&] { return stream_->read(std::span(received).subspan(before)); });
    if (!step) return unfinished(too_late());
    received.resize(before + (step->outcome == Step::Outcome::done ? step->bytes : 0));
    error_code failed;
    if (step->outcome == Step::Outcome::done) {
      received.erase(0, parser.put(asio::buffer(received), failed));
    } else if (unsent || step->outcome == Step::Outcome::failed) {
      return unfinished(
          unsent ? *unsent
                 : fmt::format("the connection to {} failed: {}", address_, stream_->failure()));
    } else if (!parser.got_some()) {
      return unfinished(address_ + " closed the connection without an answer");
    } else {
      parser.put_eof(failed);
      if (failed) return unfinished(address_ + " broke off amid its answer");
    }
    const bool is_short = failed == beast::http::error::need_more;
    if (failed == beast::http::error::header_limit) return unfinished(too_large);
    if (failed && !is_short) {
      return unfinished(
          fmt::format("{} gave an answer that is not HTTP: {}", address_, failed.message()));
    }
    const std::uint64_t announced =
        parser.is_header_done() ? parser.content_length().value_or(0) : 0;
    if (std::max<std::uint64_t>(announced, parser.get().body().size()) > limits_.body_bytes_max) {
      return unfinished(too_large);
    }
  }
  Response response;
  response.status = static_cast<int>(parser.get().result_int());
  for (const auto& field : parser.get()) {
    response.set(std::string(field.name_string()), std::string(field.value()));
  }
  response.body = std::move(parser.get().body());
  return response;
}

std::string Caller::head() const {
  const bool usual_port = url_.port == (url_.tls ? 443 : 80);
  std::string head =
      fmt::format("{} {}{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: jack/{}\r\nConnection: close\r\n",
                  name_of(request_.method), url_.prefix, request_.path,
                  usual_port ? address_.substr(0, address_.rfind(':')) : address_, version());
  for (const Field& field : request_.headers) {
    head += fmt::format("{}: {}\r\n", field.name, field.value);
  }
  if (!is_safe(request_.method))
    head += fmt::format("Content-Length: {}\r\n", request_.body.size());
  return head + "\r\n";
}

}  // namespace

Result<Response> call(const BaseUrl& url, const Call& request, const CallLimits& limits) {
  try {
    return Caller(url, request, limits).run();
  } catch (const std::exception& error) {  // of Boost: no thread, no memory
    return unavailable(fmt::format("{} cannot be called: {}", address_of(url), error.what()));
  }
}

}  // namespace jack::http

// A server on a free port of loopback, and clients of it that send what they are told, byte for
// byte, and wait for at most ten seconds.
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apps/descriptor.h"
#include "apps/http/router.h"
#include "apps/http/server.h"
#include "engine/guarded_by.h"
#include "tests/catch.hpp"

namespace jack::http::test {

inline constexpr std::chrono::seconds kPatience{10};

inline Response text(std::string body, int status = 200) { return {status, {}, std::move(body)}; }

// Waits for an event of the server's thread.
inline bool until(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    ::poll(nullptr, 0, 1);
  }
  return true;
}

struct Answer {
  int status = 0;  // 0: none came
  std::string head;
  std::string body;

  bool has(std::string_view line) const { return head.find(line) != std::string::npos; }
};

class RawClient {
 public:
  // `buffer_bytes`: of the socket for what arrives; 0: the system's choice.
  explicit RawClient(std::uint16_t port, int buffer_bytes = 0) {
    socket_ = app::Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(socket_);
    if (buffer_bytes > 0) {
      ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes);
    }
    const int on = 1;
    ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const timeval patience{kPatience.count(), 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    REQUIRE(::connect(socket_.get(), generic, sizeof address) == 0);
  }

  // Whether all of it went out.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  void end_sending() { ::shutdown(socket_.get(), SHUT_WR); }

  // The next answer, with a body as its head says; `to_head`: that of HEAD, which has none.
  Answer read(bool to_head = false) {
    Answer answer;
    answer.head = take_through("\r\n\r\n");
    if (answer.head.size() < 12) return answer;
    answer.status = std::stoi(answer.head.substr(9, 3));
    if (to_head || answer.status < 200 || answer.status == 204) return answer;
    if (answer.has("Transfer-Encoding: chunked")) {
      answer.body = take_chunks();
    } else if (const std::size_t at = answer.head.find("Content-Length: ");
               at != std::string::npos) {
      answer.body = take(std::stoul(answer.head.substr(at + 16)));
    } else {
      answer.body = rest();
    }
    return answer;
  }

  Answer ask(std::string_view bytes) {
    send(bytes);
    return read();
  }

  // All until the server closes.
  std::string rest() {
    while (receive()) {
    }
    return std::exchange(buffer_, {});
  }

  // The server has closed, and sent nothing before.
  bool closed() { return rest().empty() && !timed_out_; }

  bool receive() {
    char bytes[65536];
    const ssize_t got = ::recv(socket_.get(), bytes, sizeof bytes, 0);
    timed_out_ = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    if (got > 0) buffer_.append(bytes, static_cast<std::size_t>(got));
    return got > 0;
  }

  std::string take(std::size_t bytes) {
    while (buffer_.size() < bytes && receive()) {
    }
    const std::size_t taken = std::min(bytes, buffer_.size());
    std::string part = buffer_.substr(0, taken);
    buffer_.erase(0, taken);
    return part;
  }

  std::string take_through(std::string_view end) {
    std::size_t at = 0;
    while ((at = buffer_.find(end)) == std::string::npos) {
      if (!receive()) return {};
    }
    return take(at + end.size());
  }

  std::string take_chunks() {
    std::string body;
    while (true) {
      const std::string line = take_through("\r\n");
      std::size_t size = 0;
      if (std::from_chars(line.data(), line.data() + line.size(), size, 16).ec != std::errc()) {
        return "broken chunk after: " + body;
      }
      body += take(size);
      if (take(2) != "\r\n") return "broken chunk after: " + body;
      if (size == 0) return body;
    }
  }

  int descriptor() const { return socket_.get(); }

 private:
  app::Descriptor socket_;
  std::string buffer_;
  bool timed_out_ = false;
};

// Serves "/echo" (the body), "/hello", "/hold" (until release()), "/throw", "/forget".
class Stage {
 public:
  using Change = std::function<void(ServerOptions&)>;

  explicit Stage(const Change& change = {}) {
    router_.add(Method::get, "/hello", [](Request, Responder to) { to.send(text("hello")); });
    router_.add(Method::post, "/echo",
                [](Request request, Responder to) { to.send(text(std::move(request.body))); });
    router_.add(Method::get, "/hold", [this](Request, Responder to) { hold(std::move(to)); });
    router_.add(Method::get, "/throw",
                [](Request, Responder) { throw std::runtime_error("thrown"); });
    router_.add(Method::get, "/forget", [](Request, Responder) {});
    ServerOptions options;
    options.listen = {"127.0.0.1:0"};
    options.handle = [this](Request request, Responder to) {
      router_.handle(std::move(request), std::move(to));
    };
    options.log = [this](LogLevel, std::string_view line) {
      const std::lock_guard lock(mutex_);
      lines_.emplace_back(line);
    };
    if (change) change(options);
    Result<std::unique_ptr<Server>> opened = Server::open(std::move(options));
    REQUIRE(opened);
    server_ = std::move(*opened);
    const std::string& address = server_->addresses().front();
    port_ = static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
  }

  ~Stage() {
    server_->stop(std::chrono::milliseconds{0});
    held_.clear();
  }

  Server& server() { return *server_; }
  std::uint16_t port() const { return port_; }
  RawClient client(int buffer_bytes = 0) const { return RawClient(port_, buffer_bytes); }
  ServerCounters counters() const { return server_->counters(); }

  // How often a line with this in it was logged.
  std::ptrdiff_t logged(std::string_view part) {
    const std::lock_guard lock(mutex_);
    return std::count_if(lines_.begin(), lines_.end(), [&](const std::string& line) {
      return line.find(part) != std::string::npos;
    });
  }

  std::size_t held() const { return held_count_; }
  int gone() const { return gone_; }
  void release(const std::string& body) {
    server_->post([this, body] {
      for (Responder& to : std::exchange(held_, {})) to.send(text(body));
    });
  }

  // On the server's thread, and waits for it.
  void within(const std::function<void()>& act) {
    std::atomic<bool> done = false;
    server_->post([&] {
      act();
      done = true;
    });
    REQUIRE(until([&] { return done.load(); }));
  }

 private:
  void hold(Responder to) {
    to.on_closed([this] { ++gone_; });
    to.on_stopping([to]() mutable { to.send(text("stopping")); });
    held_.push_back(std::move(to));
    ++held_count_;
  }

  Router router_;
  std::vector<Responder> held_;  // of the server's thread
  std::atomic<std::size_t> held_count_ = 0;
  std::atomic<int> gone_ = 0;
  std::mutex mutex_;
  std::vector<std::string> lines_ JACK_GUARDED_BY(mutex_);
  std::unique_ptr<Server> server_;
  std::uint16_t port_ = 0;
};

}  // namespace jack::http::test

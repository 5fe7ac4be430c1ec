// Measures `jack serve` over HTTP, beside a bare Boost.Beast server that sends every body back, on
// the same machine in the same run. Not a test: it reports and does not judge.
//
//   http_bench JACK [SECONDS [CONNECTIONS]]
//
// Each measurement runs SECONDS (5) on CONNECTIONS (50) kept-alive connections, one request at a
// time on each. Clients and servers share the machine.
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "http_bench: %s\n", what.c_str());
  std::exit(1);
}

// --- The server to compare with ---

class EchoSession : public std::enable_shared_from_this<EchoSession> {
 public:
  explicit EchoSession(tcp::socket socket) : socket_(std::move(socket)) {}

  void read() {
    request_ = {};
    beast::http::async_read(socket_, buffer_, request_,
                            [self = shared_from_this()](error_code error, std::size_t) {
                              if (!error) self->write();
                            });
  }

 private:
  void write() {
    response_ = {beast::http::status::ok, request_.version()};
    response_.keep_alive(request_.keep_alive());
    response_.body() = std::move(request_.body());
    response_.prepare_payload();
    beast::http::async_write(socket_, response_,
                             [self = shared_from_this()](error_code error, std::size_t) {
                               if (!error) self->read();
                             });
  }

  tcp::socket socket_;
  beast::flat_buffer buffer_;
  beast::http::request<beast::http::string_body> request_;
  beast::http::response<beast::http::string_body> response_;
};

void accept_next(tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](error_code error, tcp::socket socket) {
    if (error) return;
    socket.set_option(tcp::no_delay(true));
    std::make_shared<EchoSession>(std::move(socket))->read();
    accept_next(acceptor);
  });
}

// A process that serves; killed at the end.
struct Child {
  ~Child() {
    ::kill(pid, SIGTERM);
    ::waitpid(pid, nullptr, 0);
  }
  pid_t pid = 0;
  std::uint16_t port = 0;
};

std::unique_ptr<Child> start_echo() {
  asio::io_context io(1);
  tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
  auto child = std::make_unique<Child>();
  child->port = acceptor.local_endpoint().port();
  child->pid = ::fork();
  if (child->pid != 0) return child;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  io.notify_fork(asio::io_context::fork_child);
  accept_next(acceptor);
  io.run();
  std::_Exit(0);
}

std::unique_ptr<Child> start_jack(const std::string& program, const std::string& durability,
                                  const std::string& folder) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) fail("no pipe");
  auto child = std::make_unique<Child>();
  child->pid = ::fork();
  if (child->pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // where this process is killed
    ::dup2(ends[1], STDOUT_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    ::execl(program.c_str(), "jack", "serve", "--data-dir", folder.c_str(), "--http", "127.0.0.1:0",
            "--durability", durability.c_str(), "--log-level", "error", "--set",
            "limits.unfinished_per_queue_max=100000000", "--set", "limits.unfinished_max=100000000",
            nullptr);
    std::_Exit(127);
  }
  ::close(ends[1]);
  std::string line;
  for (char c = 0; ::read(ends[0], &c, 1) == 1 && c != '\n';) line += c;
  ::close(ends[0]);
  const std::size_t at = line.rfind(':');
  if (line.find("http://") == line.npos) fail(program + " does not serve: " + line);
  child->port = static_cast<std::uint16_t>(std::strtoul(line.c_str() + at + 1, nullptr, 10));
  return child;
}

// --- The clients ---

// What a client sends next, given what it was answered last; empty: it stops.
using Next = std::function<std::string(std::string_view answer)>;

struct Measured {
  std::uint64_t requests = 0;
  std::uint64_t failed = 0;  // any status but 2xx
  std::vector<double> ms;
};

class ClientConnection : public std::enable_shared_from_this<ClientConnection> {
 public:
  ClientConnection(asio::io_context& io, Next next, Measured& measured)
      : socket_(io), next_(std::move(next)), measured_(measured) {}

  void start(std::uint16_t port) {
    socket_.connect({asio::ip::address_v4::loopback(), port});
    socket_.set_option(tcp::no_delay(true));
    ask({});
  }

 private:
  void ask(std::string_view answer) {
    request_ = next_(answer);
    if (request_.empty()) return;
    since_ = Clock::now();
    asio::async_write(socket_, asio::buffer(request_),
                      [self = shared_from_this()](error_code error, std::size_t) {
                        if (error) fail("write: " + error.message());
                        self->read();
                      });
  }

  void read() {
    asio::async_read_until(socket_, asio::dynamic_buffer(input_), "\r\n\r\n",
                           [self = shared_from_this()](error_code error, std::size_t bytes) {
                             if (error) fail("read: " + error.message());
                             self->on_head(bytes);
                           });
  }

  void on_head(std::size_t head) {
    constexpr std::string_view kLength = "Content-Length: ";
    const std::size_t at = input_.find(kLength);
    const std::size_t body =
        at < head ? std::strtoul(input_.c_str() + at + kLength.size(), nullptr, 10) : 0;
    whole_ = head + body;
    head_ = head;
    const std::size_t rest = whole_ - std::min(whole_, input_.size());
    asio::async_read(socket_, asio::dynamic_buffer(input_), asio::transfer_exactly(rest),
                     [self = shared_from_this()](error_code error, std::size_t) {
                       if (error) fail("read: " + error.message());
                       self->on_answer();
                     });
  }

  void on_answer() {
    ++measured_.requests;
    if (input_.compare(9, 1, "2") != 0) {
      if (measured_.failed++ == 0) std::fprintf(stderr, "%s\n", input_.c_str());
    }
    measured_.ms.push_back(
        std::chrono::duration<double, std::milli>(Clock::now() - since_).count());
    const std::string body = input_.substr(head_, whole_ - head_);
    input_.erase(0, whole_);
    ask(body);
  }

  tcp::socket socket_;
  const Next next_;
  Measured& measured_;
  std::string request_;
  std::string input_;
  std::size_t head_ = 0;
  std::size_t whole_ = 0;
  Clock::time_point since_;
};

std::string post(const std::string& path, std::string_view body) {
  std::string request = "POST " + path + " HTTP/1.1\r\nHost: localhost\r\n";
  request += "Content-Type: application/json\r\nContent-Length: ";
  return request.append(std::to_string(body.size())).append("\r\n\r\n").append(body);
}

double run(const char* what, std::uint16_t port, double seconds, int connections,
           const std::function<Next(int)>& client, double per_request = 1) {
  asio::io_context io(1);
  Measured measured;
  const Clock::time_point begin = Clock::now();
  const Clock::time_point end =
      begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  for (int i = 0; i < connections; ++i) {
    Next next = [inner = client(i), end](std::string_view answer) {
      return Clock::now() < end ? inner(answer) : std::string();
    };
    std::make_shared<ClientConnection>(io, std::move(next), measured)->start(port);
  }
  io.run();
  const double took = std::chrono::duration<double>(Clock::now() - begin).count();
  std::sort(measured.ms.begin(), measured.ms.end());
  const auto at = [&](double part) {
    if (measured.ms.empty()) return 0.0;
    return measured.ms[static_cast<std::size_t>(part * double(measured.ms.size() - 1))];
  };
  const double rate = double(measured.requests) / took;
  std::printf("%-34s %9.0f requests/s %10.0f tasks/s   p50 %6.2f ms   p99 %6.2f ms", what, rate,
              rate * per_request, at(0.5), at(0.99));
  if (measured.failed > 0) std::printf("   %llu FAILED", (unsigned long long)measured.failed);
  std::printf("\n");
  std::fflush(stdout);
  return rate;
}

// A body of 256 bytes in all, whose payload fills it.
std::string task_body() {
  std::string body = R"({"payload_text": ")";
  return body.append(256 - body.size() - 2, 'x') + "\"}";
}

std::string batch_body(int tasks) {
  std::string body = R"({"tasks": [)";
  for (int i = 0; i < tasks; ++i) body += (i > 0 ? "," : "") + task_body();
  return body + "]}";
}

Next always(const std::string& request) {
  return [request](std::string_view) { return request; };
}

// Claims one task and lets it succeed, in turns.
Next worker(const std::string& queue) {
  return [queue, claimed = true](std::string_view answer) mutable {
    claimed = !claimed;
    const auto field = [&](std::string_view name) {
      const std::size_t at = answer.find(name);
      if (at == answer.npos) return std::string();
      const std::size_t begin = at + name.size();
      return std::string(answer.substr(begin, answer.find('"', begin) - begin));
    };
    if (!claimed) return post("/v1/queues/" + queue + "/claim?wait=5s", "");
    const std::string id = field(R"("id":")");
    if (id.empty()) fail("nothing to claim: " + std::string(answer.substr(0, 200)));
    const std::string token = field(R"("token":")");
    return post("/v1/tasks/" + id + "/succeed", R"({"token":")" + token + R"(","result":1})");
  };
}

std::uint64_t resident_kib(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::strtoull(line.c_str() + 6, nullptr, 10);
  }
  return 0;
}

void measure_idle(const Child& server, int connections) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  asio::io_context io(1);
  const auto open = [&](std::vector<tcp::socket>& sockets, int count, const std::string& request) {
    for (int i = 0; i < count; ++i) {
      sockets.emplace_back(io).connect({asio::ip::address_v4::loopback(), server.port});
      asio::write(sockets.back(), asio::buffer(request));
      std::string input;
      asio::read_until(sockets.back(), asio::dynamic_buffer(input), "\r\n\r\n");
    }
  };
  const std::string host = " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  for (const auto& [what, request] :
       {std::pair<const char*, std::string>("kept-alive", "HEAD /healthz" + host),
        {"event streams", "GET /v1/events" + host}}) {
    std::vector<tcp::socket> sockets;
    open(sockets, 100, request);  // what is needed once
    const std::uint64_t before = resident_kib(server.pid);
    open(sockets, connections, request);
    const std::uint64_t after = resident_kib(server.pid);
    std::printf("%-34s %9d connections %8.1f KiB each\n", what, connections,
                double(after - before) / connections);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) fail("usage: http_bench JACK [SECONDS [CONNECTIONS]]");
  const std::string jack = argv[1];
  const double seconds = argc > 2 ? std::strtod(argv[2], nullptr) : 5;
  const int connections = argc > 3 ? std::atoi(argv[3]) : 50;
  const std::string task = post("/v1/queues/bench/tasks", task_body());
  namespace fs = std::filesystem;
  const fs::path folder =
      fs::temp_directory_path() / ("jack-http-bench." + std::to_string(::getpid()));

  double echo_rate = 0;
  {
    const auto echo = start_echo();
    echo_rate = run(
        "echo by Boost.Beast, 256 B", echo->port, seconds, connections,
        [&](int) { return always(task); }, 0);
  }
  for (const std::string durability : {"normal", "full"}) {
    fs::remove_all(folder);
    fs::create_directories(folder);
    fs::permissions(folder, fs::perms::owner_all);
    const auto server = start_jack(jack, durability, folder.string());
    const std::string name = "submit 256 B, " + durability;
    const double rate =
        run(name.c_str(), server->port, seconds, connections, [&](int) { return always(task); });
    std::printf("%-34s %9.2f of the echo\n", "", rate / echo_rate);
    const std::string batch = post("/v1/queues/batch/tasks", batch_body(100));
    run(("submit 100 per request, " + durability).c_str(), server->port, seconds, connections,
        [&](int) { return always(batch); }, 100);
    run(("claim and succeed, " + durability).c_str(), server->port, seconds, connections,
        [&](int) { return worker("bench"); }, 0.5);
  }
  {
    fs::remove_all(folder);
    const auto server = start_jack(jack, "full", folder.string());
    measure_idle(*server, 5000);
  }
  fs::remove_all(folder);
}

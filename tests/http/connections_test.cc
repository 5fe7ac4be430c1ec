// Conversations over one connection: keep-alive, pipelining, versions, who closes when.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>

#include "tests/http/stage.h"

namespace jack::http {
namespace {

using std::chrono::milliseconds;
using test::Answer;
using test::RawClient;
using test::Stage;
using test::text;
using test::until;

const std::string kHello = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string kHold = "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n";

std::string post(const std::string& body, const std::string& fields = {}) {
  return "POST /echo HTTP/1.1\r\nHost: a\r\n" + fields +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// In this process, of which the server is a part.
std::size_t resident_bytes() {
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  unsigned long size = 0;
  unsigned long resident = 0;
  REQUIRE(std::fscanf(file, "%lu %lu", &size, &resident) == 2);
  std::fclose(file);
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

TEST_CASE("a connection serves one request after the other") {
  Stage stage;
  RawClient client = stage.client();
  for (int i = 0; i < 100; ++i) REQUIRE(client.ask(kHello).body == "hello");
  CHECK(stage.counters().requests == 100);
  CHECK(stage.counters().connections_total == 1);
}

TEST_CASE("every answer forbids caches and guessing of types, and has a date") {
  Stage stage;
  RawClient client = stage.client();
  for (const char* path : {"/hello", "/nowhere", "/throw"}) {
    const Answer answer = client.ask(std::string("GET ") + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(answer.has("\r\nCache-Control: no-store\r\n"));
    CHECK(answer.has("\r\nX-Content-Type-Options: nosniff\r\n"));
    CHECK(answer.has(" GMT\r\n"));
  }
}

TEST_CASE("pipelined requests are answered in their order") {
  Stage stage;
  RawClient client = stage.client();
  std::string all;
  for (int i = 0; i < 2000; ++i) all += post(std::to_string(i));
  client.send(all);
  for (int i = 0; i < 2000; ++i) REQUIRE(client.read().body == std::to_string(i));
}

TEST_CASE("a pipelined request waits for the answer before it") {
  Stage stage;
  RawClient client = stage.client();
  client.send(kHold + post("second") + kHold + kHello);
  REQUIRE(until([&] { return stage.held() == 1; }));
  CHECK(stage.counters().requests == 1);

  stage.release("first");
  CHECK(client.read().body == "first");
  CHECK(client.read().body == "second");
  REQUIRE(until([&] { return stage.held() == 2; }));
  stage.release("third");
  CHECK(client.read().body == "third");
  CHECK(client.read().body == "hello");
}

TEST_CASE("a request may come in any pieces") {
  Stage stage;
  RawClient client = stage.client();
  const std::string both = post("a b c", "X: y\r\n") + kHello;
  for (const char byte : both) client.send({&byte, 1});
  CHECK(client.read().body == "a b c");
  CHECK(client.read().body == "hello");
}

TEST_CASE("HTTP/1.0 closes after the answer unless the client asks to keep the connection") {
  Stage stage;
  RawClient once = stage.client();
  const Answer answer = once.ask("GET /hello HTTP/1.0\r\n\r\n");
  CHECK(answer.body == "hello");
  CHECK(answer.has("Connection: close"));
  CHECK(once.closed());

  RawClient kept = stage.client();
  for (int i = 0; i < 2; ++i) {
    const Answer next = kept.ask("GET /hello HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    CHECK(next.body == "hello");
    CHECK(next.has("Connection: keep-alive"));
  }
}

TEST_CASE("Connection: close is obeyed, also in a list") {
  Stage stage;
  for (const char* value :
       {"close", "Close", "keep-alive, close", "x,close", "close\r\nConnection: keep-alive"}) {
    CAPTURE(value);
    RawClient client = stage.client();
    const Answer answer = client.ask(std::string("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: ") +
                                     value + "\r\n\r\n" + kHello);
    CHECK(answer.has("Connection: close"));
    CHECK(client.closed());
  }
}

TEST_CASE("HEAD is answered like GET, without the body") {
  Stage stage;
  RawClient client = stage.client();
  client.send("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n" + kHello);
  const Answer answer = client.read(true);
  CHECK(answer.status == 200);
  CHECK(answer.has("Content-Length: 5\r\n"));
  CHECK(client.read().body == "hello");
}

TEST_CASE("unknown paths, wrong methods and OPTIONS are answered by the router") {
  Stage stage;
  RawClient client = stage.client();
  CHECK(client.ask("GET /hello/ HTTP/1.1\r\nHost: a\r\n\r\n").status == 404);
  const Answer wrong = client.ask("DELETE /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(wrong.status == 405);
  CHECK(wrong.has("\r\nAllow: GET, HEAD, OPTIONS\r\n"));
  const Answer options = client.ask("OPTIONS /echo HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(options.status == 204);
  CHECK(options.has("\r\nAllow: POST, OPTIONS\r\n"));
  CHECK_FALSE(options.has("Content-Length"));
  CHECK(client.ask(kHello).body == "hello");
}

TEST_CASE("a literal segment goes before a parameter, whatever was added first") {
  Router router;
  const auto named = [](std::string name) {
    return [name](Request request, Responder to) {
      std::string body = name;
      for (const Field& field : request.parameters) body += " " + field.name + "=" + field.value;
      to.send(text(body));
    };
  };
  router.add(Method::get, "/{a}/{b}", named("two"));
  router.add(Method::get, "/tasks/{id}", named("task"));
  router.add(Method::get, "/tasks/batch", named("batch"));
  router.add(Method::get, "/", named("root"));
  Stage stage([&](ServerOptions& options) {
    options.handle = [&](Request request, Responder to) {
      router.handle(std::move(request), std::move(to));
    };
  });
  RawClient client = stage.client();
  const auto get = [&](const std::string& path) {
    return client.ask("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
  };
  CHECK(get("/").body == "root");
  CHECK(get("/tasks/batch").body == "batch");
  CHECK(get("/tasks/a%2Fb?c").body == "task id=a/b");
  CHECK(get("/x/y").body == "two a=x b=y");
  CHECK(get("/tasks/").status == 404);
}

TEST_CASE("a client that waits for 100 Continue gets it, and only then") {
  Stage stage;
  RawClient client = stage.client();
  client.send(
      "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  CHECK(client.read().status == 100);
  CHECK(client.ask("ab").body == "ab");

  // The body is there already, or there is none.
  CHECK(client.ask(post("cd", "Expect: 100-continue\r\n")).body == "cd");
  CHECK(client.ask(post("", "Expect: 100-continue\r\n")).status == 200);
  CHECK(client
            .ask("POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n"
                 "Content-Length: 1\r\n\r\ne")
            .body == "e");
}

TEST_CASE("what is not admitted is answered before its body is read") {
  Stage stage([](ServerOptions& options) {
    options.admit = [](const Request& request) {
      Admission admission;
      admission.headers = {{"Vary", "Origin"}};
      if (request.header("x-key") == nullptr) admission.answer = text("no", 401);
      return admission;
    };
  });
  RawClient refused = stage.client();
  const Answer answer = refused.ask(
      "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n");
  CHECK(answer.status == 401);
  CHECK(answer.has("Vary: Origin"));
  CHECK(refused.closed());

  // Without a body the next request can follow.
  RawClient client = stage.client();
  CHECK(client.ask(kHello).status == 401);
  const Answer good = client.ask("GET /hello HTTP/1.1\r\nHost: a\r\nX-Key: k\r\n\r\n");
  CHECK(good.body == "hello");
  CHECK(good.has("Vary: Origin"));
  CHECK(stage.counters().not_admitted == 2);
}

TEST_CASE("a line end in a header's value of an answer does not begin another field") {
  Stage stage([](ServerOptions& options) {
    options.handle = [](Request, Responder to) {
      to.send(std::move(text("").set("X-Quoted", "a\r\nSet-Cookie: b")));
    };
  });
  CHECK(stage.client().ask(kHello).has("\r\nX-Quoted: a  Set-Cookie: b\r\n"));
}

TEST_CASE("a handler that throws or forgets its answer is a 500, and the connection goes on") {
  Stage stage;
  RawClient client = stage.client();
  CHECK(client.ask("GET /throw HTTP/1.1\r\nHost: a\r\n\r\n").status == 500);
  CHECK(stage.logged("thrown") == 1);
  CHECK(client.ask("GET /forget HTTP/1.1\r\nHost: a\r\n\r\n").status == 500);
  CHECK(stage.logged("was not answered") == 1);
  CHECK(client.ask(kHello).body == "hello");
}

TEST_CASE("a long poll learns that its client has gone") {
  Stage stage;
  {
    RawClient client = stage.client();
    client.send(kHold);
    REQUIRE(until([&] { return stage.held() == 1; }));
    CHECK(stage.gone() == 0);
  }
  CHECK(until([&] { return stage.gone() == 1; }));
  CHECK(until([&] { return stage.counters().connections == 0; }));
  stage.release("too late");  // goes nowhere
  CHECK(stage.client().ask(kHello).body == "hello");
}

TEST_CASE("a long poll learns it although the next request is there already") {
  Stage stage;
  {
    RawClient client = stage.client();
    client.send(kHold + kHello);
    REQUIRE(until([&] { return stage.held() == 1; }));
  }
  CHECK(until([&] { return stage.gone() == 1; }));
}

TEST_CASE("what comes during a long poll is bounded, and served afterwards") {
  Stage stage;
  RawClient client = stage.client();
  client.send(kHold);
  REQUIRE(until([&] { return stage.held() == 1; }));
  std::string many;
  while (many.size() < 100'000) many += kHello;
  client.send(many);
  stage.release("held");
  CHECK(client.read().body == "held");
  for (std::size_t i = 0; i < many.size() / kHello.size(); ++i) {
    REQUIRE(client.read().body == "hello");
  }
}

TEST_CASE("a client that closes only its sending side still gets answers") {
  std::vector<Responder> waiting;
  std::atomic<bool> asked = false;
  Stage stage([&](ServerOptions& options) {
    options.handle = [&](Request, Responder to) {
      waiting.push_back(std::move(to));
      asked = true;
    };
  });
  RawClient client = stage.client();
  client.send(kHello);
  client.end_sending();
  REQUIRE(until([&] { return asked.load(); }));
  stage.within([&] {
    for (Responder& to : std::exchange(waiting, {})) to.send(text("late"));
  });
  CHECK(client.read().body == "late");
  CHECK(client.closed());
}

TEST_CASE("half a request and the end of the connection is no request") {
  Stage stage;
  RawClient client = stage.client();
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab");
  client.end_sending();
  CHECK(client.closed());
  CHECK(stage.counters().requests == 0);
}

TEST_CASE("a large body goes both ways") {
  Stage stage;
  RawClient client = stage.client();
  std::string body(8 * 1024 * 1024, 'x');
  for (std::size_t i = 0; i < body.size(); i += 1000) body[i] = static_cast<char>('a' + i % 26);
  CHECK((client.ask(post(body)).body == body));  // not printed where it fails

  std::string chunks;
  for (std::size_t at = 0; at < body.size(); at += 0x8000) {
    chunks += "8000\r\n" + body.substr(at, 0x8000) + "\r\n";
  }
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks +
              "0\r\n\r\n");
  CHECK((client.read().body == body));
}

TEST_CASE("stopping closes idle connections and lets answers be given") {
  Stage stage;
  RawClient idle = stage.client();
  REQUIRE(idle.ask(kHello).status == 200);
  RawClient busy = stage.client();
  busy.send(kHold);
  REQUIRE(until([&] { return stage.held() == 1; }));

  std::thread stopping([&] { stage.server().stop(test::kPatience); });
  const Answer answer = busy.read();
  CHECK(answer.body == "stopping");
  CHECK(answer.has("Connection: close"));
  CHECK(busy.closed());
  CHECK(idle.closed());
  ::shutdown(busy.descriptor(), SHUT_RDWR);
  stopping.join();
  CHECK(stage.counters().connections == 0);
}

TEST_CASE("what is not answered within the grace is cut") {
  std::vector<Responder> waiting;
  std::atomic<bool> asked = false;
  Stage stage([&](ServerOptions& options) {
    options.handle = [&](Request, Responder to) {
      waiting.push_back(std::move(to));
      asked = true;
    };
  });
  RawClient client = stage.client();
  client.send(kHello);
  REQUIRE(until([&] { return asked.load(); }));

  stage.server().stop(milliseconds{20});
  CHECK(client.closed());
  waiting.front().send(text("too late"));
  waiting.clear();
  stage.server().post([] {});  // goes nowhere
}

TEST_CASE("an address that is taken or wrong is named") {
  Stage stage;
  const auto error_of = [](const std::string& address) {
    ServerOptions options;
    if (!address.empty()) options.listen = {address};
    options.handle = [](Request, Responder) {};
    const auto server = Server::open(std::move(options));
    REQUIRE_FALSE(server);
    return server.error();
  };
  const Error taken = error_of(stage.server().addresses().front());
  CHECK(taken.code == Code::unavailable);
  CHECK(taken.message.find(stage.server().addresses().front()) != std::string::npos);
  CHECK(error_of("192.0.2.1:1").code == Code::unavailable);
  for (const char* bad : {"", "x", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:1x",
                          "localhost:1", "::1:5000", "[127.0.0.1]:1", ":1"}) {
    CAPTURE(bad);
    CHECK(error_of(bad).code == Code::invalid_argument);
  }
}

TEST_CASE("a server listens on several addresses, of either kind") {
  Stage stage([](ServerOptions& options) { options.listen = {"127.0.0.1:0", "[::1]:0"}; });
  REQUIRE(stage.server().addresses().size() == 2);
  CHECK(stage.server().addresses()[1].starts_with("[::1]:"));
}

TEST_CASE("a thousand idle connections and long polls take little memory") {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  Stage stage;
  REQUIRE(stage.client().ask(kHello).status == 200);
  constexpr std::size_t kConnections = 1000;
  std::vector<RawClient> clients;
  clients.reserve(kConnections);

  const std::size_t before = resident_bytes();
  for (std::size_t i = 0; i < kConnections; ++i) {
    clients.push_back(stage.client());
    REQUIRE(clients.back().ask(kHello).status == 200);
  }
  const std::size_t idle = resident_bytes();
  for (RawClient& client : clients) client.send(kHold);
  REQUIRE(until([&] { return stage.held() == kConnections; }));
  const std::size_t holding = resident_bytes();

  std::printf("bytes per connection, client included: idle %zu, in a long poll %zu more\n",
              (idle - std::min(before, idle)) / kConnections,
              (holding - std::min(idle, holding)) / kConnections);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
  CHECK(idle - before < kConnections * 8192);
  CHECK(holding - idle < kConnections * 4096);
#endif
  stage.release("all");
  for (RawClient& client : clients) REQUIRE(client.read().body == "all");
}

}  // namespace jack::http

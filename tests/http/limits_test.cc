// Each limit at the socket: just below, at it, just beyond.
#include <ctime>
#include <string>

#include <fcntl.h>
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

// "Host: a" and lines that together have so many bytes.
std::string get_with_header(std::size_t bytes) {
  const std::string start = "Host: a\r\nX: ";
  return "GET /hello HTTP/1.1\r\n" + start + std::string(bytes - start.size() - 2, 'x') +
         "\r\n\r\n";
}

std::string get_with_fields(std::size_t count) {
  std::string request = "GET /hello HTTP/1.1\r\nHost: a\r\n";
  for (std::size_t i = 1; i < count; ++i) request += "X: y\r\n";
  return request + "\r\n";
}

std::string get_with_target(std::size_t bytes) {
  const std::string path = "/hello?";
  return "GET " + path + std::string(bytes - path.size(), 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n";
}

std::string head_of_post(std::size_t body_bytes) {
  return "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body_bytes) +
         "\r\n\r\n";
}

// Refused, with the connection closed behind it.
void check_refused(RawClient& client, int status) {
  const Answer answer = client.read();
  CHECK(answer.status == status);
  CHECK(answer.has("Connection: close"));
  CHECK(client.closed());
}

Stage::Change limited(const std::function<void(HttpLimits&)>& change) {
  return [change](ServerOptions& options) { change(options.limits); };
}

const std::string kChunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

}  // namespace

TEST_CASE("a header has so many bytes at most") {
  Stage stage;
  const std::size_t most = HttpLimits{}.header_bytes_max;
  RawClient client = stage.client();
  CHECK(client.ask(get_with_header(most - 1)).status == 200);
  CHECK(client.ask(get_with_header(most)).status == 200);
  client.send(get_with_header(most + 1));
  check_refused(client, 431);

  // Nor does a line without an end grow for ever.
  RawClient endless = stage.client();
  endless.send("GET /hello HTTP/1.1\r\nHost: a\r\nX: " + std::string(most + 100, 'x'));
  check_refused(endless, 431);
  CHECK(stage.counters().too_large == 2);
}

TEST_CASE("a header has so many fields at most") {
  Stage stage;
  const std::size_t most = HttpLimits{}.header_fields_max;
  RawClient client = stage.client();
  CHECK(client.ask(get_with_fields(most - 1)).status == 200);
  CHECK(client.ask(get_with_fields(most)).status == 200);
  client.send(get_with_fields(most + 1));
  check_refused(client, 431);
}

TEST_CASE("a target has so many bytes at most") {
  Stage stage;
  const std::size_t most = HttpLimits{}.target_bytes_max;
  RawClient client = stage.client();
  CHECK(client.ask(get_with_target(most - 1)).status == 200);
  CHECK(client.ask(get_with_target(most)).status == 200);
  client.send(get_with_target(most + 1));
  check_refused(client, 414);

  RawClient endless = stage.client();
  endless.send("GET /" + std::string(most + 100, 'x'));
  check_refused(endless, 414);
}

TEST_CASE("a body that is declared too large is refused before it is read") {
  Stage stage(limited([](HttpLimits& limits) { limits.body_bytes_max = 1000; }));
  RawClient client = stage.client();
  CHECK(client.ask(head_of_post(999) + std::string(999, 'x')).body.size() == 999);
  CHECK(client.ask(head_of_post(1000) + std::string(1000, 'x')).body.size() == 1000);
  client.send(head_of_post(1001));  // and no more
  check_refused(client, 413);

  // Not even asked for.
  RawClient patient = stage.client();
  patient.send(
      "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n");
  check_refused(patient, 413);
}

TEST_CASE("a client that sends a body which is refused still reads why") {
  Stage stage;
  RawClient client = stage.client();
  const std::size_t bytes = HttpLimits{}.body_bytes_max + 1;
  client.send(head_of_post(bytes));
  client.send(std::string(4 * 1024 * 1024, 'x'));
  CHECK(client.read().status == 413);
}

TEST_CASE("a body in chunks has the same limit") {
  Stage stage(limited([](HttpLimits& limits) { limits.body_bytes_max = 1000; }));
  RawClient client = stage.client();
  const std::string most = "3e7\r\n" + std::string(999, 'x') + "\r\n";
  CHECK(client.ask(kChunked + most + "0\r\n\r\n").body.size() == 999);
  CHECK(client.ask(kChunked + most + "1\r\ny\r\n0\r\n\r\n").body.size() == 1000);
  client.send(kChunked + most + "2\r\n");
  check_refused(client, 413);
}

TEST_CASE("extensions and trailers of chunks count as header") {
  Stage stage(limited([](HttpLimits& limits) { limits.header_bytes_max = 1000; }));
  // 38 bytes are in the lines of the header.
  const auto extended = [](std::size_t bytes) {
    return kChunked + "1;" + std::string(bytes - 1, 'x') + "\r\ny\r\n0\r\n\r\n";
  };
  const std::size_t left = 1000 - std::string("Host: a\r\nTransfer-Encoding: chunked\r\n").size();
  RawClient client = stage.client();
  CHECK(client.ask(extended(left)).status == 200);
  client.send(extended(left + 1));
  check_refused(client, 431);

  RawClient other = stage.client();
  other.send(kChunked + "0\r\nX: " + std::string(left, 'x') + "\r\n\r\n");
  check_refused(other, 431);
}

TEST_CASE("bodies that arrive at the same time have a limit together") {
  Stage stage(limited([](HttpLimits& limits) { limits.bodies_bytes_max = 100'000; }));
  RawClient first = stage.client();
  first.send(head_of_post(70'000) + std::string(60'000, 'x'));
  RawClient second = stage.client();
  second.send(head_of_post(70'000) + std::string(60'000, 'x'));

  // Whichever of them arrived second is told to come back.
  pollfd both[2] = {{first.descriptor(), POLLIN, 0}, {second.descriptor(), POLLIN, 0}};
  REQUIRE(::poll(both, 2, 10'000) == 1);
  RawClient& refused = both[0].revents != 0 ? first : second;
  RawClient& served = both[0].revents != 0 ? second : first;
  const Answer answer = refused.read();
  CHECK(answer.status == 503);
  CHECK(answer.has("Retry-After: 1"));
  CHECK(stage.counters().too_many_bodies == 1);
  CHECK(served.ask(std::string(10'000, 'x')).body.size() == 70'000);
  CHECK(stage.client().ask(head_of_post(99'999) + std::string(99'999, 'x')).status == 200);
}

TEST_CASE("a request that takes too long is told so") {
  Stage stage(limited([](HttpLimits& limits) {
    limits.header_time = milliseconds{50};
    limits.request_time = milliseconds{100};
  }));
  for (const std::string& part :
       {std::string("G"), std::string("GET /hello HTTP/1.1\r\nHost:"), std::string("\r\n"),
        head_of_post(5), head_of_post(5) + "abcd", kChunked + "1\r\n"}) {
    CAPTURE(part);
    RawClient client = stage.client();
    client.send(part);
    check_refused(client, 408);
  }
  CHECK(stage.counters().too_slow == 6);
}

TEST_CASE("a connection that idles for too long is closed without a word") {
  Stage stage(limited([](HttpLimits& limits) { limits.idle_time = milliseconds{50}; }));
  RawClient never = stage.client();
  CHECK(never.closed());
  RawClient once = stage.client();
  CHECK(once.ask(kHello).status == 200);
  CHECK(once.closed());
  CHECK(stage.counters().too_slow == 0);
}

TEST_CASE("an answer that takes long to come is waited for") {
  Stage stage(limited([](HttpLimits& limits) {
    limits.header_time = limits.request_time = limits.idle_time = milliseconds{20};
  }));
  RawClient client = stage.client();
  client.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
  RawClient clock = stage.client();  // closed after more than the time of all limits
  CHECK(clock.closed());
  REQUIRE(until([&] { return stage.held() == 1; }));
  stage.release("late");
  CHECK(client.read().body == "late");
}

TEST_CASE("a client that does not read its answer is cut") {
  Stage stage([](ServerOptions& options) {
    options.limits.write_stall = milliseconds{50};
    options.handle = [](Request, Responder to) { to.send(text(std::string(32'000'000, 'x'))); };
  });
  RawClient client = stage.client(4096);
  client.send(kHello);
  CHECK(until([&] { return stage.counters().stalled == 1; }));
  CHECK(stage.logged("does not take its answer") == 1);
  CHECK(until([&] { return stage.counters().connections == 0; }));
}

TEST_CASE("a client that reads slowly but steadily is not cut") {
  constexpr std::size_t kBytes = 32'000'000;
  Stage stage([](ServerOptions& options) {
    options.limits.write_stall = milliseconds{400};
    options.handle = [](Request, Responder to) { to.send(text(std::string(kBytes, 'x'))); };
  });
  RawClient client = stage.client();
  client.send(kHello);
  client.take_through("\r\n\r\n");
  std::size_t taken = 0;
  for (int i = 0; i < 20; ++i) {  // for longer than the limit
    taken += client.take(kBytes / 20).size();
    ::poll(nullptr, 0, 30);
  }
  CHECK(taken == kBytes);
  CHECK(stage.counters().stalled == 0);
}

TEST_CASE("one connection too many is told so, and served when another one has gone") {
  Stage stage(limited([](HttpLimits& limits) { limits.connections_max = 2; }));
  RawClient first = stage.client();
  CHECK(first.ask(kHello).status == 200);
  {
    RawClient second = stage.client();
    CHECK(second.ask(kHello).status == 200);
    RawClient third = stage.client();
    const Answer answer = third.read();
    CHECK(answer.status == 503);
    CHECK(answer.has("Retry-After: 1"));
    CHECK(third.closed());
    CHECK(stage.counters().too_many_connections == 1);
  }
  REQUIRE(until([&] { return stage.counters().connections == 1; }));
  CHECK(stage.client().ask(kHello).status == 200);
  CHECK(first.ask(kHello).status == 200);
}

TEST_CASE("when the process has no descriptors left, connections wait and the log says so once") {
  Stage stage;
  RawClient served = stage.client();
  CHECK(served.ask(kHello).status == 200);
  std::vector<app::Descriptor> taken;
  // Only until a few numbers are free below it: the lowest free one decides.
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  rlimit lowered = limit;
  lowered.rlim_cur = static_cast<rlim_t>(served.descriptor() + 16);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &lowered) == 0);
  while (true) {
    app::Descriptor next(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!next) break;
    taken.push_back(std::move(next));
  }
  taken.pop_back();  // for the client; its other end finds none

  std::clock_t used = std::clock();
  RawClient waiting = stage.client();
  waiting.send(kHello);
  CHECK(until([&] { return stage.logged("cannot accept") == 1; }));
  CHECK(served.ask(kHello).status == 200);
  pollfd nothing{waiting.descriptor(), POLLIN, 0};
  CHECK(::poll(&nothing, 1, 300) == 0);  // three rests
  used = std::clock() - used;
  taken.clear();
  CHECK(waiting.read().status == 200);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);

  CHECK(used < CLOCKS_PER_SEC / 5);  // it did not spin
  CHECK(stage.logged("cannot accept") == 1);
}

}  // namespace jack::http

// Answers of unknown length: parts, back-pressure, clients that leave, servers that stop.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/http/stage.h"

namespace jack::http {
namespace {

using std::chrono::milliseconds;
using test::Answer;
using test::RawClient;
using test::Stage;
using test::until;

const std::string kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

// Begins an answer to whoever asks and keeps the way to it.
class Streamer {
 public:
  explicit Streamer(const Stage::Change& change = {})
      : stage_([this, change](ServerOptions& options) {
          options.limits.stream_bytes_max = 100'000;
          if (change) change(options);
          options.handle = [this](Request, Responder to) {
            to.begin({200, {{"Content-Type", "text/plain"}}, {}});
            to_.push_back(std::move(to));
            ++begun_;
          };
        }) {}

  ~Streamer() {
    stage_.server().stop(milliseconds{0});
    to_.clear();
  }

  Stage& stage() { return stage_; }
  bool begun(int count = 1) {
    return until([&] { return begun_ == count; });
  }
  // With the latest answer, on the server's thread.
  void within(const std::function<void(Responder&)>& act) {
    stage_.within([&] { act(to_.back()); });
  }
  Written write(const std::string& bytes) {
    Written written{};
    within([&](Responder& to) { written = to.write(bytes); });
    return written;
  }
  void end() {
    within([](Responder& to) { to.end(); });
  }
  void forget() {
    stage_.within([this] { to_.clear(); });
  }

 private:
  std::vector<Responder> to_;  // of the server's thread
  std::atomic<int> begun_ = 0;
  Stage stage_;
};

// Until no more is taken.
std::size_t fill(Streamer& streamer) {
  const std::string part(10'000, 'x');
  std::size_t bytes = 0;
  int refused = 0;
  // What the kernel takes makes room again.
  while (refused < 20 && bytes < 100'000'000) {
    if (streamer.write(part) == Written::taken) {
      bytes += part.size();
      refused = 0;
    } else {
      ++refused;
    }
  }
  return bytes;
}

}  // namespace

TEST_CASE("parts arrive when they are written, in chunks") {
  Streamer streamer;
  RawClient client = streamer.stage().client();
  client.send(kGet);
  const std::string head = client.take_through("\r\n\r\n");
  CHECK(head.find("Transfer-Encoding: chunked") != std::string::npos);
  REQUIRE(streamer.begun());
  CHECK(streamer.write("one") == Written::taken);
  CHECK(client.take(8) == "3\r\none\r\n");
  CHECK(streamer.write("") == Written::taken);  // not the chunk that ends it
  CHECK(streamer.write(std::string(20, 'x')) == Written::taken);
  streamer.end();
  CHECK(client.take_chunks() == std::string(20, 'x'));
  CHECK(streamer.write("late") == Written::gone);

  client.send(kGet);
  REQUIRE(streamer.begun(2));
  streamer.end();
  CHECK(client.read().body.empty());
}

TEST_CASE("in HTTP/1.0 the end of the connection ends the parts") {
  Streamer streamer;
  RawClient client = streamer.stage().client();
  client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  REQUIRE(streamer.begun());
  streamer.write("one");
  streamer.write("two");
  streamer.end();
  const Answer answer = client.read();
  CHECK_FALSE(answer.has("Transfer-Encoding"));
  CHECK(answer.has("Connection: close"));
  CHECK(answer.body == "onetwo");
}

// A stream without an end once kept the connection of a HEAD busy for ever.
TEST_CASE("HEAD gets no parts, and has its answer at once") {
  Streamer streamer;
  RawClient client = streamer.stage().client();
  client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(streamer.begun());
  CHECK(client.read(true).status == 200);
  CHECK(streamer.write("one") == Written::gone);
  client.send(kGet);
  REQUIRE(streamer.begun(2));
  streamer.write("two");
  streamer.end();
  CHECK(client.read().body == "two");
}

TEST_CASE("a slow reader gives back-pressure, and nothing is lost") {
  Streamer streamer;
  RawClient client = streamer.stage().client(256 * 1024);
  client.send(kGet);
  REQUIRE(streamer.begun());
  std::atomic<int> drained = 0;
  streamer.within([&](Responder& to) { to.on_drained([&] { ++drained; }); });

  const std::size_t bytes = fill(streamer);
  CHECK(bytes < 100'000'000);
  CHECK(drained == 0);
  client.take_through("\r\n\r\n");
  std::string body;
  std::thread reading([&] { body = client.take_chunks(); });
  CHECK(until([&] { return drained == 1; }));
  streamer.end();
  reading.join();
  CHECK(body.size() == bytes);
}

TEST_CASE("a part that is larger than the limit is taken when nothing waits") {
  Streamer streamer;
  RawClient client = streamer.stage().client();
  client.send(kGet);
  client.take_through("\r\n\r\n");
  CHECK(streamer.write(std::string(300'000, 'x')) == Written::taken);
  streamer.end();
  CHECK(client.take_chunks().size() == 300'000);
}

TEST_CASE("a stream whose reader does not read is cut after a while") {
  Streamer streamer([](ServerOptions& options) { options.limits.write_stall = milliseconds{100}; });
  RawClient client = streamer.stage().client(4096);
  client.send(kGet);
  REQUIRE(streamer.begun());
  std::atomic<int> closed = 0;
  streamer.within([&](Responder& to) { to.on_closed([&] { ++closed; }); });

  fill(streamer);
  CHECK(until([&] { return closed == 1; }));
  CHECK(streamer.stage().counters().stalled == 1);
  CHECK(streamer.write("more") == Written::gone);
}

// The kernel once held 4 MiB for each, and the time after which it is cut began later than that.
TEST_CASE("a stream whose reader does not read holds little memory of the kernel") {
  Streamer streamer;
  RawClient client = streamer.stage().client(4096);
  client.send(kGet);
  REQUIRE(streamer.begun());
  CHECK(fill(streamer) < 1'000'000);
}

TEST_CASE("a stream that has nothing to say is not cut") {
  Streamer streamer([](ServerOptions& options) {
    options.limits.write_stall = options.limits.idle_time = milliseconds{20};
  });
  RawClient client = streamer.stage().client();
  client.send(kGet);
  REQUIRE(streamer.begun());
  RawClient clock = streamer.stage().client();
  CHECK(clock.closed());
  CHECK(streamer.write("late") == Written::taken);
  streamer.end();
  CHECK(client.read().body == "late");
}

TEST_CASE("a stream learns that its client has gone") {
  Streamer streamer;
  std::atomic<int> closed = 0;
  {
    RawClient client = streamer.stage().client();
    client.send(kGet);
    REQUIRE(streamer.begun());
    streamer.within([&](Responder& to) { to.on_closed([&] { ++closed; }); });
  }
  CHECK(until([&] { return closed == 1; }));
  CHECK(streamer.write("more") == Written::gone);
  bool wanted = true;
  streamer.within([&](Responder& to) { wanted = to.wanted(); });
  CHECK_FALSE(wanted);
}

TEST_CASE("the last part is taken however much waits") {
  Streamer streamer;
  RawClient client = streamer.stage().client(256 * 1024);
  client.send(kGet);
  REQUIRE(streamer.begun());
  const std::size_t bytes = fill(streamer);
  streamer.within([](Responder& to) { to.end("that was all"); });
  client.take_through("\r\n\r\n");
  const std::string body = client.take_chunks();
  CHECK(body.size() == bytes + 12);
  CHECK(body.ends_with("that was all"));
}

TEST_CASE("an answer that is cut is broken, not ended, and nobody complains") {
  Streamer streamer;
  RawClient client = streamer.stage().client();
  client.send(kGet);
  CHECK(client.take_through("\r\n\r\n").size() > 20);
  REQUIRE(streamer.begun());
  bool answered = false;
  streamer.within([&](Responder& to) {
    to.on_answered([&] { answered = true; });
    to.cut();
  });
  CHECK(client.rest().find("0\r\n\r\n") == std::string::npos);
  CHECK(answered);
  CHECK(streamer.stage().logged("was not ended") == 0);
}

TEST_CASE("an answer that is forgotten after its beginning is broken, not ended") {
  Streamer streamer;
  RawClient client = streamer.stage().client();
  client.send(kGet);
  CHECK(client.take_through("\r\n\r\n").size() > 20);
  REQUIRE(streamer.begun());
  streamer.forget();
  CHECK(client.rest().find("0\r\n\r\n") == std::string::npos);
  CHECK(streamer.stage().logged("was not ended") == 1);
}

TEST_CASE("streams are told that the server stops, and end themselves") {
  Streamer streamer;
  RawClient client = streamer.stage().client();
  client.send(kGet);
  REQUIRE(streamer.begun());
  streamer.within([](Responder& to) {
    to.on_stopping([to]() mutable {
      to.write("bye");
      to.end();
    });
  });
  std::thread stopping([&] { streamer.stage().server().stop(test::kPatience); });
  CHECK(client.read().body == "bye");
  CHECK(client.closed());
  ::shutdown(client.descriptor(), SHUT_RDWR);
  stopping.join();
}

}  // namespace jack::http

// Router and Dealer: frames, sessions, and how the end of a connection shows.
#include <filesystem>
#include <fstream>
#include <string>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/wire/dealer.h"
#include "engine/wire/router.h"
#include "engine/wire/socket.h"
#include "tests/catch.hpp"
#include "tests/support/files.h"
#include "tests/wire/fake_engine.h"
#include "tests/wire/folder.h"

namespace jack::wire {
namespace {

using test::FakeEngine;
using test::Folder;

Dealer connect(const std::string& endpoint) {
  ClientOptions options;
  options.endpoint = endpoint;
  return Dealer::open(route_of(options).value()).value();
}

Dealer connect_within(FakeEngine& engine) {
  return Dealer::open(route_within(engine.context(), Router::kInProcess)).value();
}

// The next news that is not `nothing`, while the engine goes on working.
Dealer::News next(Dealer& dealer, FakeEngine& engine) {
  Dealer::News news = Dealer::News::nothing;
  CHECK(engine.until([&] {
    news = dealer.wait(std::chrono::milliseconds{5});
    return news != Dealer::News::nothing;
  }));
  return news;
}

RouterOptions listen_on(std::vector<std::string> endpoints) {
  RouterOptions options;
  options.listen = std::move(endpoints);
  return options;
}

Code open_error(const RouterOptions& options) {
  const auto context = open_context().value();
  const auto router = Router::open(*context, options);
  return router ? Code::ok : router.error().code;
}

mode_t mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::lstat(path.c_str(), &status) == 0);
  return status.st_mode & 0777;
}

// A ROUTER's peer of our own making, with frames that a Dealer would not send.
zmq::socket_t raw_dealer(zmq::context_t& context, const std::string& endpoint) {
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  socket.set(zmq::sockopt::linger, 0);
  socket.connect(endpoint);
  return socket;
}

}  // namespace

TEST_CASE("frames go both ways, over a file, an address and within the process") {
  Folder folder;
  FakeEngine engine(listen_on({"ipc://" + folder / "s", "tcp://127.0.0.1:0"}));
  const std::vector<std::string>& endpoints = engine.router().endpoints();
  REQUIRE(endpoints.size() == 2);
  CHECK(endpoints[1] != "tcp://127.0.0.1:0");

  for (int way = 0; way < 3; ++way) {
    Dealer dealer =
        way == 2 ? connect_within(engine) : connect(endpoints[static_cast<std::size_t>(way)]);
    REQUIRE(next(dealer, engine) == Dealer::News::connected);
    REQUIRE(dealer.send(encode(Get{1, TaskId{}, true})) == Sent::done);

    engine.take<Get>();
    CHECK(engine.last().in_process == (way == 2));
    CHECK(engine.last().user.empty());
    const std::string large(1 << 20, 'x');
    engine.say(ResultMessage{1, TaskId{}, TaskState::succeeded, large, "", ""});

    Unpacker unpacker;
    Result<Reply> reply = Reply(Pong{});
    while (reply && std::holds_alternative<Pong>(*reply)) {  // the dealer before was looked for
      REQUIRE(next(dealer, engine) == Dealer::News::frame);
      reply = decode_reply(unpacker, dealer.frame());
    }
    CHECK(std::get<ResultMessage>(reply.value()).result == large);
  }
}

TEST_CASE("each connection is a session of its own, and stays the same one") {
  Folder folder;
  FakeEngine engine(listen_on({"ipc://" + folder / "s"}));
  Dealer first = connect(engine.endpoint());
  Dealer second = connect(engine.endpoint());
  REQUIRE(next(first, engine) == Dealer::News::connected);
  REQUIRE(next(second, engine) == Dealer::News::connected);

  first.send(encode(Info{1}));
  engine.take<Info>();
  const SessionId one = engine.session();
  second.send(encode(Info{2}));
  engine.take<Info>();
  const SessionId two = engine.session();
  first.send(encode(Info{3}));
  engine.take<Info>();

  CHECK(one != two);
  CHECK(engine.session() == one);
}

TEST_CASE("a forgotten session's next frame comes as a new session") {
  Folder folder;
  FakeEngine engine(listen_on({"ipc://" + folder / "s"}));
  Dealer dealer = connect(engine.endpoint());
  REQUIRE(next(dealer, engine) == Dealer::News::connected);
  dealer.send(encode(Info{1}));
  engine.take<Info>();
  const SessionId before = engine.session();

  engine.router().forget(before);
  dealer.send(encode(Info{2}));
  engine.take<Info>();

  CHECK(engine.session() != before);
  engine.say(Who{2});
  CHECK(next(dealer, engine) == Dealer::News::frame);
}

TEST_CASE("a session whose connection ends is reported at once, over a file and an address") {
  Folder folder;
  FakeEngine engine(listen_on({"ipc://" + folder / "s", "tcp://127.0.0.1:0"}));
  for (const std::string& endpoint : engine.router().endpoints()) {
    auto dealer = std::make_unique<Dealer>(connect(endpoint));
    Dealer other = connect(endpoint);
    REQUIRE(next(*dealer, engine) == Dealer::News::connected);
    REQUIRE(next(other, engine) == Dealer::News::connected);
    other.send(encode(Info{1}));
    engine.take<Info>();
    dealer->send(encode(Info{2}));
    engine.take<Info>();
    const SessionId session = engine.session();
    engine.gone().clear();

    dealer.reset();
    const auto start = std::chrono::steady_clock::now();

    REQUIRE(engine.until([&] { return !engine.gone().empty(); }));
    CHECK(engine.gone() == std::vector<SessionId>{session});
    // Far below the heartbeats' time-out: it was the event that told.
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds{3});
    other.send(encode(Info{3}));
    engine.take<Info>();  // the others were left in peace
    CHECK(engine.session() != session);
  }
}

TEST_CASE("the probe of a false alarm says nothing to its peer") {
  Unpacker unpacker;
  const std::string frame = encode(Pong{});

  const auto pong = std::get<Pong>(decode_reply(unpacker, frame).value());

  CHECK(pong.correlation == 0);
  CHECK_FALSE(pong.uncertain);
}

TEST_CASE("messages of more or fewer parts than one are dropped and counted") {
  Folder folder;
  FakeEngine engine(listen_on({"ipc://" + folder / "s"}));
  zmq::context_t context;
  zmq::socket_t socket = raw_dealer(context, engine.endpoint());
  for (int i = 0; i < 3; ++i) {
    socket.send(zmq::str_buffer(""), zmq::send_flags::sndmore);
    socket.send(zmq::str_buffer("x"), zmq::send_flags::none);
  }
  const std::string info = encode(Info{1});
  socket.send(zmq::buffer(info), zmq::send_flags::none);

  engine.take<Info>();
  CHECK(engine.router().counters().malformed == 3);
}

TEST_CASE("a flood of messages that are none does not keep the loop from its work") {
  Folder folder;
  FakeEngine engine(listen_on({"ipc://" + folder / "s"}));
  zmq::context_t context;
  zmq::socket_t socket = raw_dealer(context, engine.endpoint());
  for (int i = 0; i < 200; ++i) {
    socket.send(zmq::str_buffer(""), zmq::send_flags::sndmore);
    socket.send(zmq::str_buffer("x"), zmq::send_flags::none);
  }
  REQUIRE(engine.until([&] { return engine.router().counters().malformed > 0; }));
  std::uint64_t before = engine.router().counters().malformed;

  std::vector<Inbound> arrived;
  std::vector<SessionId> gone;
  engine.router().drain(1, arrived, gone);

  CHECK(engine.router().counters().malformed <= before + 1);
  CHECK(arrived.empty());
}

TEST_CASE("a frame beyond the limit ends its connection, and nothing of it arrives") {
  Folder folder;
  FakeEngine engine(listen_on({"ipc://" + folder / "s"}));
  Dealer dealer = connect(engine.endpoint());
  REQUIRE(next(dealer, engine) == Dealer::News::connected);

  dealer.send(std::string(kRequestBytesMax + 1, 'x'));
  CHECK(next(dealer, engine) == Dealer::News::disconnected);
  CHECK(next(dealer, engine) == Dealer::News::connected);
  dealer.send(encode(Info{1}));

  engine.take<Info>();
}

TEST_CASE("what a peer does not take is kept in order, and a peer beyond the bound is given up") {
  Folder folder;
  RouterOptions options = listen_on({"ipc://" + folder / "s"});
  options.outbox_bytes_max = 4 << 20;
  FakeEngine engine(options);
  zmq::context_t context;
  zmq::socket_t socket = raw_dealer(context, engine.endpoint());
  const std::string info = encode(Info{1});
  socket.send(zmq::buffer(info), zmq::send_flags::none);
  engine.take<Info>();
  const SessionId session = engine.session();

  SECTION("it reads again") {
    const std::string bytes(16 << 10, 'x');
    std::uint64_t sent = 0;
    // Past the sockets' queues and the system's, into the outbox.
    while (!engine.router().next_try() && sent < 100'000) {
      engine.say_to(session, OutputBytes{0, bytes, sent++, false});
    }
    for (int i = 0; i < 20; ++i) engine.say_to(session, OutputBytes{0, bytes, sent++, false});
    REQUIRE(engine.router().next_try().has_value());

    Unpacker unpacker;
    std::uint64_t received = 0;
    CHECK(engine.until([&] {
      zmq::message_t message;
      while (receive(socket, message)) {
        const Result<Reply> reply = decode_reply(unpacker, message.to_string_view());
        REQUIRE(reply.has_value());
        REQUIRE(std::get<OutputBytes>(*reply).total == received++);
      }
      return received == sent;
    }));
    CHECK(engine.gone().empty());
    CHECK_FALSE(engine.router().next_try().has_value());
  }
  SECTION("it never does") {
    const std::string bytes(256 << 10, 'x');
    for (int i = 0; i < 5000 && engine.router().counters().overflown == 0; ++i) {
      engine.say_to(session, OutputBytes{0, bytes, 0, false});
    }
    engine.turn();

    CHECK(engine.router().counters().overflown == 1);
    CHECK(engine.gone() == std::vector<SessionId>{session});
  }
}

TEST_CASE("a message to a session that is gone goes nowhere") {
  FakeEngine engine(RouterOptions{});

  engine.say_to(4711, Who{});
  engine.router().forget(4711);
  engine.turn();

  CHECK(engine.gone().empty());
}

TEST_CASE("the socket file is the owner's alone, and DIR/engine names what is bound") {
  Folder folder;
  RouterOptions options = FakeEngine::in(folder.path());
  options.listen.push_back("tcp://127.0.0.1:0");
  {
    FakeEngine engine(options);
    const std::vector<std::string>& endpoints = engine.router().endpoints();

    CHECK(mode_of(folder / "jack.sock") == 0600);
    CHECK(mode_of(folder / "engine") == 0600);
    CHECK(test::content_of(folder / "engine") == endpoints[0] + "\n" + endpoints[1] + "\n");
    CHECK(endpoints[0] == "ipc://" + folder / "jack.sock");
  }
  CHECK_FALSE(std::filesystem::exists(folder / "engine"));
  CHECK_FALSE(std::filesystem::exists(folder / "jack.sock"));
}

TEST_CASE("a path beyond the system's limit is replaced by a short one that DIR/engine tells") {
  Folder folder;
  const std::string deep = folder / (std::string(60, 'a') + "/" + std::string(60, 'b'));
  std::filesystem::create_directories(deep);
  FakeEngine engine(FakeEngine::in(deep));

  const std::string path = engine.endpoint().substr(6);
  CHECK(path.size() <= kSocketPathBytesMax);
  CHECK(mode_of(path) == 0600);
  CHECK(mode_of(std::filesystem::path(path).parent_path()) == 0700);

  ClientOptions options;
  options.data_dir = deep;
  Dealer dealer = Dealer::open(route_of(options).value()).value();
  CHECK(next(dealer, engine) == Dealer::News::connected);
}

TEST_CASE("a socket file that a crash left behind is replaced") {
  Folder folder;
  const std::string path = folder / "jack.sock";
  {
    const int descriptor = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    ::close(descriptor);
  }
  REQUIRE(std::filesystem::exists(path));

  FakeEngine engine(FakeEngine::in(folder.path()));
  Dealer dealer = connect(engine.endpoint());

  CHECK(next(dealer, engine) == Dealer::News::connected);
}

TEST_CASE("what cannot be listened on is refused by name, and nothing is harmed") {
  Folder folder;
  const std::string file = folder / "precious";
  std::ofstream(file) << "data";

  CHECK(open_error(listen_on({"ipc://" + file})) == Code::invalid_argument);
  CHECK(test::content_of(file) == "data");
  CHECK(open_error(listen_on({"ipc://"})) == Code::invalid_argument);
  CHECK(open_error(listen_on({"ipc://@abstract"})) == Code::invalid_argument);
  CHECK(open_error(listen_on({"ipc://*"})) == Code::invalid_argument);
  CHECK(open_error(listen_on({"udp://127.0.0.1:1"})) == Code::invalid_argument);
  CHECK(open_error(listen_on({"tcp://127.0.0.1"})) == Code::invalid_argument);
  CHECK(open_error(listen_on({"ipc://" + folder / "no/such/folder/s"})) != Code::ok);

  FakeEngine engine(listen_on({"ipc://" + folder / "s", "tcp://127.0.0.1:0"}));
  for (const std::string& taken : engine.router().endpoints()) {
    CHECK(open_error(listen_on({taken})) == Code::unavailable);
  }
}

TEST_CASE("beyond loopback nothing is bound without keys") {
  for (const char* endpoint : {"tcp://0.0.0.0:0", "tcp://*:0", "tcp://[::]:0"}) {
    CHECK(open_error(listen_on({endpoint})) == Code::permission_denied);
  }
  CHECK(is_local("tcp://127.0.0.1:1"));
  CHECK(is_local("tcp://127.1.2.3:1"));
  CHECK(is_local("tcp://localhost:1"));
  CHECK(is_local("tcp://[::1]:1"));
  CHECK_FALSE(is_local("tcp://10.0.0.1:1"));
  CHECK_FALSE(is_local("tcp://eth0:1"));
  CHECK_FALSE(is_local("tcp://127.evil.example:1"));
}

TEST_CASE("a dealer connects again when its engine is back, at another place too") {
  Folder folder;
  RouterOptions options;
  options.data_dir = folder.path();
  options.listen = {"tcp://127.0.0.1:0"};
  auto engine = std::make_unique<FakeEngine>(options);
  ClientOptions client;
  client.data_dir = folder.path();
  Dealer dealer = Dealer::open(route_of(client).value()).value();
  REQUIRE(next(dealer, *engine) == Dealer::News::connected);

  engine.reset();
  const auto end = std::chrono::steady_clock::now() + test::kSoon;
  Dealer::News news = Dealer::News::nothing;
  while (news != Dealer::News::disconnected && std::chrono::steady_clock::now() < end) {
    news = dealer.wait(std::chrono::milliseconds{50});
  }
  REQUIRE(news == Dealer::News::disconnected);
  CHECK(dealer.send("lost") == Sent::not_now);
  engine = std::make_unique<FakeEngine>(options);
  dealer.look_up_again();

  CHECK(next(dealer, *engine) == Dealer::News::connected);
  CHECK(dealer.route().endpoint == engine->endpoint());
}

// libzmq's thread once waited for ever to tell the closed dealer that its connection had broken,
// and no other dealer of the process heard of anything any more.
TEST_CASE("a connection that breaks while its dealer is being closed harms no other dealer") {
  Folder folder;
  FakeEngine engine(listen_on({"ipc://" + folder / "engine"}));
  Dealer other = connect(engine.endpoint());
  REQUIRE(next(other, engine) == Dealer::News::connected);

  const std::string endpoint = "ipc://" + folder / "deaf";
  zmq::context_t deaf_context;
  zmq::socket_t deaf(deaf_context, zmq::socket_type::router);
  deaf.set(zmq::sockopt::rcvhwm, 1);
  deaf.bind(endpoint);
  {
    Dealer closing = connect(endpoint);
    REQUIRE(next(closing, engine) == Dealer::News::connected);
    // What is on its way keeps the connection open for a while when the dealer has gone.
    for (int i = 0; i < 1000 && closing.send(std::string(100'000, 'x')) == Sent::done; ++i) {
    }
  }
  deaf.set(zmq::sockopt::linger, 0);
  deaf.close();
  deaf_context.close();

  REQUIRE(other.send(encode(Info{1})) == Sent::done);
  engine.take<Info>();
  Dealer another = connect(engine.endpoint());
  CHECK(next(another, engine) == Dealer::News::connected);
}

TEST_CASE("a dealer within the process hears that its engine's context is closed") {
  auto context = open_context().value();
  auto router = Router::open(*context, RouterOptions{}).value();
  Dealer dealer = Dealer::open(route_within(*context, Router::kInProcess)).value();
  REQUIRE(dealer.wait(std::chrono::milliseconds{0}) == Dealer::News::connected);

  context->shutdown();

  Dealer::News news = Dealer::News::nothing;
  while (news == Dealer::News::nothing) news = dealer.wait(std::chrono::milliseconds{10'000});
  CHECK(news == Dealer::News::closed);
  CHECK(dealer.send("x") == Sent::closed);
}

TEST_CASE("a wake ends a wait") {
  FakeEngine engine(RouterOptions{});
  Dealer dealer = connect_within(engine);
  Wake wake = Wake::open().value();
  REQUIRE(dealer.wait(std::chrono::milliseconds{0}) == Dealer::News::connected);

  wake.set();

  Dealer::News news = Dealer::News::nothing;
  while (news == Dealer::News::nothing)
    news = dealer.wait(std::chrono::milliseconds{10'000}, &wake);
  CHECK(news == Dealer::News::woken);
  CHECK(dealer.wait(std::chrono::milliseconds{0}, &wake) == Dealer::News::nothing);
}

TEST_CASE("endpoints that are none are refused before anything is tried") {
  for (const char* endpoint :
       {"nonsense", "ipc://", "tcp://", "tcp://host", "tcp://:5", "tcp://h:0", "tcp://h:99999",
        "tcp://h:5x", "inproc://jack", "udp://h:5"}) {
    ClientOptions options;
    options.endpoint = endpoint;
    const Result<Route> route = route_of(options);
    CAPTURE(endpoint);
    REQUIRE_FALSE(route.has_value());
    CHECK(route.error().code == Code::invalid_argument);
  }
  ClientOptions options;
  options.endpoint = "ipc://" + std::string(kSocketPathBytesMax + 1, 'a');
  CHECK(route_of(options).error().code == Code::invalid_argument);
}

TEST_CASE("the default data directory follows the environment") {
  const auto with = [](const char* name, const char* value) {
    value == nullptr ? ::unsetenv(name) : ::setenv(name, value, 1);
  };
  const std::string home = ::getenv("HOME") == nullptr ? "" : ::getenv("HOME");
  with("HOME", "/home/ada");
  with("XDG_STATE_HOME", nullptr);
  with("JACK_DATA_DIR", nullptr);
  CHECK(default_data_dir() == "/home/ada/.local/state/jack");
  with("XDG_STATE_HOME", "/state");
  CHECK(default_data_dir() == "/state/jack");
  with("JACK_DATA_DIR", "/data");
  CHECK(default_data_dir() == "/data");
  with("XDG_STATE_HOME", nullptr);
  with("JACK_DATA_DIR", nullptr);
  with("HOME", home.c_str());
}

// libzmq said of a name that there is no such device.
TEST_CASE("an engine listens at addresses and interfaces, and names are for those who connect") {
  for (const char* const good : {"tcp://*:0", "tcp://0.0.0.0:1", "tcp://[::]:1", "tcp://lo:1"}) {
    CHECK(check_endpoint(good, Use::listen));
  }
  for (const char* const name : {"tcp://localhost:1", "tcp://example.org:1", "tcp://127.1:1"}) {
    CHECK(check_endpoint(name, Use::connect));
    CHECK(check_endpoint(name, Use::listen).error().code == Code::invalid_argument);
  }
}

// libzmq takes a port modulo 65536: an engine that was to listen on 99999 did so on 34463.
TEST_CASE("an endpoint is the same to those who listen and those who connect") {
  for (const Use use : {Use::connect, Use::listen}) {
    for (const char* const good : {"ipc:///x/s", "ipc://s", "tcp://127.0.0.1:1", "tcp://[::1]:7077",
                                   "tcp://127.0.0.1:65535"}) {
      CHECK(check_endpoint(good, use));
    }
    for (const char* const bad :
         {"", "x", "/x/s", "udp://127.0.0.1:1", "ipc://", "ipc://@s", "ipc://*", "tcp://",
          "tcp://:7077", "tcp://127.0.0.1", "tcp://127.0.0.1:", "tcp://[::1]",
          "tcp://[::1]:", "tcp://127.0.0.1:65536", "tcp://127.0.0.1:99999", "tcp://127.0.0.1:-1",
          "tcp://127.0.0.1:7077x", "tcp://127.0.0.1:*"}) {
      const Result<void> checked = check_endpoint(bad, use);
      INFO(bad);
      REQUIRE_FALSE(checked);
      CHECK(checked.error().code == Code::invalid_argument);
      CHECK_THAT(checked.error().message, ::test::ContainsSubstring("'" + std::string(bad) + "'"));
    }
  }
  CHECK(check_endpoint("tcp://127.0.0.1:0", Use::listen));
  CHECK_FALSE(check_endpoint("tcp://127.0.0.1:0", Use::connect));
  const std::string long_path = "ipc:///" + std::string(200, 'x');
  CHECK(check_endpoint(long_path, Use::listen));
  CHECK_FALSE(check_endpoint(long_path, Use::connect));
  CHECK_THAT(check_endpoint("tcp://127.0.0.1", Use::listen).error().message,
             ::test::ContainsSubstring("names no port"));
}

TEST_CASE("of several endpoints that an engine names, a socket file is taken first") {
  Folder folder;
  Route route;
  route.data_dir = folder.path();
  CHECK(look_up(route) == default_endpoint(folder.path()));

  REQUIRE(
      publish(folder.path(), {{"tcp://127.0.0.1:1", false}, {"ipc:///x/s", false}}).has_value());
  CHECK(look_up(route) == "ipc:///x/s");
  REQUIRE(publish(folder.path(), {{"tcp://10.0.0.1:1", true}, {"tcp://127.0.0.1:2", false}})
              .has_value());
  CHECK(look_up(route) == "tcp://127.0.0.1:2");
  route.keys = KeyPair{};
  CHECK(look_up(route) == "tcp://10.0.0.1:1");
  // An engine that only takes keys was looked for at its socket file, which there was none of.
  route.keys.reset();
  REQUIRE(publish(folder.path(), {{"tcp://10.0.0.1:1", true}}).has_value());
  CHECK(look_up(route) == "tcp://10.0.0.1:1");
  std::ofstream(folder / "engine") << "\n\nrubbish\n\xff\xff curve\n";
  route.keys.reset();
  CHECK(look_up(route) == default_endpoint(folder.path()));
}

}  // namespace jack::wire

// CURVE keys: their files, and who is let in by tcp.
#include "engine/wire/curve.h"

#include <filesystem>
#include <fstream>
#include <mutex>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jack_engine/client.h>
#include <jack_engine/engine.h>

#include "engine/date.h"
#include "engine/runtime/attach.h"
#include "engine/wire/dealer.h"
#include "engine/wire/key_keeper.h"
#include "engine/wire/private_file.h"
#include "engine/wire/router.h"
#include "tests/catch.hpp"
#include "tests/wire/fake_engine.h"
#include "tests/wire/folder.h"

namespace jack::wire {
namespace {

using test::FakeEngine;
using test::Folder;

// With all rights.
Result<void> allow(const std::string& list, const NamedKey& named) {
  Key key;
  key.name = named.name;
  key.id = named.public_key;
  key.rights = Rights::all();
  return add_key(list, key);
}

// An engine's keys and two clients', of whom only ada may connect.
struct Keys {
  Folder folder;
  KeyFiles engine = create_key_files(folder / "keys", "engine").value();
  KeyFiles ada = create_key_files(folder / "keys", "ada").value();
  KeyFiles eve = create_key_files(folder / "keys", "eve").value();
  std::string allowed = folder / "allowed";

  Keys() { REQUIRE(allow(allowed, ada.key).has_value()); }

  RouterOptions listen(std::string endpoint = "tcp://127.0.0.1:0") const {
    RouterOptions options;
    options.listen = {std::move(endpoint)};
    options.key_file = engine.secret_path;
    options.keys = std::make_shared<KeyRing>(allowed);
    return options;
  }
};

Dealer connect(const std::string& endpoint, const std::string& key_file,
               const std::string& engine_key) {
  ClientOptions options;
  options.endpoint = endpoint;
  options.key_file = key_file;
  options.engine_key_file = engine_key;
  const Result<Route> route = route_of(options);
  if (!route) FAIL(to_string(route.error()));
  return Dealer::open(*route).value();
}

// Takes connections and ends them at once.
class HangingUp {
 public:
  HangingUp() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(::bind(socket_, any, size) == 0);
    REQUIRE(::listen(socket_, 8) == 0);
    REQUIRE(::getsockname(socket_, any, &size) == 0);
    endpoint_ = "tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  HangingUp(const HangingUp&) = delete;
  HangingUp& operator=(const HangingUp&) = delete;
  ~HangingUp() { ::close(socket_); }

  const std::string& endpoint() const { return endpoint_; }
  void turn() {
    const int peer = ::accept(socket_, nullptr, nullptr);
    if (peer >= 0) ::close(peer);
  }

 private:
  const int socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  std::string endpoint_;
};

// The first news, while the engine goes on working.
Dealer::News next(Dealer& dealer, FakeEngine& engine) {
  Dealer::News news = Dealer::News::nothing;
  CHECK(engine.until([&] {
    news = dealer.wait(std::chrono::milliseconds{5});
    return news != Dealer::News::nothing;
  }));
  return news;
}

bool is_connected(Dealer& dealer, std::chrono::milliseconds within) {
  const auto end = std::chrono::steady_clock::now() + within;
  while (!dealer.connected() && std::chrono::steady_clock::now() < end) {
    dealer.wait(std::chrono::milliseconds{10});
  }
  return dealer.connected();
}

}  // namespace

// An engine with keys may hang up before the client has read that it has any: nobody seemed to
// answer.
TEST_CASE("an address that hangs up again and again is taken for one that asks for keys") {
  HangingUp server;
  ClientOptions options;
  options.endpoint = server.endpoint();
  Dealer dealer = Dealer::open(route_of(options).value()).value();

  Dealer::News news = Dealer::News::nothing;
  const auto end = std::chrono::steady_clock::now() + test::kSoon;
  while (news == Dealer::News::nothing && std::chrono::steady_clock::now() < end) {
    server.turn();
    news = dealer.wait(std::chrono::milliseconds{5});
  }

  CHECK(news == Dealer::News::refused);
  CHECK(dealer.refusal().code == Code::unauthenticated);
  CHECK(dealer.refusal().message.find("asks for keys") != std::string::npos);
}

TEST_CASE("an allowed key is let in, and its messages carry its name") {
  Keys keys;
  FakeEngine engine(keys.listen());
  Dealer dealer = connect(engine.endpoint(), keys.ada.secret_path, keys.engine.public_path);
  REQUIRE(next(dealer, engine) == Dealer::News::connected);

  dealer.send(encode(Info{1}));
  engine.take<Info>();

  CHECK(engine.last().user == "ada");
  CHECK_FALSE(engine.last().in_process);
  CHECK(engine.router().counters().refused == 0);
}

TEST_CASE("an unknown key is refused, told so and counted") {
  Keys keys;
  FakeEngine engine(keys.listen());
  Dealer dealer = connect(engine.endpoint(), keys.eve.secret_path, keys.engine.public_path);

  CHECK(next(dealer, engine) == Dealer::News::refused);

  CHECK(dealer.refusal().code == Code::unauthenticated);
  CHECK(engine.router().counters().refused > 0);
  CHECK(dealer.send(encode(Info{1})) == Sent::not_now);
}

TEST_CASE("a peer without a key is refused") {
  Keys keys;
  FakeEngine engine(keys.listen());
  ClientOptions options;
  options.endpoint = engine.endpoint();
  Dealer dealer = Dealer::open(route_of(options).value()).value();

  CHECK(next(dealer, engine) == Dealer::News::refused);

  CHECK(dealer.refusal().code == Code::unauthenticated);
  CHECK(dealer.send(encode(Info{1})) == Sent::not_now);
}

// It was told that the engine asks for no keys, as if to leave them out were the way.
TEST_CASE("another engine's key is told to be a reason why the engine hangs up") {
  Keys keys;
  FakeEngine engine(keys.listen());
  Dealer dealer = connect(engine.endpoint(), keys.ada.secret_path, keys.eve.public_path);

  CHECK(next(dealer, engine) == Dealer::News::refused);

  CHECK(dealer.refusal().code == Code::unauthenticated);
  CHECK_THAT(dealer.refusal().message, ::test::ContainsSubstring("--engine-key-file"));
}

TEST_CASE("a key that is allowed or revoked later counts from the next handshake on") {
  Keys keys;
  FakeEngine engine(keys.listen());
  {
    Dealer early = connect(engine.endpoint(), keys.eve.secret_path, keys.engine.public_path);
    REQUIRE(next(early, engine) == Dealer::News::refused);
  }
  REQUIRE(allow(keys.allowed, keys.eve.key).has_value());
  REQUIRE(revoke_key(keys.allowed, "ada", WallTime{}).has_value());

  Dealer eve = connect(engine.endpoint(), keys.eve.secret_path, keys.engine.public_path);
  Dealer ada = connect(engine.endpoint(), keys.ada.secret_path, keys.engine.public_path);

  CHECK(next(eve, engine) == Dealer::News::connected);
  CHECK(next(ada, engine) == Dealer::News::refused);
}

TEST_CASE("a key that has expired is refused, one that will is not") {
  Keys keys;
  Key bob;
  bob.name = "bob";
  bob.id = keys.eve.key.public_key;
  bob.rights = Rights::all();
  bob.expires = parse_date("2020-01-01T00:00:00Z").value();
  REQUIRE(add_key(keys.allowed, bob).has_value());
  FakeEngine engine(keys.listen());
  {
    Dealer late = connect(engine.endpoint(), keys.eve.secret_path, keys.engine.public_path);
    CHECK(next(late, engine) == Dealer::News::refused);
  }
  bob.expires = parse_date("9999-01-01T00:00:00Z").value();
  std::ofstream(keys.allowed) << line_of(bob) << '\n';

  Dealer early = connect(engine.endpoint(), keys.eve.secret_path, keys.engine.public_path);

  CHECK(next(early, engine) == Dealer::News::connected);
}

// Over a connection that stays the same.
TEST_CASE("a key may do what the list says, as long as it says so") {
  Keys keys;
  Key eve;
  eve.name = "eve";
  eve.id = keys.eve.key.public_key;
  eve.rights = Rights::parse("submit,read", "mail").value();
  REQUIRE(add_key(keys.allowed, eve).has_value());
  EngineOptions options;
  options.transport = "memory";
  options.listen = {"tcp://127.0.0.1:0"};
  options.key_file = keys.engine.secret_path;
  options.allowed_keys_file = keys.allowed;
  Engine engine = Engine::open(options).value();
  const auto client_of = [&](const KeyFiles& files) {
    ClientOptions client;
    client.endpoint = engine.endpoints().at(0);
    client.key_file = files.secret_path;
    client.engine_key_file = keys.engine.public_path;
    return Client::connect(client).value();
  };
  Client all = client_of(keys.ada);
  Client some = client_of(keys.eve);
  const auto in = [](const char* queue) {
    TaskSpec spec;
    spec.queue = queue;
    return spec;
  };

  const TaskId post = all.submit(in("post")).value();
  const TaskId mail = some.submit(in("mail")).value();
  CHECK(some.submit(in("post")).error().code == Code::permission_denied);
  CHECK(some.get(mail).has_value());
  CHECK(some.get(post).error().code == Code::permission_denied);
  CHECK(some.pause("mail").error().code == Code::permission_denied);
  CHECK(some.list().value().tasks.size() == 1);
  CHECK(all.list().value().tasks.size() == 2);
  CHECK(all.info().value().at("denied") == "3");

  REQUIRE(revoke_key(keys.allowed, "eve", WallTime{}).has_value());

  CHECK(some.get(mail).error().code == Code::unauthenticated);
  CHECK(some.submit(in("mail")).error().code == Code::unauthenticated);
  CHECK(all.get(mail).has_value());
}

// The code of the answer, said again where the session begins anew; timed_out: there is none.
template <typename Message>
Code ask(Link& link, Message message) {
  message.correlation = link.next_correlation();
  if (link.ready()) link.say(message);
  const auto end = std::chrono::steady_clock::now() + test::kSoon;
  while (std::chrono::steady_clock::now() < end) {
    const Link::News news = link.wait(std::chrono::milliseconds{100});
    if (news == Link::News::refused) return link.refusal().code;
    if (news == Link::News::renewed) link.say(message);
    if (news != Link::News::reply) continue;
    if (jack::correlation_of(link.reply()) != message.correlation) continue;
    if (const auto* refused = std::get_if<Refused>(&link.reply())) return refused->code;
    return Code::ok;
  }
  return Code::timed_out;
}

TEST_CASE("a session of the engine's process may do what the list says of the key it acts for") {
  Keys keys;
  Key web;
  web.name = "web";
  web.kind = KeyKind::api;
  web.id = "0123abCD";
  web.rights = Rights::parse("submit,read", "mail").value();
  REQUIRE(add_key(keys.allowed, web).has_value());
  EngineOptions options;
  options.transport = "memory";
  options.allowed_keys_file = keys.allowed;
  Engine engine = Engine::open(options).value();
  Link link = Attach::link(engine, "gateway", "web").value();
  Link other = Attach::link(engine, "gateway").value();
  const List in_mail{0, "mail", {}};
  const Pause pause{0, "mail", true};
  const auto change = [&] {
    REQUIRE(replace_private_file(keys.allowed, line_of(web) + "\n").has_value());
  };
  CHECK(ask(link, in_mail) == Code::ok);
  CHECK(ask(link, pause) == Code::permission_denied);

  // Each change holds for the next request.
  REQUIRE(revoke_key(keys.allowed, "web", WallTime{}).has_value());
  link.say(in_mail);
  CHECK(link.wait(test::kSoon) == Link::News::refused);
  CHECK(link.refusal().code == Code::unauthenticated);
  Link late = Attach::link(engine, "gateway", "web").value();
  CHECK(ask(late, in_mail) == Code::unauthenticated);
  REQUIRE(restore_key(keys.allowed, "web").has_value());
  CHECK(ask(link, in_mail) == Code::ok);
  web.rights = Rights::parse("admin", "mail").value();
  change();
  CHECK(ask(link, in_mail) == Code::permission_denied);
  CHECK(ask(link, pause) == Code::ok);
  web.expires = SystemClock().wall_now();
  change();
  CHECK(ask(link, pause) == Code::unauthenticated);
  web.expires = SystemClock().wall_now() + std::chrono::hours{1};
  change();
  CHECK(ask(link, pause) == Code::ok);
  CHECK(ask(other, in_mail) == Code::ok);
}

// Once, what came together with the welcome was heard only when something else came after it.
TEST_CASE("a session polled by its descriptor hears at once what comes with its welcome") {
  EngineOptions options;
  options.transport = "memory";
  Engine engine = Engine::open(options).value();
  for (int round = 0; round < 50; ++round) {
    Link link = Attach::link(engine, "gateway").value();
    REQUIRE(link.wait(std::chrono::milliseconds{0}) == Link::News::renewed);
    link.say(List{7, "mail", {}});
    // Its descriptor tells of what comes after it was heard to the end.
    const auto hears_answer = [&] {
      bool heard = false;
      for (;;) {
        const Link::News news = link.wait(std::chrono::milliseconds{0});
        if (news == Link::News::nothing) return heard;
        heard |= news == Link::News::reply && jack::correlation_of(link.reply()) == 7;
      }
    };
    while (!hears_answer()) {
      pollfd file{link.descriptor(), POLLIN, 0};
      const auto most = static_cast<int>(std::chrono::milliseconds{test::kSoon}.count());
      REQUIRE(::poll(&file, 1, most) == 1);
    }
  }
}

TEST_CASE("it is noted when a key is let in, and not when it is refused") {
  Keys keys;
  const std::string used = keys.folder / "keys/used";
  {
    RouterOptions options = keys.listen();
    options.last_used = std::make_shared<LastUsed>(used);
    FakeEngine engine(options);
    options.last_used.reset();
    Dealer ada = connect(engine.endpoint(), keys.ada.secret_path, keys.engine.public_path);
    Dealer eve = connect(engine.endpoint(), keys.eve.secret_path, keys.engine.public_path);
    REQUIRE(next(ada, engine) == Dealer::News::connected);
    REQUIRE(next(eve, engine) == Dealer::News::refused);
  }

  const UseTimes times = read_use_times(used).value();

  REQUIRE(times.size() == 1);
  CHECK(times.begin()->first == "ada");
  CHECK(times.begin()->second > parse_date("2026-01-01T00:00:00Z").value());
}

TEST_CASE("without an answer about keys new peers are refused, and old ones live") {
  Keys keys;
  // The router's parts by hand, because the test takes its key keeper away.
  const auto context = open_context().value();
  auto keeper = KeyKeeper::open(*context, std::make_shared<KeyRing>(keys.allowed), nullptr).value();
  zmq::socket_t socket = make_socket(*context, zmq::socket_type::router).value();
  const int enforce = 1;
  REQUIRE(zmq_setsockopt(socket.handle(), 93, &enforce, sizeof enforce) == 0);
  socket.set(zmq::sockopt::zap_domain, KeyKeeper::kDomain);
  socket.set(zmq::sockopt::curve_server, true);
  socket.set(zmq::sockopt::curve_secretkey, read_secret_key(keys.engine.secret_path)->secret_key);
  socket.bind("tcp://127.0.0.1:*");
  const std::string endpoint = socket.get(zmq::sockopt::last_endpoint);
  Dealer old = connect(endpoint, keys.ada.secret_path, keys.engine.public_path);
  REQUIRE(is_connected(old, test::kSoon));

  keeper.reset();
  Dealer fresh = connect(endpoint, keys.ada.secret_path, keys.engine.public_path);

  // Refused without a word: there is nobody to say why. Long enough for several handshakes.
  CHECK_FALSE(is_connected(fresh, std::chrono::milliseconds{300}));
  CHECK(fresh.send("x") == Sent::not_now);
  REQUIRE(old.send("y") == Sent::done);
  zmq::pollitem_t item{socket.handle(), 0, ZMQ_POLLIN, 0};
  CHECK(zmq::poll(&item, 1, std::chrono::milliseconds{test::kSoon}) == 1);
}

TEST_CASE("nobody is let in while the file of allowed keys cannot be read, which is told") {
  Keys keys;
  std::mutex mutex;
  std::vector<std::string> told;
  RouterOptions options = keys.listen();
  options.keys = std::make_shared<KeyRing>(keys.allowed, [&](const Error& error) {
    const std::lock_guard lock(mutex);
    told.push_back(error.message);
  });
  FakeEngine engine(options);
  const auto is_refused = [&] {
    Dealer dealer = connect(engine.endpoint(), keys.ada.secret_path, keys.engine.public_path);
    return next(dealer, engine) == Dealer::News::refused;
  };

  std::ofstream(keys.allowed, std::ios::app) << "not a line\n";
  CHECK(is_refused());
  CHECK(is_refused());
  std::ofstream(keys.allowed, std::ios::app) << "nor this one\n";
  std::filesystem::rename(keys.allowed, keys.folder / "elsewhere");
  CHECK(is_refused());

  const std::lock_guard lock(mutex);
  REQUIRE(told.size() == 2);  // once for each change, however often somebody tries
  CHECK_THAT(told[0], ::test::ContainsSubstring("allowed:3"));
  CHECK_THAT(told[1], ::test::ContainsSubstring(keys.allowed));
}

TEST_CASE("beyond loopback an engine listens with keys") {
  Keys keys;
  FakeEngine engine(keys.listen("tcp://0.0.0.0:0"));
  CHECK(engine.router().endpoints().size() == 1);
}

TEST_CASE("files of keys that are unsafe or none are refused before anything is bound") {
  Keys keys;
  const auto code_of = [](const RouterOptions& options) {
    const auto context = open_context().value();
    const auto router = Router::open(*context, options);
    return router ? Code::ok : router.error().code;
  };
  RouterOptions options = keys.listen();

  options.key_file = keys.folder / "missing";
  CHECK(code_of(options) == Code::not_found);
  options.key_file = keys.allowed;
  CHECK(code_of(options) == Code::invalid_argument);
  options = keys.listen();
  options.keys = std::make_shared<KeyRing>(keys.folder / "missing");
  CHECK(code_of(options) == Code::not_found);
  options = keys.listen();
  ::chmod(keys.engine.secret_path.c_str(), 0640);
  CHECK(code_of(options) == Code::permission_denied);
  ::chmod(keys.engine.secret_path.c_str(), 0600);
  CHECK(code_of(options) == Code::ok);
}

TEST_CASE("new keys are written once, the secret one for its owner alone") {
  Folder folder;
  const KeyFiles files = create_key_files(folder / "keys", "ada").value();

  CHECK((std::filesystem::status(files.secret_path).permissions() & std::filesystem::perms{077}) ==
        std::filesystem::perms::none);
  const KeyPair pair = read_secret_key(files.secret_path).value();
  CHECK(pair.public_key == files.key.public_key);
  CHECK(pair.secret_key.size() == 40);
  CHECK(read_public_key(files.public_path).value() == files.key);
  CHECK(create_key_files(folder / "keys", "ada").error().code == Code::already_exists);
  CHECK(read_secret_key(files.secret_path).value().secret_key == pair.secret_key);
  CHECK(create_key_files(folder / "keys", "../ada").error().code == Code::invalid_argument);
  CHECK(create_key_files(folder / "keys", "").error().code == Code::invalid_argument);
  ::chmod((folder / "keys").c_str(), 0755);
  CHECK(create_key_files(folder / "keys", "eve").error().code == Code::permission_denied);
}

TEST_CASE("half of the keys is refused") {
  Keys keys;
  ClientOptions options;
  options.endpoint = "tcp://127.0.0.1:1";
  options.key_file = keys.ada.secret_path;
  CHECK(route_of(options).error().code == Code::invalid_argument);
  options.engine_key_file = keys.engine.public_path;
  CHECK(route_of(options).has_value());
  options.key_file.clear();
  CHECK(route_of(options).error().code == Code::invalid_argument);
}

TEST_CASE("large and odd files are no key files") {
  Folder folder;
  std::ofstream(folder / "large") << std::string(2 << 20, 'x');
  ::chmod((folder / "large").c_str(), 0600);
  ::chmod(folder.path().c_str(), 0700);
  CHECK(read_secret_key(folder / "large").error().code == Code::invalid_argument);
  CHECK(read_secret_key(folder.path()).error().code == Code::invalid_argument);
  CHECK(read_public_key("/dev/zero").error().code == Code::invalid_argument);
  std::ofstream(folder / "empty");
  CHECK(read_public_key(folder / "empty").error().code == Code::invalid_argument);
}

}  // namespace jack::wire

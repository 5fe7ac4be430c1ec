// Sessions: greeting, limits, falling silent; and what is said when something is wrong.
#include <jack_engine/testing/harness.h>

#include "tests/catch.hpp"
#include "tests/engine/raw_session.h"

using namespace std::chrono_literals;
using namespace jack;
using namespace jack::testing;

TEST_CASE("an engine greets with what a client needs to know") {
  Harness jack;
  RawSession session(jack, false, false);
  session.say(wire::Hello{4, wire::kVersion, "someone"});
  const auto& welcome = session.expect<wire::Welcome>();
  CHECK(welcome.correlation == 4);
  CHECK(welcome.version == wire::kVersion);
  CHECK(welcome.engine.size() == 16);
  CHECK(welcome.incarnation.size() == 16);
  CHECK(welcome.lease_default == 30s);
  CHECK(welcome.payload_bytes_max == 1 << 20);
  // Said twice, it is answered twice, and nothing else happens.
  session.say(wire::Hello{5, wire::kVersion, "someone"});
  CHECK(session.expect<wire::Welcome>().correlation == 5);
}

TEST_CASE("an unknown session is asked who it is, a wrong version is refused") {
  Harness jack;
  RawSession session(jack, false, false);
  session.say(wire::Ping{9});
  CHECK(session.expect<wire::Who>().correlation == 9);
  session.say(wire::Bye{});
  CHECK(session.next() == nullptr);
  session.say(wire::Hello{1, wire::kVersion + 1, "from the future"});
  CHECK(session.expect_code() == Code::unsupported);
  session.say(wire::Hello{1, wire::kVersion, std::string(257, 'n')});
  CHECK(session.expect_code() == Code::invalid_argument);
  session.say(wire::Ping{9});
  CHECK(session.expect<wire::Who>().correlation == 9);
}

TEST_CASE("bytes that are no message are refused and hurt nobody") {
  Harness jack;
  RawSession session(jack);
  for (const std::string& bytes : {std::string(), std::string("\xc1"), std::string("\x90"),
                                   std::string("\x92\xcc\xff\x01"), std::string(100, '\x91')}) {
    session.say_bytes(bytes);
    CHECK(session.expect<wire::Refused>().code != Code::ok);
  }
  session.say(wire::Ping{1});
  CHECK_FALSE(session.expect<wire::Pong>().uncertain);
  CHECK(jack.fact("malformed") == "5");
  CHECK(jack.fact("overflown") == "0");
  CHECK(jack.fact("refused") == "0");
}

TEST_CASE("a request that cannot be read is refused by its number, where that can be read") {
  Harness jack;
  RawSession session(jack);
  for (const auto& [bytes, correlation] : {std::pair("\x92\x09\x07", 7u),  // a get without fields
                                           std::pair("\x93\x32\x08\xc0", 8u),  // of an unknown kind
                                           std::pair("\x93\x02\x09", 9u),      // cut off
                                           std::pair("\x93\x02\xa1x", 0u)}) {
    session.say_bytes(bytes);
    CHECK(session.expect<wire::Refused>().correlation == correlation);
  }
}

TEST_CASE("there is room for so many sessions and no more") {
  SessionLimits limits;
  limits.sessions_max = 3;
  Harness jack({.sessions = limits});
  RawSession one(jack);
  RawSession two(jack);
  RawSession three(jack);
  RawSession four(jack, false, false);
  four.say(wire::Hello{1, wire::kVersion, ""});
  CHECK(four.expect_code() == Code::rate_limited);
  two.vanish();
  four.say(wire::Hello{1, wire::kVersion, ""});
  four.next();
  four.say(wire::Hello{1, wire::kVersion, ""});
  CHECK(std::holds_alternative<wire::Welcome>(*four.next()));
}

TEST_CASE("a worker that falls silent is forgotten, and its credit with it") {
  Harness jack;
  RawSession worker(jack);
  worker.work(1, 5, {"mail"});
  CHECK(workers_of(jack, "mail") == 5);
  jack.advance(30s);
  CHECK(workers_of(jack, "mail") == 0);
  const TaskId task = jack.submit("mail", "a");
  CHECK(jack.state(task) == TaskState::queued);
  worker.say(wire::Ping{2});
  CHECK(worker.expect<wire::Who>().correlation == 2);
}

TEST_CASE("a client may be silent for minutes, and as long as it waits for something") {
  Harness jack;
  const TaskId task = jack.submit("mail", "a");
  RawSession idle(jack);
  RawSession waiting(jack);
  RawSession watching(jack);
  waiting.say(wire::Wait{2, task, 20h});
  wire::Watch watch;
  watch.correlation = 3;
  watching.say(watch);
  watching.next();
  jack.advance(9min);
  idle.say(wire::Ping{2});
  CHECK(std::holds_alternative<wire::Pong>(*idle.next()));
  jack.advance(11min);
  idle.say(wire::Ping{3});
  CHECK(std::holds_alternative<wire::Who>(*idle.next()));
  jack.advance(10h);
  waiting.say(wire::Ping{3});
  CHECK(std::holds_alternative<wire::Pong>(*waiting.next()));
  watching.say(wire::Ping{3});
  CHECK(std::holds_alternative<wire::Pong>(*watching.next()));
}

TEST_CASE("each bound of a session holds at its value and refuses beyond") {
  SessionLimits limits;
  limits.batch_tasks_max = 3;
  limits.batch_bytes_max = 4000;
  limits.credit_max = 4;
  limits.waits_per_session_max = 2;
  limits.watches_per_session_max = 2;
  limits.subscriptions_per_session_max = 2;
  limits.output_bytes_per_second_max = 1000;
  Harness jack({.sessions = limits});
  RawSession session(jack);

  SECTION("tasks of a message") {
    std::vector<TaskSpec> specs(3);
    for (TaskSpec& spec : specs) spec.queue = "mail";
    CHECK(jack.submit_all(specs).at(2));
    specs.emplace_back().queue = "mail";
    CHECK(jack.submit_all(specs).at(0).error().code == Code::invalid_argument);
    const std::vector<TaskId> ids(4);
    session.say(wire::Cancel{1, ids, ""});
    CHECK(session.expect_code() == Code::invalid_argument);
    session.say(wire::Retry{1, ids});
    CHECK(session.expect_code() == Code::invalid_argument);
    session.say(wire::Settle{1, std::vector<wire::Settle::Item>(4)});
    CHECK(session.expect_code() == Code::invalid_argument);
    session.say(wire::Extend{1, std::vector<wire::Extend::Item>(4)});
    CHECK(session.expect_code() == Code::invalid_argument);
    session.say(wire::Output{1, std::vector<wire::Output::Item>(4)});
    CHECK(session.expect_code() == Code::invalid_argument);
    session.say(wire::Progress{1, std::vector<wire::Progress::Item>(4)});
    CHECK(session.expect_code() == Code::invalid_argument);
    session.say(wire::Resume{1, 1, std::vector<wire::Resume::Item>(4)});
    CHECK(session.expect_code() == Code::invalid_argument);
  }
  SECTION("bytes of a message") {
    TaskSpec spec;
    spec.queue = "mail";
    spec.id = TaskId::from(jack.wall_now(), 1, 1);
    spec.payload.assign(4000 - encoded(spec).size() - 1, 'x');
    CHECK(encoded(spec).size() == 4000);
    CHECK(jack.try_submit(spec));
    spec.payload += 'x';
    CHECK(jack.try_submit(spec).error().code == Code::invalid_argument);
  }
  SECTION("credit is clamped") {
    CHECK(session.work(1, 3, {"mail"}) == Code::ok);
    CHECK(session.work(1, 3, {"mail"}) == Code::ok);
    CHECK(workers_of(jack, "mail") == 4);
    CHECK(session.work(1, -100, {"mail"}) == Code::ok);
    CHECK(workers_of(jack, "mail") == 0);
    CHECK(session.work(1, INT64_MAX, {"mail"}) == Code::ok);
    CHECK(workers_of(jack, "mail") == 4);
    CHECK(session.work(1, INT64_MIN, {"mail"}) == Code::ok);
    CHECK(workers_of(jack, "mail") == 0);
  }
  SECTION("waits") {
    const TaskId task = jack.submit("mail", "a");
    session.say(wire::Wait{1, task, 1h});
    session.say(wire::Wait{2, task, 1h});
    CHECK(session.next() == nullptr);
    session.say(wire::Wait{3, task, 1h});
    CHECK(session.expect_code() == Code::rate_limited);
  }
  SECTION("watches") {
    for (wire::Correlation watch = 1; watch <= 3; ++watch) {
      wire::Watch message;
      message.correlation = watch;
      message.after = Position{};
      session.say(message);
    }
    CHECK(session.expect_code() == Code::rate_limited);
    // The others are told where they stand.
    CHECK(session.expect<wire::Events>().events.empty());
    CHECK(session.expect<wire::Events>().events.empty());
    CHECK(session.next() == nullptr);
  }
  SECTION("subscriptions") {
    CHECK(session.work(1, 1, {"mail"}) == Code::ok);
    CHECK(session.work(2, 1, {"post"}) == Code::ok);
    CHECK(session.work(3, 1, {"parcel"}) == Code::rate_limited);
    CHECK(session.work(4, 1, {}) == Code::invalid_argument);
    CHECK(session.work(4, 1, {"?"}) == Code::invalid_argument);
    CHECK(session.work(4, 1, std::vector<std::string_view>(65, "q")) == Code::invalid_argument);
  }
  SECTION("output and progress by the second") {
    jack.submit("mail", "a");
    const Lease lease = jack.claim("mail");
    CHECK(jack.output(lease, std::string(1000, 'x')) == Code::ok);
    CHECK(jack.output(lease, "x") == Code::rate_limited);
    CHECK(jack.progress(lease, 0.1) == Code::rate_limited);
    jack.advance(1s);
    CHECK(jack.output(lease, std::string(700, 'x')) == Code::ok);
    CHECK(jack.progress(lease, 0.1) == Code::ok);
    CHECK(jack.progress(lease, 0.2) == Code::rate_limited);
    jack.advance(1h);
    CHECK(jack.progress(lease, 0.2) == Code::lease_lost);
  }
}

TEST_CASE("progress beyond its bounds is refused by name") {
  Harness jack;
  jack.submit("mail", "a");
  const Lease lease = jack.claim("mail");
  CHECK(jack.progress(lease, 0.2, std::string(257, 'n')) == Code::invalid_argument);
  CHECK(jack.progress(lease, 0.2, std::string(256, 'n')) == Code::ok);
  CHECK(jack.progress(lease, 1.0) == Code::ok);
}

TEST_CASE("what a worker cannot say is refused") {
  Harness jack;
  jack.submit("mail", "a");
  const Lease lease = jack.claim("mail");
  RawSession session(jack);
  wire::Settle::Item item;
  item.task = lease.task;
  item.token = lease.token;
  item.outcome = Outcome::succeeded;
  item.result = std::string_view();
  const std::vector<std::string> specs(1001, encoded({}));
  item.follow_ups.assign(specs.begin(), specs.end());
  session.say(wire::Settle{1, {item}});
  CHECK(session.expect_code() == Code::invalid_argument);
  CHECK(jack.holder("mail") == lease);
}

TEST_CASE("the engine tells about itself") {
  Harness jack({.transport = GENERATE("memory", "local")});
  jack.submit("mail", "a");
  CHECK(jack.fact("version") == "0.1.0");
  CHECK(jack.fact("tasks") == "1");
  CHECK(jack.fact("running") == "0");
  CHECK(jack.fact("state") == "running");
  CHECK_FALSE(jack.fact("guarantee").empty());
}

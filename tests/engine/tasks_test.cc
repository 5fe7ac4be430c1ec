// What sessions that stand for many others need: leases with signs of life of their own, chosen
// tasks, waits that are given up, watches by the thousand, lists that are narrowed.
#include <jack_engine/testing/harness.h>

#include "tests/catch.hpp"
#include "tests/engine/raw_session.h"

using namespace std::chrono_literals;
using namespace jack;
using namespace jack::testing;

namespace {

// A session of the engine's process that takes tasks for others, each with a lease of 30 s.
class Gateway {
 public:
  explicit Gateway(Harness& jack) : session(jack, true) {
    session.say(wire::Work{1, 1, 0, 30s, {"mail"}, true});
    session.expect_code();
  }

  Code take(const TaskId& task) {
    session.say(wire::Take{2, 1, {task}});
    return code();
  }
  Code extend(const TaskId& task, LeaseToken token, Duration lease = 0ms) {
    session.say(wire::Extend{3, {{task, token, lease}}});
    return code();
  }
  Code settle(const TaskId& task, LeaseToken token) {
    wire::Settle::Item item;
    item.task = task;
    item.token = token;
    item.result = "done";
    session.say(wire::Settle{4, {item}});
    return code();
  }
  void ping() {
    session.say(wire::Ping{5});
    while (session.next() != nullptr) {
    }
  }

  RawSession session;

 private:
  // Of the next answer, whatever the engine says besides.
  Code code() {
    for (;;) {
      const wire::Reply* reply = session.next();
      if (reply == nullptr) throw std::runtime_error("no answer has come");
      if (const auto* refused = std::get_if<wire::Refused>(reply)) return refused->code;
      if (const auto* done = std::get_if<wire::Done>(reply)) return done->items.at(0).code;
    }
  }
};

std::size_t events_of(RawSession& session) {
  std::size_t count = 0;
  while (const wire::Reply* reply = session.next()) {
    const auto* events = std::get_if<wire::Events>(reply);
    if (events == nullptr) continue;
    count += events->events.size();
    if (!events->events.empty()) session.say(wire::Grant{0, events->correlation, 1});
  }
  return count;
}

wire::Watch watch(wire::Correlation correlation, const TaskId& task, std::string_view queue = "") {
  return {correlation, task, queue, std::nullopt, 10};
}

std::vector<std::string> payload_types(Harness& jack, const wire::List& list) {
  RawSession session(jack);
  session.say(list);
  std::vector<std::string> types;
  for (const wire::Page::Item& item : session.expect<wire::Page>().tasks) {
    Unpacker unpacker;
    types.push_back(to_spec(decode_spec(unpacker, item.spec).value()).type);
  }
  return types;
}

}  // namespace

TEST_CASE("a chosen task is delivered to who took it, and to nobody else") {
  Harness jack({.transport = GENERATE("memory", "local")});
  jack.submit("mail", "a");
  const TaskId second = jack.submit("mail", "b");
  Gateway gateway(jack);

  CHECK(gateway.take(second) == Code::ok);
  const auto delivered = gateway.session.take_deliveries();
  REQUIRE(delivered.size() == 1);
  CHECK(delivered[0].spec.payload == "b");
  CHECK(gateway.take(second) == Code::failed_precondition);
  CHECK(gateway.settle(second, delivered[0].token) == Code::ok);
  CHECK(jack.result(second) == "done");
}

TEST_CASE("a task is not taken without a subscription") {
  Harness jack;
  RawSession session(jack);
  session.say(wire::Take{2, 9, {jack.submit("mail", "a")}});
  CHECK(session.expect_code() == Code::failed_precondition);
}

TEST_CASE("a lease with signs of life of its own ends although its session lives") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId kept = jack.submit("mail", "a");
  const TaskId left = jack.submit("mail", "b");
  Gateway gateway(jack);
  gateway.take(kept);
  auto delivered = gateway.session.take_deliveries();
  gateway.take(left);
  delivered.push_back(gateway.session.take_deliveries().at(0));

  for (int i = 0; i < 4; ++i) {
    jack.advance(20s);
    gateway.ping();
    if (i % 2 == 0) CHECK(gateway.extend(kept, delivered[0].token) == Code::ok);
    if (i % 2 == 1) {
      gateway.session.say(wire::Progress{6, {{kept, delivered[0].token, 10, "on"}}});
      gateway.ping();
    }
  }

  CHECK(jack.state(kept) == TaskState::running);
  CHECK(jack.state(left) != TaskState::running);
  CHECK(jack.task(left).status.attempts.at(0).outcome == Outcome::lost);
  CHECK(gateway.extend(left, delivered[1].token) == Code::lease_lost);
  jack.advance(31s);
  CHECK(jack.state(kept) != TaskState::running);
}

TEST_CASE("an extension of such a lease counts for it alone") {
  Harness jack;
  const TaskId task = jack.submit("mail", "a");
  Gateway gateway(jack);
  gateway.take(task);
  const auto delivered = gateway.session.take_deliveries();
  REQUIRE(gateway.extend(task, delivered.at(0).token, 10min) == Code::ok);
  for (int i = 0; i < 28; ++i) {
    jack.advance(20s);
    gateway.ping();
  }
  CHECK(jack.state(task) == TaskState::running);
  jack.advance(41s);
  gateway.ping();
  CHECK(jack.state(task) != TaskState::running);
}

TEST_CASE("leases that a session holds for others outlive their engine, unlike its own") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  LeaseToken token;
  {
    Gateway gateway(jack);
    gateway.take(task);
    token = gateway.session.take_deliveries().at(0).token;
    jack.restart();
  }
  CHECK(jack.state(task) == TaskState::running);
  Gateway again(jack);
  CHECK(again.settle(task, token) == Code::ok);
  CHECK(jack.result(task) == "done");
}

TEST_CASE("leases that a session holds for others outlive the session") {
  Harness jack;
  const TaskId task = jack.submit("mail", "a");
  Gateway gateway(jack);
  gateway.take(task);
  const LeaseToken token = gateway.session.take_deliveries().at(0).token;
  gateway.session.say(wire::Bye{9});
  jack.advance(20s);
  CHECK(jack.state(task) == TaskState::running);
  Gateway again(jack);
  CHECK(again.settle(task, token) == Code::ok);
}

TEST_CASE("a chosen task that is cancelled at once costs and gives no credit") {
  Harness jack;
  const TaskId task = jack.submit("mail", "a");
  RawSession session(jack);
  REQUIRE(session.work(1, 0, {"mail"}) == Code::ok);
  session.say(wire::Take{2, 1, {task}});
  session.say(wire::Cancel{3, {task}, "no"});
  jack.submit("mail", "b");
  CHECK(session.take_deliveries().empty());
  CHECK(workers_of(jack, "mail") == 0);
}

TEST_CASE("who waits for a task that is cancelled and removed at once is told") {
  Harness jack;
  const TaskId task = jack.submit("mail", "a");
  RawSession session(jack);
  session.say(wire::Wait{3, task, 1h});
  CHECK(session.next() == nullptr);
  RawSession other(jack);
  other.say(wire::Cancel{4, {task}, "no"});
  other.say(wire::Remove{5, {task}});
  CHECK(session.expect_code() == Code::not_found);
}

TEST_CASE("a subscription ends when nothing has come by it") {
  Harness jack;
  const TaskId task = jack.submit("mail", "a");
  Gateway gateway(jack);
  const auto unwork = [&](std::uint32_t number) {
    gateway.session.say(wire::Unwork{7, number});
    return gateway.session.expect_code();
  };
  CHECK(unwork(2) == Code::failed_precondition);
  gateway.take(task);
  const auto delivered = gateway.session.take_deliveries();
  CHECK(unwork(1) == Code::failed_precondition);
  gateway.settle(task, delivered.at(0).token);

  CHECK(unwork(1) == Code::ok);

  CHECK(gateway.take(jack.submit("mail", "b")) == Code::failed_precondition);
  // With credit, too: it is taken back.
  CHECK(gateway.session.work(1, 3, {"mail"}) == Code::ok);
  gateway.session.take_deliveries();
  RawSession other(jack);
  CHECK(other.work(1, 2, {"letters"}) == Code::ok);
  CHECK(workers_of(jack, "letters") == 2);
  other.say(wire::Unwork{8, 1});
  CHECK(other.expect_code() == Code::ok);
  CHECK(workers_of(jack, "letters") == 0);
}

TEST_CASE("a wait that is given up is not answered, and one more may begin") {
  Harness jack({.sessions = {.waits_per_session_max = 1}});
  const TaskId task = jack.submit("mail", "a");
  RawSession session(jack);
  session.say(wire::Wait{3, task, 1h});
  session.say(wire::Wait{4, task, 1h});
  CHECK(session.expect_code() == Code::rate_limited);

  session.say(wire::Unwatch{0, 3});
  session.say(wire::Wait{5, task, 1h});
  jack.succeed(jack.claim("mail"), "x");

  CHECK(session.expect<wire::ResultMessage>().correlation == 5);
  CHECK(session.next() == nullptr);
}

TEST_CASE("a result is waited for although a note has brought its task back into memory") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  jack.succeed(jack.claim("mail"), "result");
  jack.submitted("mail");  // a list has the store written
  RawSession session(jack);
  session.say(wire::Annotate{3, {{task, {{"by", "ada"}}}}});
  CHECK(session.expect_code() == Code::ok);

  session.say(wire::Wait{4, task, 1h});

  CHECK(session.expect<wire::ResultMessage>().result == "result");
  CHECK(jack.task(task).status.annotations.at("by") == "ada");
}

TEST_CASE("a session in the engine's process watches, waits and works without a bound of its own") {
  Harness jack({.sessions = {.waits_per_session_max = 2,
                             .watches_per_session_max = 2,
                             .subscriptions_per_session_max = 2}});
  const TaskId task = jack.submit("mail", "a");
  RawSession session(jack, true);
  for (wire::Correlation i = 10; i < 20; ++i) session.say(watch(i, task));
  for (wire::Correlation i = 20; i < 30; ++i) session.say(wire::Wait{i, task, 1h});
  for (std::uint32_t i = 1; i <= 10; ++i) {
    session.say(wire::Work{100 + i, i, 0, 30s, {"other"}, true});
  }
  std::size_t refused = 0;
  while (const wire::Reply* reply = session.next()) {
    refused += std::holds_alternative<wire::Refused>(*reply) ? 1 : 0;
  }
  CHECK(refused == 0);
}

TEST_CASE("each watch sees what concerns it, from where it stood still") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId mine = jack.submit("mail", "a");
  RawSession of_task(jack);
  RawSession of_queue(jack);
  RawSession of_all(jack);
  of_task.say(watch(5, mine));
  of_queue.say(watch(5, {}, "mail"));
  of_all.say(watch(5, {}));
  CHECK(events_of(of_task) + events_of(of_queue) + events_of(of_all) == 0);

  for (int i = 0; i < 50; ++i) jack.submit("other", "x");
  CHECK(events_of(of_task) == 0);
  CHECK(events_of(of_queue) == 0);
  CHECK(events_of(of_all) == 50);
  jack.submit("mail", "b");
  CHECK(events_of(of_task) == 0);
  CHECK(events_of(of_queue) == 1);
  jack.advance(25h);  // what was passed by is no longer kept
  jack.succeed(jack.claim("mail"), "x");
  CHECK(events_of(of_task) == 2);  // started, succeeded
  CHECK(events_of(of_queue) == 2);
}

TEST_CASE("a watch without credit misses nothing that happens meanwhile") {
  Harness jack({.transport = GENERATE("memory", "local")});
  RawSession session(jack);
  session.say(wire::Watch{5, {}, "mail", std::nullopt, 0});
  CHECK(events_of(session) == 0);
  for (int i = 0; i < 5; ++i) jack.submit("mail", "a");
  CHECK(events_of(session) == 0);
  session.say(wire::Grant{0, 5, 1});
  CHECK(events_of(session) == 5);
}

TEST_CASE("a list is narrowed by type, parent and time") {
  Harness jack;
  const TaskId parent = jack.submit("mail", "p");
  jack.advance(1h);
  const std::int64_t between = jack.wall_now().time_since_epoch().count();
  jack.advance(1h);
  TaskSpec child;
  child.queue = "mail";
  child.type = "child";
  child.parent = parent;
  jack.submit(child);
  TaskSpec other;
  other.queue = "mail";
  other.type = "other";
  jack.submit(other);
  using Types = std::vector<std::string>;

  wire::List all;
  all.correlation = 1;
  CHECK(payload_types(jack, all) == Types{"other", "child", ""});
  wire::List list = all;
  list.type = "child";
  CHECK(payload_types(jack, list) == Types{"child"});
  list = all;
  list.parent = parent;
  CHECK(payload_types(jack, list) == Types{"child"});
  list = all;
  list.from_ms = between;
  CHECK(payload_types(jack, list) == Types{"other", "child"});
  list = all;
  list.to_ms = between;
  CHECK(payload_types(jack, list) == Types{""});
}

TEST_CASE("a list brings payloads where they are asked for") {
  Harness jack({.transport = GENERATE("memory", "local")});
  jack.submit("mail", "a");
  for (const bool asked : {false, true}) {
    RawSession session(jack);
    wire::List list;
    list.correlation = 1;
    list.payloads = asked;
    session.say(list);
    const auto& page = session.expect<wire::Page>();
    REQUIRE(page.tasks.size() == 1);
    Unpacker unpacker;
    CHECK(decode_spec(unpacker, page.tasks[0].spec)->payload == (asked ? "a" : ""));
  }
}

TEST_CASE("a task is read by its number") {
  Harness jack({.transport = GENERATE("memory", "local")});
  jack.submit("mail", "a");
  const TaskId second = jack.submit("mail", "b");
  for (int i = 0; i < 2; ++i) {
    RawSession session(jack);
    session.say(wire::Get{3, {}, true, 2});
    const auto& task = session.expect<wire::TaskMessage>();
    Unpacker unpacker;
    CHECK(decode_spec(unpacker, task.spec)->id == second);
    session.say(wire::Get{4, {}, true, 3});
    CHECK(session.expect_code() == Code::not_found);
    jack.stop_and_restart();
  }
}

TEST_CASE("a queue tells how long its next task has waited, and how many come and go") {
  Harness jack;
  for (int i = 0; i < 60; ++i) {
    jack.submit("mail", "a");
    jack.advance(1s);
    if (i % 2 == 0) jack.succeed(jack.claim("mail"), "x");
  }
  RawSession session(jack);
  session.say(wire::Queues{1});
  const wire::QueueItem queue = session.expect<wire::QueueList>().queues.at(0);
  CHECK(queue.oldest == 30s);
  CHECK(queue.arriving_milli > 700);
  CHECK(queue.arriving_milli < 1000);
  CHECK(queue.leaving_milli > queue.arriving_milli / 3);
  CHECK(queue.leaving_milli < queue.arriving_milli * 2 / 3);
}

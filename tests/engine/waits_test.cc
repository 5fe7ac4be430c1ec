// Waiting for results.
#include <jack_engine/testing/harness.h>

#include "tests/catch.hpp"
#include "tests/engine/raw_session.h"

using namespace std::chrono_literals;
using namespace jack;
using namespace jack::testing;

TEST_CASE("a wait is answered when the task ends, however it ends") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  RawSession session(jack);
  session.say(wire::Wait{3, task, 1h});
  CHECK(session.next() == nullptr);

  SECTION("well") {
    jack.succeed(jack.claim("mail"), "sent");
    const auto& result = session.expect<wire::ResultMessage>();
    CHECK(result.correlation == 3);
    CHECK(result.state == TaskState::succeeded);
    CHECK(result.result == "sent");
  }
  SECTION("badly") {
    jack.fail(jack.claim("mail"), "no", {.retry = false});
    const auto& result = session.expect<wire::ResultMessage>();
    CHECK(result.state == TaskState::failed);
    CHECK(result.error == "no");
  }
  SECTION("by being cancelled") {
    jack.cancel(task, "not needed");
    const auto& result = session.expect<wire::ResultMessage>();
    CHECK(result.state == TaskState::cancelled);
    CHECK(result.error == "not needed");
  }
  CHECK(session.next() == nullptr);
  CHECK(jack.fact("waits") == "0");
}

TEST_CASE("all who wait for a task are answered, each once") {
  Harness jack;
  const TaskId task = jack.submit("mail", "a");
  RawSession one(jack);
  RawSession two(jack);
  one.say(wire::Wait{3, task, 1h});
  one.say(wire::Wait{4, task, 1h});
  two.say(wire::Wait{5, task, 1h});
  jack.advance(0s);
  jack.succeed(jack.claim("mail"), "sent");
  CHECK(one.expect<wire::ResultMessage>().correlation == 3);
  CHECK(one.expect<wire::ResultMessage>().correlation == 4);
  CHECK(two.expect<wire::ResultMessage>().correlation == 5);
  CHECK(one.next() == nullptr);
}

TEST_CASE("a wait ends at its deadline, and the task is as it was") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  CHECK(jack.wait(task, 0s).error().code == Code::timed_out);
  CHECK(jack.wait(task, 10s).error().code == Code::timed_out);
  CHECK(jack.state(task) == TaskState::queued);
  CHECK(jack.fact("waits") == "0");
}

TEST_CASE("a wait for a task that is not there is refused at once") {
  Harness jack({.transport = GENERATE("memory", "local")});
  CHECK(jack.wait(TaskId::from(jack.wall_now(), 7, 7), 1h).error().code == Code::not_found);
}

TEST_CASE("a finished task answers from memory, from the store, and after a restart") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  jack.succeed(jack.claim("mail"), "sent");
  CHECK(jack.wait(task, 1h).value().result == "sent");
  jack.advance(5s);
  CHECK(jack.wait(task, 1h).value().result == "sent");
  jack.restart();
  CHECK(jack.wait(task, 1h).value().result == "sent");
}

TEST_CASE("a wait goes on over failed attempts, and over a retry in the same entry") {
  Harness jack;
  TaskSpec spec;
  spec.queue = "mail";
  spec.max_attempts = 1;
  const TaskId task = jack.submit(spec);
  const Lease lease = jack.claim("mail");
  RawSession session(jack);
  session.say(wire::Wait{3, task, 1h});
  jack.advance(0s);
  // Both messages arrive in one turn, and so stand in one entry.
  wire::Settle::Item item;
  item.task = task;
  item.token = lease.token;
  item.outcome = Outcome::failed;
  item.error = "no";
  session.say(wire::Settle{4, {item}});
  session.say(wire::Retry{5, {task}});
  CHECK(session.expect_code() == Code::ok);
  CHECK(session.expect_code() == Code::ok);
  CHECK(session.next() == nullptr);

  jack.succeed(jack.claim("mail"), "at last");
  CHECK(session.expect<wire::ResultMessage>().result == "at last");
}

TEST_CASE("a wait for a stored task that is being retried waits for its new cycle") {
  Harness jack;
  const TaskId task = jack.submit("mail", "a");
  jack.fail(jack.claim("mail"), "no", {.retry = false});
  jack.advance(5s);
  jack.restart();
  RawSession session(jack);
  session.say(wire::Retry{1, {task}});
  session.say(wire::Wait{2, task, 1h});  // when it arrives, the retry has not been applied
  CHECK(session.expect_code() == Code::ok);
  CHECK(session.next() == nullptr);
  jack.succeed(jack.claim("mail"), "at last");
  CHECK(session.expect<wire::ResultMessage>().result == "at last");
}

TEST_CASE("a session that goes takes its waits along") {
  Harness jack;
  const TaskId task = jack.submit("mail", "a");
  const TaskId other = jack.submit("mail", "b");
  RawSession session(jack);
  RawSession stays(jack);
  session.say(wire::Wait{1, task, 1h});
  stays.say(wire::Wait{1, task, 1h});
  session.say(wire::Wait{2, other, 1h});
  session.say(wire::Wait{3, task, 1h});
  jack.advance(0s);
  CHECK(jack.fact("waits") == "4");
  session.vanish();
  jack.advance(0s);
  CHECK(jack.fact("waits") == "1");
  jack.succeed(jack.claim("mail"), "sent");
  CHECK(stays.expect<wire::ResultMessage>().result == "sent");
  CHECK(session.next() == nullptr);
}

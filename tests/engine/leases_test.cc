// Leases: how they are kept alive, how they end, how workers come back for them.
#include <jack_engine/testing/harness.h>

#include "tests/catch.hpp"
#include "tests/engine/raw_session.h"

using namespace std::chrono_literals;
using namespace jack;
using namespace jack::testing;

TEST_CASE("a lease lasts as long as its worker gives signs of life") {
  Harness jack({.transport = GENERATE("memory", "local")});
  jack.submit("mail", "a");
  const Lease lease = jack.claim("mail");
  for (int i = 0; i < 100; ++i) {
    jack.advance(29s);
    jack.heartbeat(lease);
  }
  CHECK(jack.holder("mail") == lease);

  jack.advance(29999ms);
  CHECK(jack.holder("mail") == lease);
  jack.advance(1ms);
  CHECK_FALSE(jack.holder("mail"));
}

TEST_CASE("a worker may ask for a lease of its own length, within bounds") {
  Harness jack;
  jack.submit("mail", "a");
  const Lease lease = jack.claim("mail", {.lease = 5min});
  jack.advance(299s);
  CHECK(jack.holder("mail") == lease);
  jack.advance(1s);
  CHECK_FALSE(jack.holder("mail"));

  jack.advance(2s);
  const Lease shortest = jack.claim("mail", {.lease = 1ms});
  REQUIRE(shortest);
  jack.advance(999ms);
  CHECK(jack.holder("mail") == shortest);
  jack.advance(1ms);
  CHECK_FALSE(jack.holder("mail"));
}

TEST_CASE("an extension sets how long a worker may be silent from now on") {
  Harness jack({.transport = GENERATE("memory", "local")});
  jack.submit("mail", "a");
  const Lease lease = jack.claim("mail");
  REQUIRE(jack.extend(lease, 1h) == Code::ok);
  jack.advance(59min);
  CHECK(jack.holder("mail") == lease);
  // Its session was forgotten meanwhile, as it said nothing; the lease was not.
  REQUIRE(jack.heartbeat(lease));
  jack.advance(1min);
  CHECK_FALSE(jack.holder("mail"));
}

TEST_CASE("an extension may also shorten a lease, and is never longer than the bound") {
  Harness jack;
  jack.submit("mail", "a");
  jack.submit("mail", "b");
  const Lease lease = jack.claim("mail");
  REQUIRE(jack.extend(lease, 2s) == Code::ok);
  jack.advance(2s);
  CHECK_FALSE(jack.holder("mail"));
  CHECK(jack.ended(lease) == Outcome::lost);

  const Lease longest = jack.claim("mail");
  REQUIRE(jack.extend(longest, 1000h) == Code::ok);
  jack.advance(12h - 1s);
  CHECK(jack.holder("mail") == longest);
  jack.advance(1s);
  CHECK_FALSE(jack.holder("mail"));
}

TEST_CASE("a worker that says goodbye loses its leases at once") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  RawSession worker(jack);
  worker.work(1, 1, {"mail"});
  REQUIRE(worker.take_deliveries().size() == 1);
  worker.say(wire::Bye{});
  jack.advance(0s);

  CHECK(jack.state(task) == TaskState::scheduled);
  CHECK(jack.error(task) == "its worker went away");
  CHECK(jack.fact("leases") == "0");
}

TEST_CASE("a worker whose connection broke has a moment to come back, within its lease") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  Lease lease = jack.claim("mail");
  jack.lose_worker(lease);
  jack.advance(4999ms);
  REQUIRE(jack.resume(lease) == Code::ok);
  jack.advance(20s);
  CHECK(jack.holder("mail") == lease);
  CHECK(jack.succeed(lease, "still here") == Code::ok);
  CHECK(jack.task(task).status.attempt == 1);

  jack.submit("mail", "b");
  Lease late = jack.claim("mail");
  jack.lose_worker(late);
  jack.advance(5s);
  CHECK(jack.resume(late) == Code::lease_lost);

  jack.advance(2s);
  Lease silent = jack.claim("mail");
  jack.advance(28s);
  jack.lose_worker(silent);
  jack.advance(1999ms);
  CHECK(jack.holder("mail") == silent);
  jack.advance(1ms);  // the end of its lease, before that of its grace
  CHECK_FALSE(jack.holder("mail"));
}

TEST_CASE("a worker in the engine's process gets no grace") {
  Harness jack;
  const TaskId task = jack.submit("mail", "a");
  jack.lose_worker(jack.claim("mail", {.in_process = true}));
  CHECK(jack.state(task) == TaskState::scheduled);
}

TEST_CASE("a worker that comes back after a restart keeps its lease, token and attempt") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const bool flushed = GENERATE(false, true);
  const TaskId task = jack.submit("mail", "a");
  Lease lease = jack.claim("mail");
  if (flushed) jack.advance(2s);
  for (int restarts = 0; restarts < 3; ++restarts) {
    jack.restart();
    jack.advance(10s);
    REQUIRE(jack.resume(lease) == Code::ok);
  }
  jack.advance(29s);
  CHECK(jack.holder("mail") == lease);
  CHECK(jack.succeed(lease, "three engines later") == Code::ok);
  CHECK(jack.result(task) == "three engines later");
  CHECK(jack.task(task).status.attempt == 1);
  CHECK(jack.hash() == jack.replay_hash());
}

TEST_CASE("after a restart a lease that nobody comes back for ends after its time") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  Lease lease = jack.claim("mail");
  jack.restart();
  jack.advance(29s);
  CHECK(jack.state(task) == TaskState::running);
  jack.advance(5s);  // ticks move the liveness clock in steps
  CHECK(jack.task(task).status.attempts.at(0).outcome == Outcome::lost);
  CHECK(jack.resume(lease) == Code::lease_lost);
}

TEST_CASE("the history names the worker of a lost attempt, even if its session is long gone") {
  Harness jack;
  const TaskId task = jack.submit("mail", "a");
  const Lease lease = jack.claim("mail", {.worker = "ada"});
  jack.lose_worker(lease);
  jack.advance(6s);
  const AttemptRecord attempt = jack.task(task).status.attempts.at(0);
  CHECK(attempt.outcome == Outcome::lost);
  CHECK(attempt.error == "its worker did not come back");
  CHECK(attempt.worker == "ada");
}

TEST_CASE("after a restart a settle needs no resume") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  const Lease lease = jack.claim("mail");
  jack.restart();

  CHECK(jack.succeed(lease, "meanwhile") == Code::ok);
  CHECK(jack.result(task) == "meanwhile");
}

TEST_CASE("a lease resumed under another set of queues moves to that pool") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  RawSession first(jack);
  first.work(1, 1, {"mail"});
  const auto delivered = first.take_deliveries();
  REQUIRE(delivered.size() == 1);
  first.vanish();

  RawSession second(jack);
  second.work(1, 0, {"mail", "post"});
  second.say(wire::Resume{2, 1, {{task, delivered[0].token}}});
  CHECK(second.expect_code() == Code::ok);
  jack.advance(20s);
  CHECK(jack.state(task) == TaskState::running);
  second.settle(delivered[0], false);
  CHECK(second.expect_code() == Code::ok);
  CHECK(jack.hash() == jack.replay_hash());
}

TEST_CASE("a resume needs a subscription, and a lease that stands") {
  Harness jack;
  const TaskId task = jack.submit("mail", "a");
  const Lease lease = jack.claim("mail");
  RawSession other(jack);
  other.say(wire::Resume{2, 1, {{task, lease.token}}});
  CHECK(other.expect_code() == Code::failed_precondition);
  other.work(1, 0, {"mail"});
  other.say(wire::Resume{2, 1, {{task, LeaseToken{lease.token.value + 1}}}});
  CHECK(other.expect_code() == Code::lease_lost);
  // Whoever has the token may take the lease over; the first worker still can settle by it.
  other.say(wire::Resume{2, 1, {{task, lease.token}}});
  CHECK(other.expect_code() == Code::ok);
  CHECK(jack.succeed(lease) == Code::ok);
}

TEST_CASE("a lease that has ended cannot be resumed, by its own session either") {
  Harness jack;
  const TaskId task = jack.submit("mail", "a");
  RawSession worker(jack);
  worker.work(1, 1, {"mail"});
  const auto tasks = worker.take_deliveries();
  jack.cancel(task);
  worker.next();
  worker.say(wire::Resume{2, 1, {{task, tasks.at(0).token}}});
  CHECK(worker.expect_code() == Code::lease_lost);
}

TEST_CASE("a worker that resumes and goes at once loses what it resumed") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  const Lease lease = jack.claim("mail");
  jack.restart();
  RawSession worker(jack);
  worker.work(1, 0, {"mail"});
  worker.say(wire::Resume{2, 1, {{task, lease.token}}});
  worker.say(wire::Bye{});
  jack.advance(0s);
  CHECK(jack.state(task) == TaskState::scheduled);
  CHECK(jack.error(task) == "its worker went away");
}

TEST_CASE("thousands of leases of a broken connection end after their grace, each once") {
  Harness jack;
  RawSession worker(jack);
  for (std::uint32_t subscription = 1; subscription <= 2; ++subscription) {
    std::vector<TaskSpec> specs(1000);
    for (TaskSpec& spec : specs) spec.queue = "mail" + std::to_string(subscription);
    worker.say(wire::Work{1, subscription, 1000, 0s, {specs[0].queue}});
    jack.submit_all(specs);
  }
  for (int breaks = 0; breaks < 2; ++breaks) {
    REQUIRE(worker.take_deliveries().size() == (breaks == 0 ? 2000 : 0));
    worker.vanish();
    jack.advance(1s);
  }
  CHECK(jack.fact("leases") == "2000");
  jack.advance(4s);
  CHECK(jack.fact("leases") == "0");
  CHECK(jack.fact("running") == "0");
}

TEST_CASE("an engine that stood still takes nobody for silent") {
  Harness jack({.transport = GENERATE("memory", "local")});
  jack.submit("mail", "a");
  const Lease lease = jack.claim("mail");
  jack.advance(10s);
  jack.freeze(10min);
  jack.advance(15s);

  CHECK(jack.holder("mail") == lease);
  CHECK(jack.heartbeat(lease));
  jack.advance(30s);
  CHECK_FALSE(jack.holder("mail"));
}

TEST_CASE("a worker is told when its task is cancelled, and its settle is refused") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  const Lease lease = jack.claim("mail");
  REQUIRE(jack.cancel(task, "changed my mind") == Code::ok);

  CHECK(jack.ended(lease) == Outcome::cancelled);
  CHECK(jack.succeed(lease, "too late") == Code::lease_lost);
  CHECK(jack.state(task) == TaskState::cancelled);
  CHECK(jack.error(task) == "changed my mind");
  CHECK(jack.cancel(task) == Code::ok);
}

TEST_CASE("the same settle twice gets the first answer, at once, later, and after a restart") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  const Lease lease = jack.claim("mail");
  REQUIRE(jack.succeed(lease, "sent") == Code::ok);
  CHECK(jack.succeed(lease, "sent") == Code::ok);
  CHECK(jack.succeed(lease, "something else") == Code::lease_lost);
  jack.advance(5s);
  CHECK(jack.succeed(lease, "sent") == Code::ok);
  jack.restart();
  CHECK(jack.succeed(lease, "sent") == Code::ok);
  CHECK(jack.result(task) == "sent");
  CHECK(jack.story(task) == "submitted started succeeded");

  const TaskId fails = jack.submit("mail", "b");
  const Lease failing = jack.claim("mail");
  REQUIRE(jack.fail(failing, "no") == Code::ok);
  CHECK(jack.fail(failing, "no") == Code::ok);
  jack.advance(2s);
  const Lease next = jack.claim("mail");
  CHECK(next.attempt == 2);
  CHECK(jack.state(fails) == TaskState::running);
}

TEST_CASE("tokens grow over restarts") {
  Harness jack({.transport = GENERATE("memory", "local")});
  LeaseToken last;
  for (int i = 0; i < 5; ++i) {
    jack.submit("mail", "a");
    const Lease lease = jack.claim("mail");
    CHECK(lease.token > last);
    last = lease.token;
    REQUIRE(jack.succeed(lease) == Code::ok);
    if (i == 2) jack.advance(2s);
    jack.restart();
  }
}

TEST_CASE("progress and output of an attempt are seen at once and kept") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  const Lease lease = jack.claim("mail", {.worker = "postman"});
  REQUIRE(jack.progress(lease, 0.25, "stamping") == Code::ok);
  REQUIRE(jack.output(lease, "one ") == Code::ok);
  REQUIRE(jack.output(lease, "two") == Code::ok);

  CHECK(jack.task(task).status.progress_permille == 250);
  CHECK(jack.task(task).status.progress_note == "stamping");
  CHECK(jack.task(task).status.worker == "postman");
  CHECK(jack.output(task) == "one two");
  REQUIRE(jack.succeed(lease) == Code::ok);
  jack.advance(5s);
  jack.restart();
  CHECK(jack.output(task) == "one two");
  CHECK(jack.task(task).status.attempts.at(0).worker == "postman");
}

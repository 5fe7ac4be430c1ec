// Attempts that fail, and what comes after.
#include <jack_engine/testing/harness.h>

#include "tests/catch.hpp"

using namespace std::chrono_literals;
using namespace jack;
using namespace jack::testing;

TEST_CASE("a retry ladder of three days runs in no time") {
  Harness jack({.transport = GENERATE("memory", "local")});
  std::vector<WallTime> runs;
  jack.on("flaky", [&](Attempt& attempt) -> Settlement {
    runs.push_back(jack.wall_now());
    return Settlement::fail("no luck at attempt " + std::to_string(attempt.number()));
  });
  TaskSpec spec;
  spec.queue = "flaky";
  spec.max_attempts = 8;
  spec.backoff = {1h, 2000, 24h, 0};
  const TaskId task = jack.submit(spec);

  CHECK(jack.run_until_idle() == 79h);  // 1 + 2 + 4 + 8 + 16 + 24 + 24
  REQUIRE(runs.size() == 8);
  CHECK(runs[1] - runs[0] == 1h);
  CHECK(runs[5] - runs[4] == 16h);
  CHECK(runs[6] - runs[5] == 24h);
  CHECK(runs[7] - runs[6] == 24h);
  CHECK(jack.state(task) == TaskState::failed);
  CHECK(jack.error(task) == "no luck at attempt 8");
  CHECK(jack.task(task).status.attempts.size() == 8);
  CHECK(jack.hash() == jack.replay_hash());
}

// After more than the twelve hours of its lease the engine had given the handler up, and the task
// stayed queued.
TEST_CASE("a handler is still there when the test lets days pass") {
  Harness jack;
  jack.on("greet", [](Attempt& attempt) {
    return attempt.number() == 1 ? Settlement::fail("not yet") : Settlement("done");
  });
  TaskSpec spec;
  spec.queue = "greet";
  spec.backoff = {24h, 2000, 24h, 0};
  const TaskId task = jack.submit(spec);

  jack.advance(72h);

  CHECK(jack.result(task) == "done");
}

TEST_CASE("jitter moves a retry by its share at most, and the same every time") {
  Duration passed[2] = {};
  for (Duration& each : passed) {
    Harness jack;
    jack.on("flaky", [](Attempt&) -> Settlement { return Settlement::fail("no"); });
    TaskSpec spec;
    spec.queue = "flaky";
    spec.max_attempts = 2;
    spec.backoff = {100s, 2000, 1h, 200};
    jack.submit(spec);
    each = jack.run_until_idle();
  }
  CHECK(passed[0] == passed[1]);
  CHECK(passed[0] >= 80s);
  CHECK(passed[0] <= 120s);
}

TEST_CASE("a handler that throws has failed, with the exception's text") {
  Harness jack;
  jack.on("flaky", [](Attempt&) -> Settlement { throw std::runtime_error("out of cheese"); });
  TaskSpec spec;
  spec.queue = "flaky";
  spec.max_attempts = 1;
  const TaskId task = jack.submit(spec);
  jack.run_until_idle();

  CHECK(jack.state(task) == TaskState::failed);
  CHECK(jack.error(task) == "out of cheese");
  CHECK(jack.story(task) == "submitted started failed");
}

TEST_CASE("a failure for good leaves no attempts") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  REQUIRE(jack.fail(jack.claim("mail"), "no such address", {.retry = false}) == Code::ok);

  CHECK(jack.state(task) == TaskState::failed);
  CHECK(jack.error(task) == "no such address");
}

TEST_CASE("a worker may say when to try again") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  REQUIRE(jack.fail(jack.claim("mail"), "busy", {.delay = 5min}) == Code::ok);

  jack.advance(299s);
  CHECK(jack.state(task) == TaskState::scheduled);
  jack.advance(1s);
  CHECK(jack.state(task) == TaskState::queued);
}

TEST_CASE("a release gives the task back, first in line and without blame") {
  Harness jack({.transport = GENERATE("memory", "local")});
  TaskSpec spec;
  spec.queue = "mail";
  spec.max_attempts = 1;
  const TaskId task = jack.submit(spec);
  jack.submit("mail", "another");
  for (int i = 0; i < 30; ++i) {
    const Lease lease = jack.claim("mail");
    REQUIRE(lease.task == task);
    CHECK(lease.attempt == 1);
    REQUIRE(jack.release(lease) == Code::ok);
  }
  CHECK(jack.state(task) == TaskState::queued);

  REQUIRE(jack.release(jack.claim("mail"), 10s) == Code::ok);
  CHECK(jack.state(task) == TaskState::scheduled);
  jack.advance(10s);
  CHECK(jack.state(task) == TaskState::queued);
}

TEST_CASE("an attempt that runs longer than its timeout ends, however alive its worker is") {
  Harness jack({.transport = GENERATE("memory", "local")});
  TaskSpec spec;
  spec.queue = "mail";
  spec.timeout = 20s;
  spec.max_attempts = 2;
  const TaskId task = jack.submit(spec);
  const Lease lease = jack.claim("mail");
  jack.advance(10s);
  jack.heartbeat(lease);
  jack.advance(9999ms);
  CHECK(jack.holder("mail") == lease);
  jack.advance(1ms);

  CHECK(jack.ended(lease) == Outcome::timed_out);
  CHECK(jack.succeed(lease, "late") == Code::lease_lost);
  CHECK(jack.state(task) == TaskState::scheduled);
  CHECK(jack.task(task).status.attempts.at(0).outcome == Outcome::timed_out);
}

TEST_CASE("a task that kills its worker ends as failed, over restarts of the engine too") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const bool in_process = GENERATE(true, false);
  TaskSpec spec;
  spec.queue = "poison";
  spec.max_attempts = 3;
  spec.backoff = {1s, 1000, 1s, 0};
  const TaskId task = jack.submit(spec);
  for (std::uint32_t attempt = 1; attempt <= 3; ++attempt) {
    const Lease lease = jack.claim("poison", {.in_process = in_process});
    REQUIRE(lease.attempt == attempt);
    jack.restart();     // the worker is gone with it, or never comes back
    jack.advance(40s);  // the time in which a remote one could, and the back-off
  }

  CHECK(jack.state(task) == TaskState::failed);
  CHECK(jack.task(task).status.attempts.size() == 3);
  CHECK_FALSE(jack.claim("poison"));
}

TEST_CASE("a task can be tried again by hand after each way in which it can end badly") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const bool stored = GENERATE(false, true);
  TaskSpec spec;
  spec.queue = "mail";
  spec.max_attempts = 1;
  const TaskId failed = jack.submit(spec);
  REQUIRE(jack.fail(jack.claim("mail"), "no") == Code::ok);
  const TaskId cancelled = jack.submit(spec);
  REQUIRE(jack.cancel(cancelled, "not needed") == Code::ok);
  spec.expires_in = 1s;
  const TaskId expired = jack.submit(spec);
  jack.advance(1s);
  if (stored) jack.advance(5s);
  if (stored) jack.restart();

  for (const TaskId& task : {failed, cancelled, expired}) {
    CHECK(jack.retry(task) == Code::ok);
    CHECK(jack.state(task) == TaskState::queued);
    CHECK(jack.task(task).status.cycle == 2);
    const Lease lease = jack.claim("mail");
    CHECK(lease.task == task);
    CHECK(lease.attempt == 1);
    CHECK(jack.succeed(lease, "at last") == Code::ok);
    CHECK(jack.result(task) == "at last");
  }
  CHECK(jack.story(failed) == "submitted started failed retried started succeeded");
  jack.advance(5s);
  jack.restart();
  CHECK(jack.result(failed) == "at last");
  CHECK(jack.hash() == jack.replay_hash());
}

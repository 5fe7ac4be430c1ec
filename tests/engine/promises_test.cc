// What JACK promises, one test for each promise or more.
#include <jack_engine/testing/harness.h>

#include "tests/catch.hpp"

using namespace std::chrono_literals;
using namespace jack;
using namespace jack::testing;

TEST_CASE("an accepted task survives the engine's end at any moment") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId before_flush = jack.submit("mail", "a");
  jack.restart();
  jack.advance(2s);  // beyond the flush
  const TaskId after_flush = jack.submit("mail", "b");
  jack.advance(2s);
  jack.restart();

  CHECK(jack.task(before_flush).spec.payload == "a");
  CHECK(jack.task(after_flush).spec.payload == "b");
  CHECK(jack.state(before_flush) == TaskState::queued);
}

TEST_CASE("nothing is acknowledged before its entry is durable") {
  Harness jack({.transport = GENERATE("memory", "local")});
  TaskSpec spec;
  spec.queue = "mail";
  spec.id = TaskId::from(jack.wall_now(), 1, 1);
  jack.hold_appends();

  CHECK(jack.try_submit(spec).error().code == Code::unavailable);
  CHECK(jack.get(spec.id).error().code == Code::not_found);

  jack.release_appends();
  CHECK(jack.state(spec.id) == TaskState::queued);
}

TEST_CASE("the same submit twice is one task, over restarts and after its end too") {
  Harness jack({.transport = GENERATE("memory", "local")});
  TaskSpec spec;
  spec.queue = "mail";
  spec.payload = "a";
  spec.id = TaskId::from(jack.wall_now(), 1, 1);
  jack.submit(spec);
  jack.submit(spec);
  CHECK(jack.submitted("mail").size() == 1);

  REQUIRE(jack.succeed(jack.claim("mail"), "done") == Code::ok);
  jack.submit(spec);
  CHECK(jack.result(spec.id) == "done");

  jack.advance(5s);
  jack.restart();
  jack.submit(spec);
  CHECK(jack.result(spec.id) == "done");
  CHECK_FALSE(jack.claim("mail"));
}

TEST_CASE("another task under an id that is taken is refused") {
  Harness jack({.transport = GENERATE("memory", "local")});
  TaskSpec spec;
  spec.queue = "mail";
  spec.payload = "a";
  spec.id = TaskId::from(jack.wall_now(), 1, 1);
  jack.submit(spec);

  spec.payload = "b";
  CHECK(jack.try_submit(spec).error().code == Code::already_exists);
  REQUIRE(jack.succeed(jack.claim("mail"), "done") == Code::ok);
  jack.advance(5s);
  CHECK(jack.try_submit(spec).error().code == Code::already_exists);
  CHECK(jack.task(spec.id).spec.payload == "a");
}

TEST_CASE("two workers never hold a lease on one task") {
  Harness jack({.transport = GENERATE("memory", "local")});
  jack.submit("mail", "a");
  const Lease first = jack.claim("mail");
  REQUIRE(first);

  CHECK_FALSE(jack.claim("mail"));
  CHECK(jack.holder("mail") == first);
}

TEST_CASE("what is said under a lease that has ended changes nothing") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  const Lease first = jack.claim("mail");
  jack.advance(31s);  // longer than the lease
  jack.advance(2s);   // and the back-off
  const Lease second = jack.claim("mail");
  REQUIRE(second);
  CHECK(second.token > first.token);

  CHECK(jack.succeed(first, "late") == Code::lease_lost);
  CHECK(jack.fail(first, "late") == Code::lease_lost);
  CHECK(jack.release(first) == Code::lease_lost);
  CHECK(jack.extend(first, 1min) == Code::lease_lost);
  CHECK(jack.progress(first, 0.5) == Code::lease_lost);
  CHECK(jack.output(first, "late") == Code::lease_lost);

  CHECK(jack.holder("mail") == second);
  CHECK(jack.output(task).empty());
  CHECK(jack.task(task).status.progress_permille == 0);
  CHECK(jack.succeed(second, "in time") == Code::ok);
  CHECK(jack.result(task) == "in time");
}

TEST_CASE("a task whose worker vanishes runs again, and the attempt counts") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  const Lease first = jack.claim("mail");
  CHECK(first.attempt == 1);
  jack.lose_worker(first);
  jack.advance(6s);  // the grace in which it could have come back
  jack.advance(2s);

  const Lease second = jack.claim("mail");
  CHECK(second.attempt == 2);
  CHECK(jack.task(task).status.attempts.at(0).outcome == Outcome::lost);
}

TEST_CASE("a result is readable as soon as its settle is acknowledged, and stays") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  REQUIRE(jack.succeed(jack.claim("mail"), "sent") == Code::ok);
  CHECK(jack.result(task) == "sent");

  jack.advance(5s);  // it is in the store alone
  CHECK(jack.result(task) == "sent");
  jack.restart();
  CHECK(jack.result(task) == "sent");
  CHECK(jack.cancel(task) == Code::failed_precondition);
  CHECK(jack.retry(task) == Code::failed_precondition);
  CHECK(jack.state(task) == TaskState::succeeded);
}

TEST_CASE("first attempts of one queue and priority start in the order of their acceptance") {
  Harness jack({.transport = GENERATE("memory", "local")});
  std::vector<TaskId> tasks;
  for (int i = 0; i < 20; ++i) tasks.push_back(jack.submit("mail", std::to_string(i)));
  jack.advance(2s);
  jack.restart();
  for (int i = 20; i < 30; ++i) tasks.push_back(jack.submit("mail", std::to_string(i)));

  for (const TaskId& task : tasks) {
    const Lease lease = jack.claim("mail");
    CHECK(lease.task == task);
  }
}

TEST_CASE("no attempt starts before not_before, and none at or after expires_at") {
  Harness jack({.transport = GENERATE("memory", "local")});
  TaskSpec spec;
  spec.queue = "mail";
  spec.not_before = jack.wall_now() + 10s;
  const TaskId early = jack.submit(spec);
  jack.advance(9999ms);
  CHECK_FALSE(jack.claim("mail"));
  CHECK(jack.state(early) == TaskState::scheduled);
  jack.advance(1ms);
  CHECK(jack.claim("mail").task == early);

  TaskSpec late;
  late.queue = "post";
  late.expires_at = jack.wall_now() + 10s;
  const TaskId expires = jack.submit(late);
  jack.advance(10s);
  CHECK_FALSE(jack.claim("post"));
  CHECK(jack.state(expires) == TaskState::expired);
}

TEST_CASE("a wall clock that jumps by a day ends no lease and starts nothing early") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const Duration jump = GENERATE(Duration{24h}, Duration{-24h});
  TaskSpec delayed;
  delayed.queue = "later";
  delayed.delay = 1h;
  const TaskId later = jack.submit(delayed);
  jack.submit("mail", "a");
  const Lease lease = jack.claim("mail");
  jack.jump_wall_clock(jump);
  jack.advance(25s);

  CHECK(jack.holder("mail") == lease);
  CHECK(jack.state(later) == TaskState::scheduled);
  CHECK(jack.succeed(lease) == Code::ok);
  jack.advance(1h);
  CHECK(jack.state(later) == TaskState::queued);
}

TEST_CASE("a date is taken by the wall clock of the moment of its submit") {
  Harness jack({.transport = GENERATE("memory", "local")});
  jack.jump_wall_clock(1h);
  TaskSpec spec;
  spec.queue = "mail";
  spec.not_before = jack.wall_now() + 10s;
  const TaskId task = jack.submit(spec);

  jack.advance(9s);
  CHECK(jack.state(task) == TaskState::scheduled);
  jack.advance(1s);
  CHECK(jack.state(task) == TaskState::queued);
}

TEST_CASE("what is wrong is refused by name, and what was there is untouched") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId good = jack.submit("mail", "a");
  TaskSpec spec;
  spec.queue = "no spaces";
  CHECK(jack.try_submit(spec).error().code == Code::invalid_argument);
  spec.queue = "mail";
  spec.payload.assign((1 << 20) + 1, 'x');
  CHECK(jack.try_submit(spec).error().code == Code::payload_too_large);
  spec.payload.clear();
  spec.max_attempts = 0;
  CHECK(jack.try_submit(spec).error().code == Code::invalid_argument);

  CHECK(jack.submitted("mail").size() == 1);
  CHECK(jack.state(good) == TaskState::queued);
}

TEST_CASE("of a batch each task has an outcome of its own") {
  Harness jack({.transport = GENERATE("memory", "local")});
  std::vector<TaskSpec> specs(4);
  specs[0].queue = "mail";
  specs[1].queue = "?";
  specs[2].queue = "mail";
  specs[2].id = specs[0].id = TaskId::from(jack.wall_now(), 1, 1);
  specs[2].payload = "another";
  specs[3].queue = "mail";
  const auto results = jack.submit_all(specs);

  CHECK(results[0]);
  CHECK(results[1].error().code == Code::invalid_argument);
  CHECK(results[2].error().code == Code::already_exists);
  CHECK(results[3]);
  CHECK(jack.submitted("mail").size() == 2);
}

// Tasks that follow from others, in the same step or not at all.
#include <jack_engine/testing/harness.h>

#include "tests/catch.hpp"
#include "tests/engine/raw_session.h"

using namespace std::chrono_literals;
using namespace jack;
using namespace jack::testing;

namespace {

TaskSpec spec_for(std::string_view queue, std::string_view payload = {}) {
  TaskSpec spec;
  spec.queue = queue;
  spec.payload = payload;
  return spec;
}

}  // namespace

TEST_CASE("the terminal outcome goes to reply_to as a task") {
  Harness jack({.transport = GENERATE("memory", "local")});
  TaskSpec spec = spec_for("mail", "a");
  spec.reply_to = "outbox";
  const TaskId task = jack.submit(spec);
  REQUIRE(jack.succeed(jack.claim("mail"), "sent") == Code::ok);
  if (GENERATE(false, true)) jack.restart();

  const auto replies = jack.submitted("outbox");
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].spec.payload == "sent");
  CHECK(replies[0].spec.parent == task);
  CHECK(jack.claim("outbox").task == replies[0].spec.id);
}

TEST_CASE("a task that fails, is cancelled or expires is replied to as well") {
  Harness jack;
  TaskSpec spec = spec_for("mail");
  spec.reply_to = "outbox";
  spec.max_attempts = 1;
  jack.submit(spec);
  jack.fail(jack.claim("mail"), "no");
  jack.cancel(jack.submit(spec), "not needed");
  spec.expires_in = 1s;
  jack.submit(spec);
  jack.advance(1s);
  CHECK(jack.submitted("outbox").size() == 3);
}

TEST_CASE("a success and its follow-ups are one step") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("split", "document");
  const Lease lease = jack.claim("split");
  const TaskSpec parts[] = {spec_for("examine", "one"), spec_for("examine", "two")};
  jack.hold_appends();
  CHECK(jack.succeed(lease, "2 parts", parts) == Code::unavailable);
  CHECK(jack.impl().rig().loop().state().state_of(task) == TaskState::running);
  CHECK_FALSE(jack.impl().rig().loop().state().queue("examine"));
  jack.release_appends();

  CHECK(jack.result(task) == "2 parts");
  CHECK(jack.submitted("examine").size() == 2);
}

TEST_CASE("a follow-up that is refused refuses the settle, and the lease goes on") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("split", "document");
  const Lease lease = jack.claim("split");

  SECTION("because it is malformed") {
    const TaskSpec parts[] = {spec_for("examine"), spec_for("no spaces")};
    CHECK(jack.succeed(lease, "x", parts) == Code::invalid_argument);
    CHECK(jack.why().find("follow-up") != std::string::npos);
  }
  SECTION("because its id is taken") {
    TaskSpec taken = spec_for("examine", "other");
    taken.id = task;
    const TaskSpec parts[] = {spec_for("examine"), taken};
    CHECK(jack.succeed(lease, "x", parts) == Code::already_exists);
  }
  CHECK(jack.submitted("examine").empty());
  CHECK(jack.holder("split") == lease);
  CHECK(jack.succeed(lease, "without") == Code::ok);
}

TEST_CASE("a settle with follow-ups that is repeated makes them once") {
  Harness jack({.transport = GENERATE("memory", "local")});
  jack.submit("split", "document");
  const Lease lease = jack.claim("split");
  TaskSpec part = spec_for("examine", "one");
  part.id = TaskId::from(jack.wall_now(), 5, 5);
  REQUIRE(jack.succeed(lease, "x", {&part, 1}) == Code::ok);
  if (GENERATE(false, true)) jack.restart();
  CHECK(jack.succeed(lease, "x", {&part, 1}) == Code::ok);
  CHECK(jack.submitted("examine").size() == 1);
}

TEST_CASE("a follow-up may have a date") {
  Harness jack;
  jack.submit("split", "document");
  TaskSpec later = spec_for("examine");
  later.not_before = jack.wall_now() + 1h;
  REQUIRE(jack.succeed(jack.claim("split"), "x", {&later, 1}) == Code::ok);
  CHECK_FALSE(jack.claim("examine"));
  jack.advance(1h);
  CHECK(jack.claim("examine"));
}

TEST_CASE("handlers hand on to each other until nothing is left") {
  Harness jack({.transport = GENERATE("memory", "local")});
  jack.on("split", [](Attempt& attempt) {
    Settlement settlement = Settlement::succeed("split");
    for (const char word : attempt.task().payload) {
      TaskSpec part;
      part.queue = "examine";
      part.payload = word;
      part.reply_to = "collect";
      settlement.then(part);
    }
    return settlement;
  });
  jack.on("examine", [](Attempt& attempt) { return attempt.task().payload + "!"; });
  std::string collected;
  jack.on("collect", [&](Attempt& attempt) {
    collected += attempt.task().payload;
    return "ok";
  });
  jack.submit("split", "abc");
  jack.run_until_idle();
  CHECK(collected == "a!b!c!");
  CHECK(jack.hash() == jack.replay_hash(1));
}

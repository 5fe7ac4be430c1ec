// An engine among others: declared lost, it must not act on what it knows of old.
#include <jack_engine/testing/harness.h>

#include "engine/format/entry.h"
#include "tests/catch.hpp"
#include "tests/engine/raw_session.h"

using namespace std::chrono_literals;
using namespace jack;
using namespace jack::testing;

namespace {

// An entry by which another incarnation of the harness' own engine takes its place.
void push_out(Harness& jack) {
  static std::uint8_t incarnations = 100;
  EntryHeader header;
  header.engine.fill(1);
  header.incarnation[0] = ++incarnations;
  header.number = 1;
  header.time = jack.now();
  EntryBuilder builder;
  builder.add(JoinCommand{});
  jack.impl().rig().append_foreign(builder.close(header));
}

}  // namespace

TEST_CASE("an engine that was pushed out joins again, and its workers notice nothing") {
  Harness jack;
  const TaskId task = jack.submit("mail", "a");
  const Lease lease = jack.claim("mail");
  RawSession waiting(jack);
  waiting.work(1, 2, {"mail"});
  push_out(jack);
  const TaskId other = jack.submit("mail", "b");  // refused as not joined, and repeated

  const auto tasks = waiting.take_deliveries();
  REQUIRE(tasks.size() == 1);
  CHECK(tasks[0].spec.id == other);
  CHECK(workers_of(jack, "mail") == 1);
  jack.advance(20s);
  CHECK(jack.holder("mail") == lease);
  CHECK(jack.succeed(lease, "sent") == Code::ok);
  CHECK(jack.task(task).status.attempt == 1);
  jack.submit("mail", "c");
  jack.submit("mail", "d");
  CHECK(waiting.take_deliveries().size() == 1);  // credit and appetite still agree
  CHECK(jack.hash() == jack.replay_hash());
}

TEST_CASE("unanswered settles are repeated after joining again, their `again` counted once") {
  Harness jack;
  jack.submit("mail", "a");
  jack.submit("mail", "b");
  jack.submit("mail", "c");
  RawSession worker(jack);
  worker.work(1, 1, {"mail"});
  const auto first = worker.take_deliveries();
  push_out(jack);
  worker.settle(first.at(0), true);
  const auto second = worker.take_deliveries();
  REQUIRE(second.size() == 1);
  CHECK(jack.state(first[0].spec.id) == TaskState::succeeded);
  worker.settle(second[0], false);
  CHECK(worker.take_deliveries().empty());
  CHECK(workers_of(jack, "mail") == 0);
  CHECK(jack.fact("running") == "0");
}

TEST_CASE(
    "a lease that ended while the engine was pushed out is not resumed, and its worker told") {
  Harness jack;
  const TaskId task = jack.submit("mail", "a");
  const Lease lease = jack.claim("mail");
  EntryHeader header;
  header.engine.fill(1);
  header.incarnation[0] = 200;
  header.number = 1;
  header.time = jack.now();
  EntryBuilder builder;
  builder.add(JoinCommand{});
  SettleCommand lost;
  lost.task = task;
  lost.token = lease.token;
  lost.outcome = Outcome::lost;
  builder.add(lost);
  jack.impl().rig().append_foreign(builder.close(header));
  jack.submit("other", "x");
  CHECK(jack.ended(lease) == Outcome::lost);
  CHECK(jack.succeed(lease) == Code::lease_lost);
}

TEST_CASE("a worker of the engine's own process loses its lease when the engine is pushed out") {
  Harness jack;
  const TaskId task = jack.submit("mail", "a");
  const Lease lease = jack.claim("mail", {.in_process = true});
  push_out(jack);
  jack.submit("other", "x");
  jack.advance(5s);
  CHECK(jack.ended(lease) == Outcome::lost);
  CHECK(jack.task(task).status.attempts.at(0).outcome == Outcome::lost);
}

TEST_CASE("an engine that has heard nothing of itself for long is not sure, and delivers nothing") {
  Harness jack;
  jack.impl().rig().transport().pretend_shared();
  jack.submit("mail", "a");
  const Lease lease = jack.claim("mail");
  CHECK(jack.heartbeat(lease));
  const std::uint64_t before = std::stoull(jack.fact("entry"));
  jack.advance(9s);
  CHECK(std::stoull(jack.fact("entry")) == before + 3);  // it appends when idle, to stay alive
  CHECK(jack.heartbeat(lease));

  jack.hold_appends();
  jack.advance(20s);
  RawSession worker(jack);
  worker.say(wire::Ping{1});
  CHECK(worker.expect<wire::Pong>().uncertain);
  jack.release_appends();
  worker.say(wire::Ping{2});
  CHECK_FALSE(worker.expect<wire::Pong>().uncertain);
}

TEST_CASE("what was handed out while the engine was not sure is delivered when it is again") {
  Harness jack;
  Rig& rig = jack.impl().rig();
  rig.transport().pretend_shared();
  RawSession worker(jack);
  worker.work(1, 1, {"mail"});
  jack.hold_appends();
  RawSession client(jack);
  TaskSpec spec;
  spec.queue = "mail";
  spec.id = TaskId::from(jack.wall_now(), 1, 1);
  client.say(wire::Submit{1, {encoded(spec)}});
  CHECK(client.next() == nullptr);
  // The append was sent long before it came back: somebody may have declared this engine lost.
  rig.clock().advance(9500ms);
  worker.say(wire::Ping{1});
  rig.transport().release();
  rig.loop().turn();
  CHECK(client.next() != nullptr);
  CHECK(worker.take_deliveries().size() == 1);
}

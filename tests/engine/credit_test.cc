// Credit: a worker never gets more than it asked for, and nothing that it asked for is lost.
#include <jack_engine/testing/harness.h>

#include "tests/catch.hpp"
#include "tests/engine/raw_session.h"

using namespace std::chrono_literals;
using namespace jack;
using namespace jack::testing;

namespace {

void submit_some(Harness& jack, std::string_view queue, int count) {
  std::vector<TaskSpec> specs(static_cast<std::size_t>(count));
  for (TaskSpec& spec : specs) spec.queue = queue;
  for (const auto& result : jack.submit_all(specs)) REQUIRE(result);
}

std::uint64_t queued(Harness& jack, std::string_view queue) {
  return jack.impl().rig().loop().state().queue(queue)->counts.queued;
}

}  // namespace

TEST_CASE("a worker gets as many tasks as it has credit, in one message") {
  Harness jack({.transport = GENERATE("memory", "local")});
  submit_some(jack, "mail", 10);
  RawSession worker(jack);
  worker.say(wire::Work{7, 3, 4, 0s, {"mail"}});
  std::vector<const wire::Reply*> replies;
  const auto& done = worker.expect<wire::Done>();
  CHECK(done.correlation == 7);
  const auto& deliver = worker.expect<wire::Deliver>();
  CHECK(deliver.subscription == 3);
  CHECK(deliver.items.size() == 4);
  CHECK(deliver.items[0].lease == 30s);
  CHECK(deliver.items[0].attempt == 1);
  CHECK(worker.next() == nullptr);
  CHECK(queued(jack, "mail") == 6);
}

TEST_CASE("a settle with `again` brings the next task, one without does not") {
  Harness jack({.transport = GENERATE("memory", "local")});
  submit_some(jack, "mail", 4);
  RawSession worker(jack);
  worker.work(1, 1, {"mail"});
  auto tasks = worker.take_deliveries();
  REQUIRE(tasks.size() == 1);
  worker.settle(tasks[0], true);
  tasks = worker.take_deliveries();
  REQUIRE(tasks.size() == 1);
  worker.settle(tasks[0], false);
  CHECK(worker.take_deliveries().empty());
  CHECK(queued(jack, "mail") == 2);
  CHECK(workers_of(jack, "mail") == 0);
}

TEST_CASE("`again` counts once per lease, whatever becomes of its settles") {
  Harness jack({.transport = GENERATE("memory", "local")});
  jack.submit("mail", "a");
  RawSession worker(jack);
  worker.work(1, 1, {"mail"});
  const auto tasks = worker.take_deliveries();
  REQUIRE(tasks.size() == 1);

  SECTION("the settle is repeated") {
    worker.settle(tasks[0], true);
    worker.settle(tasks[0], true);
    CHECK(worker.expect_code() == Code::ok);
    CHECK(worker.expect_code() == Code::ok);
    worker.settle(tasks[0], true);
    CHECK(worker.expect_code() == Code::ok);
  }
  SECTION("the lease has ended") {
    jack.cancel(tasks[0].spec.id);
    worker.settle(tasks[0], true);
    CHECK(std::holds_alternative<wire::Ended>(*worker.next()));
    CHECK(worker.expect_code() == Code::lease_lost);
    worker.settle(tasks[0], true);
    CHECK(worker.expect_code() == Code::lease_lost);
  }
  SECTION("the settle is refused by the state, and then another one comes") {
    wire::Settle::Item item;
    item.task = tasks[0].spec.id;
    item.token = tasks[0].token;
    item.again = true;
    item.result = std::string_view();
    const std::string big((1 << 20) + 1, 'x');
    item.result = big;
    worker.say(wire::Settle{2, {item}});
    CHECK(worker.expect_code() == Code::payload_too_large);
    CHECK(workers_of(jack, "mail") == 1);
    worker.settle(tasks[0], true, Outcome::failed);
    CHECK(worker.expect_code() == Code::ok);
  }
  SECTION("the settle is refused by the front") {
    wire::Settle::Item item;
    item.task = tasks[0].spec.id;
    item.token = tasks[0].token;
    item.again = true;
    item.follow_ups = {"no spec"};
    worker.say(wire::Settle{2, {item}});
    CHECK(worker.expect_code() == Code::invalid_argument);
    CHECK(workers_of(jack, "mail") == 1);
    worker.settle(tasks[0], false);
    CHECK(worker.expect_code() == Code::ok);
  }
  CHECK(workers_of(jack, "mail") == 1);
  // What the front counts is what the state counts: one task comes, not two.
  submit_some(jack, "mail", 3);
  CHECK(worker.take_deliveries().size() == 1);
}

TEST_CASE("`again` of a refused settle is not counted anew when the lease ends") {
  Harness jack;
  jack.submit("mail", "a");
  jack.submit("post", "b");
  RawSession worker(jack);
  RawSession other(jack);
  worker.work(1, 1, {"mail"});
  other.work(1, 1, {"post"});
  const auto tasks = worker.take_deliveries();
  const auto others = other.take_deliveries();
  wire::Settle::Item item;
  item.task = tasks.at(0).spec.id;
  item.token = tasks[0].token;
  item.again = true;
  const std::string big((1 << 20) + 1, 'x');
  item.result = big;
  worker.say(wire::Settle{2, {item}});
  CHECK(worker.expect_code() == Code::payload_too_large);
  // Both tasks are cancelled by one message, so both workers are told in one turn.
  RawSession client(jack);
  client.say(wire::Cancel{1, {others.at(0).spec.id, tasks[0].spec.id}, "enough"});
  CHECK(worker.expect<wire::Ended>().items.at(0).outcome == Outcome::cancelled);
  CHECK(other.expect<wire::Ended>().items.at(0).reason == "enough");
  worker.settle(tasks[0], true);
  CHECK(worker.expect_code() == Code::lease_lost);
  CHECK(workers_of(jack, "mail") == 1);
}

TEST_CASE("`again` for another session's lease counts for nobody") {
  Harness jack;
  jack.submit("mail", "a");
  RawSession worker(jack);
  worker.work(1, 1, {"mail"});
  const auto tasks = worker.take_deliveries();
  RawSession other(jack);
  other.work(1, 0, {"mail"});
  other.settle(tasks.at(0), true);
  CHECK(other.expect_code() == Code::ok);
  CHECK(workers_of(jack, "mail") == 0);
  CHECK(jack.fact("leases") == "0");
}

TEST_CASE("workers of the same queues are served in turn") {
  Harness jack;
  RawSession one(jack);
  RawSession two(jack);
  RawSession three(jack);
  one.work(1, 10, {"mail", "post"});
  two.work(1, 10, {"post", "mail", "mail"});
  three.work(1, 1, {"post", "mail"});
  submit_some(jack, "mail", 3);
  submit_some(jack, "post", 6);
  const std::size_t counts[] = {one.take_deliveries().size(), two.take_deliveries().size(),
                                three.take_deliveries().size()};
  CHECK(counts[0] == 4);
  CHECK(counts[1] == 4);
  CHECK(counts[2] == 1);
}

TEST_CASE("workers with different sets of queues are served in turn") {
  Harness jack;
  RawSession one(jack);
  RawSession two(jack);
  one.work(1, 10, {"mail"});
  two.work(1, 10, {"mail", "post"});
  submit_some(jack, "mail", 6);
  CHECK(one.take_deliveries().size() == 3);
  CHECK(two.take_deliveries().size() == 3);
}

TEST_CASE("one slot on three queues leases one task") {
  Harness jack;
  RawSession worker(jack);
  worker.work(1, 1, {"a", "b", "c"});
  submit_some(jack, "a", 1);
  submit_some(jack, "b", 1);
  submit_some(jack, "c", 1);
  CHECK(worker.take_deliveries().size() == 1);
  CHECK(jack.fact("running") == "1");
}

TEST_CASE("credit that is withdrawn while tasks are on their way leaves no task with anybody") {
  Harness jack({.transport = GENERATE("memory", "local")});
  TaskSpec spec;
  spec.queue = "mail";
  spec.max_attempts = 1;
  RawSession worker(jack);
  worker.work(1, 3, {"mail"});
  // The submit is on its way to the journal when the withdrawal arrives.
  RawSession client(jack);
  std::vector<std::string> specs;
  for (std::uint64_t i = 0; i < 3; ++i) {
    spec.id = TaskId::from(jack.wall_now(), i, 1);
    specs.push_back(encoded(spec));
  }
  jack.hold_appends();
  client.say(wire::Submit{1, {specs.begin(), specs.end()}});
  CHECK(client.next() == nullptr);
  worker.say(wire::Work{2, 1, -2, 0s, {}});
  CHECK(worker.next() == nullptr);
  jack.release_appends();

  CHECK(worker.take_deliveries().size() == 1);
  CHECK(jack.fact("running") == "1");
  CHECK(queued(jack, "mail") == 2);
  CHECK(workers_of(jack, "mail") == 0);
  // Nobody saw them, so their only attempt is still there.
  RawSession next(jack);
  next.work(1, 2, {"mail"});
  const auto tasks = next.take_deliveries();
  REQUIRE(tasks.size() == 2);
  CHECK(tasks[0].attempt == 1);
  next.settle(tasks[0], false);
  next.settle(tasks[1], false);
  next.take_deliveries();
  CHECK(jack.hash() == jack.replay_hash());
}

TEST_CASE("a worker that goes while tasks are on their way to it is not to blame") {
  Harness jack;
  const bool says_bye = GENERATE(false, true);
  RawSession worker(jack);
  worker.work(1, 2, {"mail"});
  TaskSpec spec;
  spec.queue = "mail";
  spec.max_attempts = 1;
  spec.id = TaskId::from(jack.wall_now(), 1, 1);
  RawSession client(jack);
  jack.hold_appends();
  client.say(wire::Submit{1, {encoded(spec)}});
  CHECK(client.next() == nullptr);
  if (says_bye) worker.say(wire::Bye{});
  if (!says_bye) worker.vanish();
  CHECK(client.next() == nullptr);
  jack.release_appends();

  CHECK(jack.state(spec.id) == TaskState::queued);
  CHECK(jack.claim("mail").attempt == 1);
  CHECK(jack.story(spec.id).find("released") != std::string::npos);
}

TEST_CASE("a task that is cancelled before its worker hears of it costs no credit") {
  Harness jack;
  RawSession worker(jack);
  worker.work(1, 1, {"mail"});
  TaskSpec spec;
  spec.queue = "mail";
  spec.id = TaskId::from(jack.wall_now(), 1, 1);
  RawSession client(jack);
  // In one entry: submitted, handed out, cancelled.
  client.say(wire::Submit{1, {encoded(spec)}});
  client.say(wire::Cancel{2, {spec.id}, "oh no"});
  CHECK(client.expect_code() == Code::ok);
  CHECK(client.expect_code() == Code::ok);
  CHECK(worker.next() == nullptr);
  CHECK(workers_of(jack, "mail") == 1);
  jack.submit("mail", "b");
  CHECK(worker.take_deliveries().size() == 1);
  submit_some(jack, "mail", 1);
  CHECK(worker.take_deliveries().empty());
}

TEST_CASE("a pool goes when its last worker and lease have gone, and comes again") {
  Harness jack;
  jack.submit("mail", "a");
  const Lease lease = jack.claim("mail");
  RawSession worker(jack);
  worker.work(1, 3, {"post"});
  worker.say(wire::Bye{});
  CHECK(worker.next() == nullptr);
  CHECK(workers_of(jack, "post") == 0);
  RawSession again(jack);
  CHECK(again.work(1, 2, {"post"}) == Code::ok);
  CHECK(workers_of(jack, "post") == 2);
  jack.lose_worker(lease);
  jack.advance(10s);
  const Lease second = jack.claim("mail");
  CHECK(jack.succeed(second) == Code::ok);
  CHECK(jack.hash() == jack.replay_hash());
}

TEST_CASE("large tasks come in several messages") {
  Harness jack;
  TaskSpec spec;
  spec.queue = "mail";
  spec.payload.assign(700'000, 'x');
  for (int i = 0; i < 4; ++i) jack.submit(spec);
  RawSession worker(jack);
  worker.say(wire::Work{1, 1, 4, 0s, {"mail"}});
  worker.expect<wire::Done>();
  std::size_t messages = 0;
  std::size_t tasks = 0;
  while (const wire::Reply* reply = worker.next()) {
    ++messages;
    tasks += std::get<wire::Deliver>(*reply).items.size();
  }
  CHECK(messages == 2);
  CHECK(tasks == 4);
}

TEST_CASE("a worker with several subscriptions is told which one a task came by") {
  Harness jack;
  RawSession worker(jack);
  worker.work(1, 1, {"mail"});
  worker.work(2, 1, {"post"}, 1min);
  submit_some(jack, "post", 2);
  submit_some(jack, "mail", 2);
  const auto tasks = worker.take_deliveries();
  REQUIRE(tasks.size() == 2);
  CHECK(tasks[0].subscription == 2);
  CHECK(tasks[1].subscription == 1);
  worker.settle(tasks[0], true);
  const auto next = worker.take_deliveries();
  REQUIRE(next.size() == 1);
  CHECK(next[0].subscription == 2);
}

TEST_CASE("large stored tasks are read as they are needed, and make room for others") {
  Harness jack;
  TaskSpec spec;
  spec.queue = "mail";
  for (int i = 0; i < 100; ++i) {
    spec.payload.assign(200'000, static_cast<char>('a' + i % 26));
    jack.submit(spec);
  }
  jack.advance(2s);
  jack.restart();
  for (int i = 0; i < 100; ++i) {
    const Lease lease = jack.claim("mail");
    CHECK(lease.spec.payload == std::string(200'000, static_cast<char>('a' + i % 26)));
    jack.succeed(lease);
  }
}

TEST_CASE("a queue of stored tasks is drained in order") {
  Harness jack({.transport = GENERATE("memory", "local")});
  submit_some(jack, "mail", 1000);
  jack.advance(2s);
  jack.restart();  // nothing is in memory but their records
  RawSession worker(jack);
  worker.work(1, 100, {"mail"});
  std::vector<TaskId> order;
  for (auto tasks = worker.take_deliveries(); !tasks.empty(); tasks = worker.take_deliveries()) {
    for (const auto& task : tasks) {
      order.push_back(task.spec.id);
      worker.settle(task, true);
    }
  }
  CHECK(order.size() == 1000);
  CHECK(std::is_sorted(order.begin(), order.end()));
}

// What an engine takes from outside: bounds of what one message, one queue, one clock can ask for.
#include <jack_engine/testing/harness.h>

#include "tests/catch.hpp"
#include "tests/engine/raw_session.h"

using namespace std::chrono_literals;
using namespace jack;
using namespace jack::testing;

namespace {

TaskSpec spec_at(WallTime made, std::uint64_t number = 1) {
  TaskSpec spec;
  spec.queue = "mail";
  spec.id = TaskId::from(made, number, 7);
  return spec;
}

}  // namespace

// The reason was copied once for each task: a few of them with a large reason were more than an
// entry takes, and the engine aborted.
TEST_CASE("a reason longer than an error may be is refused, for many tasks as for one") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  RawSession client(jack);
  const std::string reason(1 << 20, 'x');
  client.say(wire::Cancel{1, std::vector<TaskId>(13, task), reason});

  CHECK(client.expect_code() == Code::invalid_argument);
  CHECK(jack.state(task) == TaskState::queued);
  CHECK(jack.cancel(task, reason.substr(0, 4096)) == Code::ok);
  CHECK(jack.error(task).size() == 4096);
}

TEST_CASE("settles that are more than an entry takes are refused by name, and their leases go on") {
  Harness jack({.transport = GENERATE("memory", "local")});
  RawSession worker(jack);
  REQUIRE(worker.work(1, 13, {"mail"}) == Code::ok);
  std::vector<TaskSpec> specs;
  for (std::uint64_t i = 0; i < 14; ++i) specs.push_back(spec_at(jack.wall_now(), i));
  jack.submit_all(specs);
  const std::vector<RawSession::Delivered> tasks = worker.take_deliveries();
  REQUIRE(tasks.size() == 13);
  const std::string result(1 << 20, 'r');
  wire::Settle settle;
  settle.correlation = 5;
  for (const RawSession::Delivered& task : tasks) {
    wire::Settle::Item item;
    item.task = task.spec.id;
    item.token = task.token;
    item.outcome = Outcome::succeeded;
    item.result = result;
    item.again = true;
    settle.items.push_back(item);
  }
  worker.say(settle);

  CHECK(worker.expect_code() == Code::payload_too_large);
  CHECK(jack.fact("state") == "running");
  CHECK(jack.state(tasks[0].spec.id) == TaskState::running);
  // What they wanted again counts all the same, once.
  CHECK(worker.take_deliveries().size() == 1);
  CHECK(workers_of(jack, "mail") == 12);

  settle.items.resize(6);
  worker.say(settle);
  CHECK(worker.expect<wire::Done>().items.size() == 6);
  CHECK(jack.state(tasks[0].spec.id) == TaskState::succeeded);
  CHECK(workers_of(jack, "mail") == 12);
  CHECK(jack.hash() == jack.replay_hash());
}

// All were one entry.
TEST_CASE("a session that goes with more leases than fit in one entry loses them in several") {
  Harness jack({.transport = GENERATE("memory", "local"), .sessions = {.credit_max = 50'000}});
  RawSession worker(jack, true, false);
  const std::string name(256, 'n');  // stands in each of them
  worker.say(wire::Hello{1, wire::kVersion, name});
  worker.expect<wire::Welcome>();
  REQUIRE(worker.work(1, 50'000, {"mail"}) == Code::ok);
  std::vector<TaskSpec> specs(1000);
  for (TaskSpec& spec : specs) spec.queue = "mail";
  for (int i = 0; i < 45; ++i) jack.submit_all(specs);
  REQUIRE(worker.take_deliveries().size() == 45'000);

  worker.vanish();
  jack.advance(1ms);

  CHECK(jack.fact("state") == "running");
  CHECK(jack.fact("running") == "0");
  CHECK(jack.hash() == jack.replay_hash());
}

TEST_CASE("an id made more than an hour ahead of the engine's clock is refused") {
  Harness jack;
  const auto refused = jack.try_submit(spec_at(jack.wall_now() + 61min));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::invalid_argument);
  const auto ms = (jack.wall_now() + 61min).time_since_epoch().count();
  CHECK_THAT(refused.error().message, ::test::ContainsSubstring(std::to_string(ms)));
  CHECK(jack.try_submit(spec_at(jack.wall_now() + 59min)));

  Lease lease = jack.claim("mail");
  const std::vector<TaskSpec> next{spec_at(jack.wall_now() + 2h, 2)};
  CHECK(jack.succeed(lease, {}, next) == Code::invalid_argument);
  CHECK(jack.succeed(lease) == Code::ok);
}

// Only `delay` was held against the limit.
TEST_CASE("not_before may be as far ahead as a delay") {
  Limits limits;
  limits.delay_max = 24h;
  Harness jack({.limits = limits});
  TaskSpec spec = spec_at(jack.wall_now());
  spec.not_before = jack.wall_now() + 24h + 1s;
  CHECK(jack.try_submit(spec).error().code == Code::invalid_argument);
  spec.not_before = jack.wall_now() + 24h;
  CHECK(jack.try_submit(spec));
}

// The front kept a pool that the state had refused: the next worker of these queues found neither
// the pool nor a reason.
TEST_CASE("a worker's queues that were refused are asked for anew by the next") {
  Limits limits;
  limits.queues_max = 1;
  Harness jack({.limits = limits});
  const TaskId task = jack.submit("mail", "a");
  RawSession first(jack);
  RawSession second(jack);
  CHECK(first.work(1, 1, {"other"}) == Code::queue_full);
  CHECK(second.work(1, 1, {"other"}) == Code::queue_full);
  CHECK(first.work(1, 1, {"other"}) == Code::queue_full);

  jack.hold_appends();
  first.say(wire::Work{1, 1, 1, {}, {"other"}});
  second.say(wire::Work{2, 1, 1, {}, {"other"}});
  second.say(wire::Work{3, 1, 1, {}, {"other"}});
  CHECK(first.next() == nullptr);
  jack.release_appends();
  CHECK(first.expect_code() == Code::queue_full);
  CHECK(second.expect_code() == Code::unavailable);
  CHECK(second.expect_code() == Code::unavailable);

  // The same number, other queues: nothing is left of the first attempt.
  CHECK(first.work(1, 1, {"mail"}) == Code::ok);
  CHECK(first.take_deliveries().at(0).spec.id == task);
  CHECK(jack.hash() == jack.replay_hash());
}

TEST_CASE("a lease that was resumed for queues that are refused goes on") {
  Limits limits;
  limits.queues_max = 1;
  Harness jack({.limits = limits});
  const TaskId task = jack.submit("mail", "a");
  RawSession worker(jack);
  REQUIRE(worker.work(1, 1, {"mail"}) == Code::ok);
  const RawSession::Delivered held = worker.take_deliveries().at(0);

  worker.say(wire::Work{5, 2, 1, {}, {"other"}});
  worker.say(wire::Resume{6, 2, {{task, held.token}}});
  CHECK(worker.expect_code() == Code::queue_full);
  CHECK(worker.expect_code() == Code::failed_precondition);

  worker.say(wire::Resume{7, 1, {{task, held.token}}});
  CHECK(worker.expect_code() == Code::ok);
  worker.settle(held, true);
  CHECK(worker.expect_code() == Code::ok);
  CHECK(jack.state(task) == TaskState::succeeded);
}

// Only submits waited: a worker that streams could fill memory and journal while the disk was slow.
TEST_CASE("while the store is far behind, output and retries wait as submits do") {
  Harness jack;
  TaskSpec spec = spec_at(jack.wall_now());
  spec.max_attempts = 1;
  const TaskId failed = jack.submit(spec);
  REQUIRE(jack.fail(jack.claim("mail"), "no") == Code::ok);
  const TaskId running = jack.submit("mail", "b");
  RawSession worker(jack);
  REQUIRE(worker.work(1, 1, {"mail"}) == Code::ok);
  const RawSession::Delivered held = worker.take_deliveries().at(0);
  FaultyStore& store = jack.impl().rig().store();
  store.hold_flushes();
  jack.advance(2s);
  RawSession client(jack);
  for (std::uint64_t batch = 0; batch < 9; ++batch) {
    std::vector<std::string> specs;
    for (std::uint64_t i = 0; i < 8; ++i) {
      TaskSpec bulk = spec_at(jack.wall_now(), 100 + 8 * batch + i);
      bulk.queue = "bulk";
      bulk.payload.assign(1'000'000, 'x');
      specs.push_back(encoded(bulk));
    }
    client.say(wire::Submit{batch + 1, {specs.begin(), specs.end()}});
    client.next();
  }

  client.say(wire::Retry{50, {failed}});
  CHECK(client.next() == nullptr);
  worker.say(wire::Output{51, {{running, held.token, "some output"}}});
  worker.say(wire::Progress{52, {{running, held.token, 500, "half"}}});
  CHECK(worker.next() == nullptr);
  CHECK(jack.cancel(failed) == Code::failed_precondition);  // all else is answered
  CHECK(jack.state(failed) == TaskState::failed);

  store.release_flushes();
  jack.advance(1s);
  CHECK(worker.expect_code() == Code::ok);
  CHECK(worker.expect_code() == Code::ok);
  CHECK(jack.output(running) == "some output");
  CHECK(jack.state(failed) == TaskState::queued);
}

// Under load there was always one more message, and time was never judged.
TEST_CASE("waits end in time while more messages come than one turn takes") {
  Harness jack;
  Rig& rig = jack.impl().rig();
  const TaskId task = jack.submit("mail", "a");
  RawSession worker(jack);
  REQUIRE(worker.work(1, 1, {"mail"}, 2s) == Code::ok);
  REQUIRE(worker.take_deliveries().size() == 1);
  RawSession client(jack);
  RawSession crowd(jack);
  client.say(wire::Wait{1, task, 500ms});
  CHECK(client.next() == nullptr);
  const auto crowd_in = [&](int frames) {
    for (int i = 0; i < frames; ++i) crowd.say(wire::Ping{});
  };

  crowd_in(8000);
  worker.say(wire::Ping{});  // lies behind thousands of others
  for (int turn = 0; turn < 20; ++turn) {
    crowd_in(4096);
    rig.clock().advance(200ms);
    rig.loop().turn();
  }

  CHECK(rig.mail().has_mail(client.id()));
  CHECK(rig.loop().state().state_of(task) == TaskState::running);
  CHECK(client.expect<wire::Refused>().code == Code::timed_out);
}

// Each look took the distance of the two clocks anew, and whole milliseconds of both.
TEST_CASE("dates are the same at each look, unless the wall clock was set") {
  Harness jack;
  const TaskId task = jack.submit("mail", "a");
  RawSession client(jack);
  const auto offset = [&] {
    client.say(wire::Get{1, task, false});
    return client.expect<wire::TaskMessage>().wall_offset;
  };
  const Duration first = offset();
  for (int i = 0; i < 10; ++i) {
    jack.jump_wall_clock(i % 2 == 0 ? Duration{1} : Duration{-1});
    jack.advance(10ms);
    CHECK(offset() == first);
  }
  jack.jump_wall_clock(1h);
  jack.advance(10ms);
  CHECK(offset() == first + 1h);
}

// It was shown to be due a millisecond early where the two clocks had gone on a little apart.
TEST_CASE("a task is due, and shown to be due, at its date and not before") {
  Harness jack;
  RawSession client(jack);
  jack.jump_wall_clock(
      GENERATE(Duration{-20}, Duration{-1}, Duration{0}, Duration{1}, Duration{20}));
  jack.advance(10ms);
  TaskSpec spec = spec_at(jack.wall_now());
  spec.not_before = jack.wall_now() + 10s;
  spec.expires_at = jack.wall_now() + 20s;
  REQUIRE(jack.try_submit(spec));

  client.say(wire::Get{1, spec.id, false});
  const auto shown = client.expect<wire::TaskMessage>();
  Unpacker unpacker;
  const TaskStatus status = decode_status(unpacker, shown.status).value();
  const auto date = [&](Instant at) { return WallTime{Duration{at.ms} + shown.wall_offset}; };
  CHECK(date(status.due.value()) >= *spec.not_before);
  CHECK(date(status.expires.value()) <= *spec.expires_at);

  jack.advance(9999ms);
  CHECK(jack.state(spec.id) == TaskState::scheduled);
  jack.advance(21ms);
  CHECK(jack.state(spec.id) == TaskState::queued);
  jack.advance(9980ms);
  CHECK(jack.state(spec.id) == TaskState::expired);
}

// All answers of a turn were made at once: a few thousand questions of thirty bytes each took the
// memory of as many payloads.
TEST_CASE("answers are made a few at a time, session by session in turn") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", std::string(1 << 20, 'x'));
  RawSession hog(jack);
  RawSession other(jack);
  constexpr std::size_t kQuestions = 50;
  for (std::size_t i = 0; i < kQuestions; ++i) hog.say(wire::Get{i + 1, task, true});
  other.say(wire::Get{1, task, true});

  auto& rig = jack.impl().rig();
  rig.loop().turn();
  std::size_t answers = 0;
  const auto take = [&] {
    while (rig.mail().take(hog.id())) ++answers;
  };
  take();
  CHECK(answers < 6);
  CHECK(rig.mail().has_mail(other.id()));
  while (rig.loop().turn()) take();
  take();
  CHECK(answers == kQuestions);
}

TEST_CASE("a session with a thousand questions without an answer is asked to wait") {
  Harness jack;
  RawSession client(jack);
  for (wire::Correlation i = 1; i <= 1001; ++i) client.say(wire::Info{i});

  const wire::Refused refused = client.expect<wire::Refused>();
  CHECK(refused.correlation == 1001);
  CHECK(refused.code == Code::rate_limited);
  for (wire::Correlation i = 1; i <= 1000; ++i) {
    CHECK(client.expect<wire::EngineInfo>().correlation == i);
  }
}

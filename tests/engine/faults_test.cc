// What happens when the disk is full, the journal fails, the store fails.
#include <filesystem>

#include <jack_engine/testing/harness.h>

#include "tests/catch.hpp"
#include "tests/engine/raw_session.h"

using namespace std::chrono_literals;
using namespace jack;
using namespace jack::testing;

namespace {

const Error kFull{Code::storage_full, "no space left"};
const Error kAway{Code::unavailable, "out of reach"};
const Error kBroken{Code::stopped, "the disk is broken"};

TaskSpec spec_with_id(Harness& jack, std::uint64_t number) {
  TaskSpec spec;
  spec.queue = "mail";
  spec.id = TaskId::from(jack.wall_now(), number, 7);
  return spec;
}

}  // namespace

TEST_CASE("on a full disk submits are refused, running tasks are settled, and all recovers alone") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId running = jack.submit("mail", "a");
  const TaskId waiting = jack.submit("mail", "b");
  const Lease lease = jack.claim("mail");
  jack.set_room_bytes(1000);
  jack.advance(1s);

  CHECK(jack.try_submit(spec_with_id(jack, 1)).error().code == Code::storage_full);
  CHECK(jack.retry(running) == Code::storage_full);
  CHECK(jack.output(lease, "x") == Code::storage_full);
  CHECK(jack.fact("state") == "storage_full");
  CHECK(jack.succeed(lease, "done") == Code::ok);
  CHECK(jack.result(running) == "done");
  CHECK(jack.claim("mail").task == waiting);
  CHECK(jack.cancel(waiting) == Code::ok);

  jack.set_room_bytes(std::nullopt);
  jack.advance(1s);
  CHECK(jack.fact("state") == "running");
  CHECK(jack.try_submit(spec_with_id(jack, 1)));
  CHECK(jack.hash() == jack.replay_hash());
}

TEST_CASE("an append that finds no room loses its submits, and only them") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  const Lease lease = jack.claim("mail");
  const TaskSpec fresh = spec_with_id(jack, 1);
  RawSession client(jack);
  jack.fail_next_append(kFull);
  wire::Settle::Item item;
  item.task = task;
  item.token = lease.token;
  item.outcome = Outcome::succeeded;
  item.result = "done";
  // In one entry, the settle between two submits.
  client.say(wire::Submit{1, {encoded(fresh)}});
  client.say(wire::Settle{2, {item}});
  client.say(wire::Submit{3, {encoded(spec_with_id(jack, 2)), "no spec"}});
  const auto& first = client.expect<wire::Refused>();
  CHECK(first.correlation == 1);
  CHECK(first.code == Code::storage_full);
  const auto& third = client.expect<wire::Refused>();
  CHECK(third.correlation == 3);
  CHECK(client.next() == nullptr);
  jack.advance(100ms);  // it is tried again without them
  const auto& second = client.expect<wire::Done>();
  CHECK(second.correlation == 2);
  CHECK(second.items.at(0).code == Code::ok);

  CHECK(jack.result(task) == "done");
  CHECK(jack.get(fresh.id).error().code == Code::not_found);
  CHECK(jack.try_submit(fresh).error().code == Code::storage_full);
  jack.advance(2s);
  CHECK(jack.try_submit(fresh));
  CHECK(jack.hash() == jack.replay_hash());
}

TEST_CASE("an entry of nothing but submits that finds no room leaves no trace") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const std::uint64_t before = jack.hash();
  jack.fail_next_append(kFull);
  CHECK(jack.try_submit(spec_with_id(jack, 1)).error().code == Code::storage_full);
  CHECK(jack.hash() == before);
  jack.advance(2s);
  CHECK(jack.try_submit(spec_with_id(jack, 1)));
}

TEST_CASE("an append of unknown fate is repeated, and applied once") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const bool written = GENERATE(false, true);
  const TaskSpec spec = spec_with_id(jack, 1);
  jack.fail_next_append(kAway, false, written);
  const bool answered = jack.try_submit(spec).has_value();
  CHECK(answered == written);  // it came back, so it is known after all
  jack.advance(1s);

  CHECK(jack.submitted("mail").size() == 1);
  CHECK(jack.succeed(jack.claim("mail"), "once") == Code::ok);
  CHECK(jack.story(spec.id) == "submitted started succeeded");
  CHECK(jack.hash() == jack.replay_hash());
}

TEST_CASE("an append that fails again and again is tried until it is through") {
  Harness jack;
  for (int i = 0; i < 8; ++i) jack.fail_next_append(kAway, i % 2 == 0);
  RawSession client(jack);
  client.say(wire::Submit{1, {encoded(spec_with_id(jack, 1))}});
  CHECK(client.next() == nullptr);
  jack.advance(20s);
  CHECK(client.expect_code() == Code::ok);
}

TEST_CASE("a broken journal stops the engine: changes are refused, reads go on") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId done = jack.submit("mail", "a");
  jack.succeed(jack.claim("mail"), "sent");
  jack.advance(3s);
  const TaskId running = jack.submit("mail", "b");
  const Lease lease = jack.claim("mail");
  jack.fail_next_append(kBroken, false);
  CHECK(jack.try_submit(spec_with_id(jack, 1)).error().code == Code::stopped);

  CHECK(jack.fact("state") == "stopped");
  CHECK(jack.succeed(lease, "x") == Code::stopped);
  CHECK(jack.cancel(running) == Code::stopped);
  CHECK(jack.pause("mail") == Code::stopped);
  CHECK(jack.result(done) == "sent");
  CHECK(jack.state(running) == TaskState::running);
  CHECK(jack.submitted("mail").size() >= 1);
  CHECK(jack.story(running) == "submitted started");
  jack.advance(10min);
  CHECK(jack.state(running) == TaskState::running);

  jack.restart();
  CHECK(jack.succeed(lease, "after all") == Code::ok);
  CHECK(jack.result(running) == "after all");
  CHECK(jack.hash() == jack.replay_hash());
}

TEST_CASE("a store without room keeps all in memory and the journal until there is some") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  jack.fail_next_flush(kFull);
  jack.advance(1s);
  jack.advance(300ms);
  CHECK(jack.fact("state") == "storage_full");
  CHECK(jack.fact("flushed") == "0");
  CHECK(jack.fact("flush_ms") == "300");  // since it was to be flushed
  CHECK(jack.fact("append_ms") == "0");
  CHECK(jack.submitted("mail").empty());  // lists come from the store, as it is
  CHECK(jack.succeed(jack.claim("mail"), "done") == Code::ok);
  jack.advance(3s);
  CHECK(jack.fact("state") == "running");
  CHECK(jack.fact("flush_ms") == "0");
  CHECK(jack.submitted("mail").size() == 1);
  jack.restart();
  CHECK(jack.result(task) == "done");
}

TEST_CASE("info tells for how long the journal has stood still") {
  Harness jack({.transport = GENERATE("memory", "local")});
  RawSession session(jack);
  jack.hold_appends();
  session.say(wire::Submit{1, {encoded(spec_with_id(jack, 1))}});
  jack.advance(2s);
  CHECK(jack.fact("append_ms") == "2000");
  jack.release_appends();
  CHECK(session.expect_code() == Code::ok);
  CHECK(jack.fact("append_ms") == "0");
  CHECK(jack.fact("limits.attempts_max") == "1000");
}

TEST_CASE("a broken store stops the engine, and nothing accepted is lost") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  jack.fail_next_flush(kBroken);
  jack.advance(2s);
  CHECK(jack.fact("state") == "stopped");
  CHECK(jack.try_submit(spec_with_id(jack, 1)).error().code == Code::stopped);
  CHECK(jack.state(task) == TaskState::queued);

  // The failed flush was once begun again in every turn, and the engine never slept.
  const std::uint64_t begun = jack.impl().rig().store().flushes_begun();
  jack.advance(10s);
  CHECK(jack.impl().rig().store().flushes_begun() == begun);

  jack.restart();
  CHECK(jack.state(task) == TaskState::queued);
}

TEST_CASE("a store that cannot be read stops the engine when a task's spec is needed") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  jack.advance(2s);
  jack.impl().rig().store().fail_reads(Error{Code::corruption, "a page is damaged"});
  CHECK_FALSE(jack.claim("mail"));
  CHECK(jack.fact("state") == "stopped");
  CHECK(jack.fact("failure") == "corruption: a page is damaged");
  CHECK(jack.get(task).error().code == Code::corruption);
}

// The state with half of an entry was flushed, and the journal cut behind it: with the other half
// of what had been accepted.
TEST_CASE("an entry that could be applied in part only is applied anew after the restart") {
  const Code code = GENERATE(Code::stopped, Code::corruption);
  Harness jack({.transport = "local"});
  const auto spec_of = [&](std::uint64_t number) {
    TaskSpec spec;
    spec.queue = "mail";
    spec.id = TaskId::from(jack.wall_now(), number, 7);
    return spec;
  };
  const TaskSpec known = spec_of(1);
  REQUIRE(jack.try_submit(known));
  REQUIRE(jack.succeed(jack.claim("mail"), "sent") == Code::ok);
  jack.advance(5s);  // it is in the store, and no longer in memory
  jack.submit("post", "to flush");

  // The repeat is looked up in the store, amid the entry.
  jack.impl().rig().store().fail_reads(Error{code, "cannot read"});
  const std::vector<TaskSpec> specs{spec_of(2), known, spec_of(3)};
  for (const auto& submitted : jack.submit_all(specs)) CHECK_FALSE(submitted);
  CHECK(jack.fact("state") == "stopped");
  jack.advance(3s);
  jack.impl().rig().store().fail_reads(std::nullopt);
  jack.restart();

  CHECK(jack.state(specs[0].id) == TaskState::queued);
  CHECK(jack.state(specs[2].id) == TaskState::queued);
  CHECK(jack.hash() == jack.replay_hash());
}

TEST_CASE("a task whose stored spec has vanished stops the engine") {
  Harness jack;
  const TaskId task = jack.submit("mail", "a");
  jack.advance(2s);
  jack.impl().rig().store().damage_rows(true);
  CHECK_FALSE(jack.claim("mail"));
  CHECK(jack.fact("failure").find("corruption: the spec of task") == 0);
  CHECK(jack.get(task).error().code == Code::not_found);
}

TEST_CASE("stored history that is damaged is refused, not skipped") {
  Harness jack;
  jack.submit("mail", "a");
  jack.advance(2s);
  jack.restart();
  jack.impl().rig().store().damage_rows(true);
  RawSession session(jack);
  wire::Watch watch;
  watch.correlation = 5;
  watch.after = Position{};
  session.say(watch);
  CHECK(session.expect_code() == Code::corruption);
  CHECK(jack.fact("watches") == "0");
}

TEST_CASE("a journal that cannot be read on stops the engine") {
  Harness jack;
  jack.submit("mail", "a");
  jack.impl().rig().transport().fail_reading({Code::corruption, "a page is damaged"});
  jack.advance(2s);
  CHECK(jack.try_submit(spec_with_id(jack, 1)).error().code == Code::stopped);
  CHECK(jack.fact("failure") == "corruption: a page is damaged");
}

TEST_CASE("a store that was lost is not made up for by half a journal") {
  const std::string folder = std::filesystem::temp_directory_path() / "jack-faults-XXXXXX";
  std::string path = folder;
  REQUIRE(mkdtemp(path.data()) != nullptr);
  {
    Harness jack({.transport = "local", .data_dir = path});
    jack.submit("mail", "a");
    jack.advance(2s);
    jack.submit("mail", "b");
    jack.advance(2s);
    jack.submit("mail", "c");
    Rig& rig = jack.impl().rig();
    rig.crash();
    for (const char* name : {"/tasks.db", "/tasks.db-wal", "/tasks.db-shm"}) {
      std::filesystem::remove(path + name);
    }
    const Result<void> opened = rig.open();
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == Code::corruption);
  }
  std::filesystem::remove_all(path);
}

TEST_CASE("a read that fails is answered with its error, and the engine goes on") {
  Harness jack;
  const TaskId task = jack.submit("mail", "a");
  jack.succeed(jack.claim("mail"), "sent");
  jack.advance(5s);
  FaultyStore& store = jack.impl().rig().store();
  store.fail_reads(Error{Code::corruption, "a page is damaged"});
  CHECK(jack.wait(task, 0s).error().code == Code::corruption);
  CHECK(jack.get(task).error().code == Code::corruption);
  RawSession session(jack);
  session.say(wire::List{});
  CHECK(session.expect_code() == Code::corruption);
  session.say(wire::ReadOutput{2, task, 0, 10});
  CHECK(session.expect_code() == Code::corruption);
  store.fail_reads(std::nullopt);
  CHECK(jack.result(task) == "sent");
}

TEST_CASE("while the store is far behind, submits wait and all else goes on") {
  Harness jack;
  const TaskId running = jack.submit("mail", "a");
  const Lease lease = jack.claim("mail");
  FaultyStore& store = jack.impl().rig().store();
  store.hold_flushes();
  jack.advance(2s);
  std::vector<TaskSpec> specs(1000);
  for (TaskSpec& spec : specs) spec.queue = "bulk";
  int taken = 0;
  while (jack.submit_all(specs).back().has_value()) {
    REQUIRE(++taken < 200);
    jack.heartbeat(lease);
  }
  CHECK(taken >= 100);
  CHECK(jack.succeed(lease, "done") == Code::ok);
  CHECK(jack.result(running) == "done");

  store.release_flushes();
  jack.advance(1s);
  CHECK(jack.try_submit(spec_with_id(jack, 1)));
  // Those that waited have been taken meanwhile.
  CHECK(jack.impl().rig().loop().state().queue("bulk")->counts.queued ==
        static_cast<std::uint64_t>(taken + 1) * 1000);
}

TEST_CASE("submits that cannot even wait are refused, and nothing of them is taken") {
  Harness jack;
  jack.submit("mail", "a");
  FaultyStore& store = jack.impl().rig().store();
  store.hold_flushes();
  jack.advance(2s);
  RawSession client(jack);
  std::vector<std::string> specs;
  for (std::uint64_t i = 0; i < 8; ++i) {
    TaskSpec spec = spec_with_id(jack, i);
    spec.queue = "bulk";
    spec.payload.assign(1'000'000, 'x');
    specs.push_back(encoded(spec));
  }
  int answered = 0;
  Code refused = Code::ok;
  for (wire::Correlation c = 1; c <= 20 && refused == Code::ok; ++c) {
    // Other tasks each time: the last byte of the id, which stands behind its head.
    for (std::string& spec : specs) spec[18] = static_cast<char>(c);
    client.say(wire::Submit{c, {specs.begin(), specs.end()}});
    const wire::Reply* reply = client.next();
    if (reply == nullptr) continue;
    if (const auto* no = std::get_if<wire::Refused>(reply)) refused = no->code;
    ++answered;
  }
  CHECK(refused == Code::unavailable);
  store.release_flushes();
  jack.advance(2s);
  int later = 0;
  while (client.next() != nullptr) ++later;
  CHECK(later >= 8);
  CHECK(jack.impl().rig().loop().state().queue("bulk")->counts.queued ==
        static_cast<std::uint64_t>(answered - 1 + later) * 8);
}

TEST_CASE("an engine that stops in order leaves nothing to recover") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  const Lease remote = jack.claim("mail");
  jack.stop_and_restart();
  CHECK(jack.log().back().find("guarantee") == 0);
  CHECK(jack.log().at(jack.log().size() - 2).find(" 0 entries recovered") != std::string::npos);
  CHECK(jack.succeed(remote, "over a restart") == Code::ok);
  CHECK(jack.result(task) == "over a restart");
  CHECK(jack.hash() == jack.replay_hash());
}

TEST_CASE("an engine that leaves refuses what is new and answers what it has taken") {
  Harness jack;
  RawSession client(jack);
  jack.hold_appends();
  client.say(wire::Submit{1, {encoded(spec_with_id(jack, 1))}});
  CHECK(client.next() == nullptr);
  jack.impl().rig().loop().leave();
  client.say(wire::Submit{2, {encoded(spec_with_id(jack, 2))}});
  const auto& refused = client.expect<wire::Refused>();
  CHECK(refused.correlation == 2);
  CHECK(refused.code == Code::stopped);
  jack.release_appends();
  const auto& done = client.expect<wire::Done>();
  CHECK(done.correlation == 1);
  CHECK(jack.impl().rig().loop().phase() == Loop::Phase::left);
}

// It was neither delivered nor given back: the attempt ended as lost, and here was the last one.
TEST_CASE("an engine that leaves gives back what no worker has seen, without blame") {
  Harness jack({.transport = GENERATE("memory", "local")});
  TaskSpec spec = spec_with_id(jack, 1);
  spec.max_attempts = 1;
  TaskSpec later = spec_with_id(jack, 2);
  later.max_attempts = 1;
  RawSession worker(jack);
  REQUIRE(worker.work(1, 5, {"mail"}) == Code::ok);
  RawSession client(jack);
  jack.hold_appends();
  client.say(wire::Submit{1, {encoded(spec)}});
  CHECK(client.next() == nullptr);
  client.say(wire::Submit{2, {encoded(later)}});  // in the entry behind it
  CHECK(client.next() == nullptr);
  jack.impl().rig().loop().leave();
  jack.release_appends();
  jack.advance(0s);
  REQUIRE(jack.impl().rig().loop().phase() == Loop::Phase::left);
  CHECK(worker.take_deliveries().empty());

  jack.restart();
  for (const TaskSpec& each : {spec, later}) {
    CHECK(jack.state(each.id) == TaskState::queued);
    CHECK(jack.story(each.id) == "submitted started released");
  }
  const Lease lease = jack.claim("mail");
  CHECK(lease.attempt == 1);
  CHECK(jack.succeed(lease, "done") == Code::ok);
  CHECK(jack.hash() == jack.replay_hash());
}

TEST_CASE("what happens behind an engine's leave is left to its successor") {
  Harness jack;
  const TaskId task = jack.submit("mail", "a");
  const Lease lease = jack.claim("mail");
  jack.impl().rig().store().hold_flushes();
  jack.impl().rig().loop().leave();
  jack.advance(0s);
  jack.lose_worker(lease);
  jack.advance(10s);
  CHECK(jack.impl().rig().loop().phase() == Loop::Phase::leaving);
  jack.impl().rig().store().release_flushes();
  jack.advance(0s);
  CHECK(jack.impl().rig().loop().phase() == Loop::Phase::left);
  jack.restart();
  CHECK(jack.state(task) == TaskState::running);
  jack.advance(40s);
  CHECK(jack.task(task).status.attempts.at(0).outcome == Outcome::lost);
}

TEST_CASE("an engine does not start on what it cannot read") {
  Harness jack;
  jack.submit("mail", "a");
  jack.impl().rig().append_foreign("not an entry");
  jack.impl().rig().run();
  CHECK(jack.fact("state") == "stopped");
  jack.impl().rig().crash();
  const Result<void> opened = jack.impl().rig().open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == Code::corruption);
}

TEST_CASE("limits that cannot be set keep an engine from starting") {
  Limits limits;
  limits.payload_bytes_max = kPayloadBytesHardMax + 1;
  CHECK_THROWS_WITH(Harness({.limits = limits}), test::ContainsSubstring("invalid_argument"));
  limits.payload_bytes_max = 100;
  Harness jack({.limits = limits});
  TaskSpec spec;
  spec.queue = "mail";
  spec.payload.assign(100, 'x');
  CHECK(jack.try_submit(spec));
  spec.payload += 'x';
  CHECK(jack.try_submit(spec).error().code == Code::payload_too_large);
  jack.restart();
  CHECK(jack.try_submit(spec).error().code == Code::payload_too_large);
}

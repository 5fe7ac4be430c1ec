// Same journal, same state: whenever the engine ends, and wherever a flush falls.
#include <functional>

#include <jack_engine/testing/harness.h>

#include "tests/catch.hpp"
#include "tests/engine/raw_session.h"

using namespace std::chrono_literals;
using namespace jack;
using namespace jack::testing;

namespace {

// A story in steps, with something of everything.
std::vector<std::function<void(Harness&)>> steps_of_a_story() {
  std::vector<std::function<void(Harness&)>> steps;
  const auto add = [&](std::function<void(Harness&)> step) { steps.push_back(std::move(step)); };
  add([](Harness& jack) {
    TaskSpec spec;
    spec.queue = "mail";
    spec.payload = "replies";
    spec.reply_to = "outbox";
    spec.headers = {{"traceparent", "00-1"}};
    jack.submit(spec);
  });
  add([](Harness& jack) {
    TaskSpec spec;
    spec.queue = "mail";
    spec.delay = 3s;
    spec.priority = Priority::high;
    jack.submit(spec);
  });
  add([](Harness& jack) { jack.progress(jack.claim("mail"), 0.5, "half"); });
  add([](Harness& jack) { jack.output(jack.holder("mail"), "some output"); });
  add([](Harness& jack) { jack.advance(2s); });
  add([](Harness& jack) { jack.succeed(jack.holder("mail"), "done"); });
  add([](Harness& jack) { jack.fail(jack.claim("outbox"), "no"); });
  add([](Harness& jack) { jack.pause("post"); });
  add([](Harness& jack) { jack.submit("post", "waits"); });
  add([](Harness& jack) { jack.advance(4s); });
  add([](Harness& jack) { jack.release(jack.claim("mail"), 1s); });
  add([](Harness& jack) { jack.resume("post"); });
  add([](Harness& jack) { jack.fail(jack.claim("post"), "for good", {.retry = false}); });
  add([](Harness& jack) {
    for (const Task& task : jack.submitted("post")) jack.retry(task.spec.id);
  });
  add([](Harness& jack) {
    for (const Task& task : jack.submitted("post")) jack.cancel(task.spec.id, "enough");
  });
  add([](Harness& jack) { jack.advance(30s); });
  return steps;
}

// What people can see of it.
std::string picture(Harness& jack) {
  std::string text;
  for (const char* queue : {"mail", "post", "outbox"}) {
    for (const Task& task : jack.submitted(queue)) {
      text += to_string(task.spec.id) + ' ' + task.spec.payload + ' ' +
              std::string(name_of(task.status.state)) + ' ' + std::to_string(task.status.attempt) +
              ' ' + std::to_string(task.status.serial) + ' ' + jack.story(task.spec.id) + '\n';
    }
  }
  return text;
}

}  // namespace

TEST_CASE("a crash after any step of a story loses nothing and changes nothing") {
  const std::string transport = GENERATE("memory", "local");
  const auto steps = steps_of_a_story();
  const std::size_t crash_at = GENERATE(range(std::size_t{0}, std::size_t{16}));
  Harness jack({.transport = transport});
  for (std::size_t i = 0; i <= crash_at; ++i) steps.at(i)(jack);
  // A picture is taken by a client, who is no part of the story: what it needs is flushed.
  const std::string before = picture(jack);
  jack.restart();
  CHECK(picture(jack) == before);
  CHECK(jack.hash() == jack.replay_hash());
}

TEST_CASE("a replay from the first entry gives the running engine's hash, wherever flushes fall") {
  Harness jack({.transport = GENERATE("memory", "local")});
  for (const auto& step : steps_of_a_story()) {
    step(jack);
    const std::uint64_t hash = jack.hash();
    CHECK(jack.replay_hash() == hash);
    CHECK(jack.replay_hash(1) == hash);
    CHECK(jack.replay_hash(3) == hash);
  }
}

TEST_CASE("the same story twice has the same hash, on any transport") {
  std::vector<std::uint64_t> hashes;
  for (const char* transport : {"memory", "memory", "local"}) {
    Harness jack({.transport = transport});
    for (const auto& step : steps_of_a_story()) step(jack);
    hashes.push_back(jack.hash());
  }
  CHECK(hashes[0] == hashes[1]);
  CHECK(hashes[0] == hashes[2]);
}

TEST_CASE("a crash between a flush and its end loses nothing") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  jack.succeed(jack.claim("mail"), "sent");
  jack.impl().rig().store().hold_flushes();
  jack.advance(3s);
  const TaskId later = jack.submit("mail", "b");
  jack.restart();
  CHECK(jack.result(task) == "sent");
  CHECK(jack.state(later) == TaskState::queued);
  CHECK(jack.hash() == jack.replay_hash());
}

TEST_CASE("a crash while an append is on its way loses only what was not acknowledged") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId task = jack.submit("mail", "a");
  jack.hold_appends();
  TaskSpec spec;
  spec.queue = "mail";
  spec.id = TaskId::from(jack.wall_now(), 1, 1);
  REQUIRE_FALSE(jack.try_submit(spec));
  jack.restart();
  CHECK(jack.state(task) == TaskState::queued);
  CHECK(jack.get(spec.id).error().code == Code::not_found);
  CHECK(jack.try_submit(spec));
}

TEST_CASE("handlers go on after a restart") {
  Harness jack({.transport = GENERATE("memory", "local")});
  jack.on("greet", [](Attempt& attempt) { return "Hello, " + attempt.task().payload; });
  jack.restart();
  const TaskId task = jack.submit("greet", "Ada");
  CHECK(jack.wait(task, 1min).value().result == "Hello, Ada");
}

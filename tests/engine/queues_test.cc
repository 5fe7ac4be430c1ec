// The order in which tasks are handed out, and what keeps them waiting.
#include <jack_engine/testing/harness.h>

#include "tests/catch.hpp"
#include "tests/engine/raw_session.h"

using namespace std::chrono_literals;
using namespace jack;
using namespace jack::testing;

namespace {

TaskSpec with_priority(Priority priority) {
  TaskSpec spec;
  spec.queue = "mail";
  spec.priority = priority;
  return spec;
}

}  // namespace

TEST_CASE("a more urgent task goes first, strictly, and equals in their order") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId low = jack.submit(with_priority(Priority::low));
  const TaskId normal = jack.submit(with_priority(Priority::normal));
  const TaskId urgent = jack.submit(with_priority(Priority::urgent));
  const TaskId high = jack.submit(with_priority(Priority::high));
  const TaskId urgent_too = jack.submit(with_priority(Priority::urgent));
  if (GENERATE(false, true)) jack.restart();

  for (const TaskId& task : {urgent, urgent_too, high, normal, low}) {
    CHECK(jack.claim("mail").task == task);
  }
}

TEST_CASE("a paused queue hands nothing out; what runs goes on, submits are accepted") {
  Harness jack({.transport = GENERATE("memory", "local")});
  jack.submit("mail", "a");
  const Lease running = jack.claim("mail");
  REQUIRE(jack.pause("mail") == Code::ok);
  const TaskId waits = jack.submit("mail", "b");
  CHECK_FALSE(jack.claim("mail"));
  CHECK(jack.succeed(running) == Code::ok);
  jack.restart();
  CHECK_FALSE(jack.claim("mail"));

  REQUIRE(jack.resume("mail") == Code::ok);
  CHECK(jack.claim("mail").task == waits);
  CHECK(jack.pause("no such name!") == Code::invalid_argument);
}

TEST_CASE("a queue that is resumed feeds the workers that wait") {
  Harness jack;
  int runs = 0;
  jack.on("mail", [&](Attempt&) { return std::to_string(++runs); });
  jack.pause("mail");
  for (int i = 0; i < 5; ++i) jack.submit("mail", "a");
  jack.run_until_idle();
  CHECK(runs == 0);
  jack.resume("mail");
  CHECK(runs == 5);
}

TEST_CASE("a delayed task is queued when it is due, not a millisecond earlier") {
  Harness jack({.transport = GENERATE("memory", "local")});
  TaskSpec spec;
  spec.queue = "mail";
  spec.delay = 1234ms;
  const TaskId task = jack.submit(spec);
  jack.advance(1233ms);
  CHECK(jack.state(task) == TaskState::scheduled);
  jack.advance(1ms);
  CHECK(jack.state(task) == TaskState::queued);
  CHECK(jack.story(task) == "submitted queued");
}

TEST_CASE("a task that is due while the engine is down is queued when it is back") {
  Harness jack({.transport = GENERATE("memory", "local")});
  TaskSpec spec;
  spec.queue = "mail";
  spec.delay = 1h;
  const TaskId task = jack.submit(spec);
  jack.impl().rig().crash();
  jack.freeze(2h);
  jack.impl().reopen();
  jack.advance(1ms);
  CHECK(jack.state(task) == TaskState::queued);
}

TEST_CASE("an expired task is never handed out, whatever it waited for") {
  Harness jack({.transport = GENERATE("memory", "local")});
  TaskSpec spec;
  spec.queue = "mail";
  spec.expires_in = 10s;
  const TaskId queued = jack.submit(spec);
  spec.delay = 20s;
  const TaskId scheduled = jack.submit(spec);
  jack.advance(9999ms);
  CHECK(jack.state(queued) == TaskState::queued);
  jack.advance(1ms);

  CHECK(jack.state(queued) == TaskState::expired);
  CHECK(jack.state(scheduled) == TaskState::expired);
  CHECK_FALSE(jack.claim("mail"));
}

TEST_CASE("a running task does not expire") {
  Harness jack;
  TaskSpec spec;
  spec.queue = "mail";
  spec.expires_in = 10s;
  spec.max_attempts = 2;
  const TaskId task = jack.submit(spec);
  const Lease lease = jack.claim("mail");
  jack.advance(20s);
  CHECK(jack.state(task) == TaskState::running);
  jack.fail(lease, "no");
  jack.advance(5s);
  CHECK(jack.state(task) == TaskState::expired);
}

TEST_CASE("cancelling ends a task in whichever state it waits") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const TaskId queued = jack.submit("mail", "a");
  TaskSpec spec;
  spec.queue = "mail";
  spec.delay = 1h;
  const TaskId scheduled = jack.submit(spec);
  CHECK(jack.cancel(queued) == Code::ok);
  CHECK(jack.cancel(scheduled) == Code::ok);
  CHECK(jack.cancel(TaskId::from(jack.wall_now(), 9, 9)) == Code::not_found);

  CHECK(jack.state(queued) == TaskState::cancelled);
  CHECK(jack.state(scheduled) == TaskState::cancelled);
  CHECK_FALSE(jack.claim("mail"));
  jack.advance(2h);
  CHECK(jack.state(scheduled) == TaskState::cancelled);
}

TEST_CASE("thousands of timers fire in several ticks and none is lost") {
  Harness jack;
  std::vector<TaskSpec> specs(1000);
  for (TaskSpec& spec : specs) {
    spec.queue = "mail";
    spec.delay = 1min;
  }
  for (int i = 0; i < 3; ++i) jack.submit_all(specs);
  jack.advance(1min);
  CHECK(jack.impl().rig().loop().state().queue("mail")->counts.queued == 3000);
}

TEST_CASE("lists are current, newest first, by queue and state, page by page") {
  Harness jack({.transport = GENERATE("memory", "local")});
  std::vector<TaskId> tasks;
  for (int i = 0; i < 25; ++i) tasks.push_back(jack.submit("mail", "a"));
  jack.submit("post", "b");
  REQUIRE(jack.succeed(jack.claim("mail"), "x") == Code::ok);
  RawSession session(jack);
  const auto page = [&](wire::List list) {
    list.correlation = 3;
    session.say(list);
    const auto& answer = session.expect<wire::Page>();
    std::vector<TaskId> ids;
    for (const auto& item : answer.tasks) {
      Unpacker unpacker;
      ids.push_back(decode_spec(unpacker, item.spec).value().id);
    }
    return std::pair(ids, answer.next);
  };
  wire::List list;
  list.queue = "mail";
  list.count = 10;
  const auto [first, next] = page(list);
  CHECK(first.size() == 10);
  CHECK(next == first.back());
  CHECK(first.front() == tasks.back());
  list.before = next;
  list.count = 100;
  const auto [rest, end] = page(list);
  CHECK(rest.size() == 15);
  CHECK(end.empty());
  CHECK(rest.back() == tasks.front());

  wire::List succeeded;
  succeeded.state = TaskState::succeeded;
  CHECK(page(succeeded).first == std::vector{tasks.front()});
  wire::List live;
  live.finished_too = false;
  CHECK(page(live).first.size() == 25);
}

// A page of 1,000 tasks with long histories was longer than what clients take: they cut the
// connection, and asked for the same page again after each reconnect.
TEST_CASE("a page of long histories ends before it is too long for a client") {
  Harness jack({.transport = GENERATE("memory", "local")});
  jack.on("mail", [](Attempt&) { return Settlement::fail(std::string(4096, 'e')); });
  constexpr std::size_t kTasks = 160;
  std::vector<TaskSpec> specs(kTasks);
  for (TaskSpec& spec : specs) {
    spec.queue = "mail";
    spec.max_attempts = 16;
    spec.backoff = {1ms, 1000, 1ms, 0};
  }
  for (const auto& submitted : jack.submit_all(specs)) REQUIRE(submitted);
  jack.run_until_idle();
  RawSession session(jack);
  wire::List list;
  list.count = 1000;
  session.say(list);

  const auto& page = session.expect<wire::Page>();

  std::size_t bytes = 0;
  for (const wire::Page::Item& item : page.tasks) bytes += item.spec.size() + item.status.size();
  CHECK(bytes < 9u << 20);
  CHECK_FALSE(page.next.empty());
  CHECK(jack.submitted("mail").size() == kTasks);  // page by page
}

TEST_CASE("finished tasks are kept for the retention and then are gone") {
  Limits limits;
  limits.retention = 2h;
  limits.dedup_window = 4h;
  Harness jack({.transport = GENERATE("memory", "local"), .limits = limits});
  TaskSpec spec;
  spec.queue = "mail";
  spec.id = TaskId::from(jack.wall_now(), 1, 1);
  jack.submit(spec);
  REQUIRE(jack.succeed(jack.claim("mail"), "sent") == Code::ok);
  jack.advance(2h);
  CHECK(jack.result(spec.id) == "sent");
  jack.advance(61min);  // whole hours go
  CHECK(jack.get(spec.id).error().code == Code::not_found);
  // Its id is still known: a late repeat is no new task.
  CHECK(jack.try_submit(spec));
  CHECK_FALSE(jack.claim("mail"));
  jack.advance(3h);
  // Now it is too old to be taken for new.
  CHECK(jack.try_submit(spec).error().code == Code::invalid_argument);
  jack.restart();
  CHECK(jack.hash() == jack.replay_hash());
}

// Watching what happens: nothing is missed, nothing is seen twice.
#include <jack_engine/testing/harness.h>

#include "tests/catch.hpp"
#include "tests/engine/raw_session.h"

using namespace std::chrono_literals;
using namespace jack;
using namespace jack::testing;

namespace {

struct Seen {
  std::vector<Position> positions;
  std::vector<EventKind> kinds;
  Position last;
  Code refused = Code::ok;
};

// Reads `events` messages until none comes, granting credit for each where `grants`.
Seen read_all(RawSession& session, bool grants = true) {
  Seen seen;
  while (const wire::Reply* reply = session.next()) {
    if (const auto* refused = std::get_if<wire::Refused>(reply)) {
      seen.refused = refused->code;
      continue;
    }
    const auto* events = std::get_if<wire::Events>(reply);
    if (events == nullptr) continue;
    for (const std::string_view bytes : events->events) {
      Unpacker unpacker;
      const EventView event = decode_event(unpacker, bytes).value();
      seen.positions.push_back(event.position);
      seen.kinds.push_back(event.kind);
    }
    seen.last = events->last;
    if (grants) session.say(wire::Grant{0, 5, 1});
  }
  return seen;
}

wire::Watch watch_from(std::optional<Position> after, std::uint32_t credit = 10) {
  wire::Watch watch;
  watch.correlation = 5;
  watch.after = after;
  watch.credit = credit;
  return watch;
}

void work_through_some(Harness& jack) {
  for (int i = 0; i < 4; ++i) {
    jack.submit("mail", std::to_string(i));
    const Lease lease = jack.claim("mail");
    if (i == 1) jack.advance(2s);
    if (i % 2 == 0) jack.succeed(lease, "x");
    if (i % 2 == 1) jack.fail(lease, "no", {.retry = false});
  }
}

}  // namespace

TEST_CASE("a watcher that resumes at any position sees the rest once, in order") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const bool restarted = GENERATE(false, true);
  work_through_some(jack);
  if (restarted) jack.restart();
  RawSession first(jack);
  first.say(watch_from(Position{}));
  const Seen all = read_all(first);
  REQUIRE(all.positions.size() == 12);
  CHECK(std::is_sorted(all.positions.begin(), all.positions.end()));

  for (std::size_t i = 0; i < all.positions.size(); ++i) {
    RawSession again(jack);
    again.say(watch_from(all.positions[i]));
    const std::vector<Position> rest(all.positions.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                                     all.positions.end());
    CHECK(read_all(again).positions == rest);
  }
}

TEST_CASE("a watcher sees what happens from now on, and is told where that begins") {
  Harness jack;
  jack.submit("mail", "before");
  RawSession session(jack);
  session.say(watch_from(std::nullopt));
  const Seen nothing = read_all(session, false);
  CHECK(nothing.positions.empty());
  CHECK(nothing.last.entry > 0);
  jack.submit("mail", "after");
  CHECK(read_all(session).kinds == std::vector{EventKind::submitted});

  RawSession again(jack);
  again.say(watch_from(nothing.last));
  CHECK(read_all(again).kinds == std::vector{EventKind::submitted});
}

TEST_CASE("a watcher may look at one task or one queue") {
  Harness jack({.transport = GENERATE("memory", "local")});
  const bool stored = GENERATE(false, true);
  const TaskId task = jack.submit("mail", "a");
  jack.submit("post", "b");
  jack.succeed(jack.claim("mail"));
  jack.pause("post");
  if (stored) {
    jack.advance(2s);
    jack.restart();
  }

  CHECK(jack.story(task) == "submitted started succeeded");
  RawSession session(jack);
  wire::Watch watch = watch_from(Position{});
  watch.queue = "post";
  session.say(watch);
  CHECK(read_all(session).kinds == std::vector{EventKind::submitted, EventKind::queue_paused});
  watch.queue = "no such queue!";
  session.say(watch);
  CHECK(read_all(session).refused == Code::invalid_argument);
}

TEST_CASE("a slow watcher costs nothing, and later gets all in order from memory and the store") {
  Harness jack({.transport = GENERATE("memory", "local")});
  RawSession slow(jack);
  slow.say(watch_from(Position{}, 1));
  jack.submit("mail", "first");
  CHECK(read_all(slow, false).positions.size() == 1);
  for (int i = 0; i < 10; ++i) {
    jack.submit("mail", std::string(100, 'x'));
    jack.advance(2s);  // each in a flush of its own
  }
  jack.submit("mail", "last");
  CHECK(slow.next() == nullptr);

  slow.say(wire::Grant{0, 5, 1});
  const Seen rest = read_all(slow);
  CHECK(rest.positions.size() == 11);
  CHECK(std::is_sorted(rest.positions.begin(), rest.positions.end()));
  CHECK(std::adjacent_find(rest.positions.begin(), rest.positions.end()) == rest.positions.end());
}

TEST_CASE("much history comes in many messages, one per credit") {
  Harness jack;
  std::vector<TaskSpec> specs(1000);
  for (TaskSpec& spec : specs) spec.queue = std::string(100, 'q');
  for (int i = 0; i < 3; ++i) jack.submit_all(specs);
  RawSession session(jack);
  session.say(watch_from(Position{}, 2));
  int messages = 0;
  std::size_t events = 0;
  while (const wire::Reply* reply = session.next()) {
    ++messages;
    events += std::get<wire::Events>(*reply).events.size();
  }
  CHECK(messages == 2);
  CHECK(events < 3000);
  session.say(wire::Grant{0, 5, 100});
  CHECK(events + read_all(session, false).positions.size() == 3000);
}

TEST_CASE("history that is no longer kept is refused, and so is a position from elsewhere") {
  Limits limits;
  limits.watch_retention = 1h;
  Harness jack({.transport = GENERATE("memory", "local"), .limits = limits});
  jack.submit("mail", "old");
  jack.advance(2h);
  jack.submit("mail", "new");
  jack.advance(2s);
  jack.submit("mail", "newer");
  jack.advance(2s);
  jack.restart();
  RawSession session(jack);
  session.say(watch_from(Position{}));
  CHECK(read_all(session).refused == Code::position_gone);
  session.say(watch_from(Position{1'000'000, 0}));
  CHECK(read_all(session).refused == Code::position_gone);
}

TEST_CASE("an unwatched or forgotten watch is silent") {
  Harness jack;
  RawSession session(jack);
  session.say(watch_from(std::nullopt));
  session.say(wire::Unwatch{0, 5});
  session.say(wire::Unwatch{0, 77});
  session.say(wire::Grant{0, 77, 1});
  read_all(session, false);
  CHECK(jack.fact("watches") == "0");
  jack.submit("mail", "a");
  CHECK(session.next() == nullptr);

  session.say(watch_from(std::nullopt));
  read_all(session, false);
  CHECK(jack.fact("watches") == "1");
  session.vanish();
  jack.advance(0s);
  CHECK(jack.fact("watches") == "0");
}

TEST_CASE("a watch that is asked for again begins anew") {
  Harness jack;
  jack.submit("mail", "a");
  RawSession session(jack);
  session.say(watch_from(Position{}));
  session.say(watch_from(Position{}));
  CHECK(read_all(session, false).positions.size() == 1);
  CHECK(jack.fact("watches") == "1");
}

// The parts that the front is made of.
#include <map>
#include <random>

#include "engine/front/batch.h"
#include "engine/front/deadlines.h"
#include "engine/front/flat_map.h"
#include "engine/front/pools.h"
#include "engine/front/sessions.h"
#include "engine/front/waits.h"
#include "engine/front/watches.h"
#include "tests/catch.hpp"

using namespace std::chrono_literals;
using namespace jack;

TEST_CASE("a flat map does what a map does") {
  FlatMap<std::uint64_t, int> flat;
  std::map<std::uint64_t, int> map;
  std::minstd_rand random(7);
  for (int i = 0; i < 20'000; ++i) {
    // Few keys, so that they come and go, and some that share their place.
    const std::uint64_t key = random() % 200 * 0x1'0000'0001u;
    if (random() % 3 == 0) {
      flat.erase(key);
      map.erase(key);
    } else {
      flat[key] = i;
      map[key] = i;
    }
    REQUIRE(flat.size() == map.size());
  }
  for (std::uint64_t key = 0; key < 200; ++key) {
    const auto found = map.find(key * 0x1'0000'0001u);
    const int* value = flat.find(key * 0x1'0000'0001u);
    REQUIRE((value != nullptr) == (found != map.end()));
    if (value != nullptr) CHECK(*value == found->second);
  }
}

TEST_CASE("deadlines come in order, ties in the order they were set") {
  Deadlines<int> deadlines;
  CHECK(deadlines.next() == kNoDeadline);
  deadlines.add({30}, 1);
  deadlines.add({10}, 2);
  deadlines.add({20}, 3);
  deadlines.add({10}, 4);
  std::vector<int> order;
  while (deadlines.next() != kNoDeadline) order.push_back(deadlines.take().key);
  CHECK(order == std::vector{2, 4, 3, 1});
}

TEST_CASE("deadlines that mean nothing any more are swept away once they are most of all") {
  Deadlines<int> deadlines;
  for (int i = 0; i < 10'000; ++i) {
    deadlines.sweep(1, [&](const auto& entry) { return entry.key == i - 1; });
    deadlines.add({1000 - i % 7}, i);
  }
  int left = 0;
  int last = 0;
  for (; deadlines.next() != kNoDeadline; ++left) last = std::max(last, deadlines.take().key);
  CHECK(left < 1100);
  CHECK(last == 9999);
}

TEST_CASE("a budget is spent and earned back by the second") {
  Budget budget;
  CHECK(budget.take({0}, 1000, 1000));
  CHECK_FALSE(budget.take({0}, 1, 1000));
  CHECK_FALSE(budget.take({999'999}, 1, 1000));  // less than a millisecond earns nothing yet
  CHECK(budget.take({500'000'000}, 500, 1000));
  CHECK_FALSE(budget.take({500'000'000}, 1, 1000));
  CHECK_FALSE(budget.take({INT64_MAX / 2}, 1001, 1000));
  CHECK(budget.take({INT64_MAX / 2}, 1000, 1000));
}

TEST_CASE("a batch keeps its requests in order, and drops those of one kind whole") {
  const auto note = [](std::string_view text) { return CancelCommand{{}, text}; };
  Batch batch;
  wire::Done done;
  batch.begin(Pending::Kind::submit, 1, 10);
  batch.add(note("one"));
  batch.refuse({Code::invalid_argument, "no"});
  CHECK(batch.end(done));
  batch.begin(Pending::Kind::change, 2, 20);
  batch.refuse({Code::rate_limited, "slowly"});
  batch.add(note("two"));
  CHECK(batch.end(done));
  batch.begin(Pending::Kind::submit, 3, 30);
  batch.add(note("three"));
  CHECK(batch.end(done));
  batch.add_tick();

  const std::vector<Pending> dropped = batch.drop(Pending::Kind::submit);
  REQUIRE(dropped.size() == 2);
  CHECK(dropped[0].correlation == 10);
  CHECK(dropped[1].correlation == 30);
  REQUIRE(batch.pending().size() == 2);
  CHECK(batch.pending()[0].session == 2);
  REQUIRE(batch.refusals().size() == 1);
  CHECK(batch.refusals()[0].error.message == "slowly");

  Unpacker unpacker;
  const std::string entry = batch.entry({});
  Fields commands = decode_entry(unpacker, entry).value().commands;
  REQUIRE(commands.remaining() == 2);
  CHECK(std::get<CancelCommand>(decode_command(commands.array(), {}).value()).reason == "two");
  CHECK(batch.has_tick());
}

TEST_CASE("a request that is taken back leaves nothing behind") {
  Batch batch;
  wire::Done done;
  batch.begin(Pending::Kind::settle, 1, 10);
  batch.add(SettleCommand{});
  batch.add(LeaseRef{{}, {1}, 0});
  CHECK(batch.end(done));
  const std::size_t bytes = batch.bytes();
  batch.begin(Pending::Kind::settle, 1, 11);
  batch.refuse({Code::invalid_argument, "no"});
  batch.add(SettleCommand{});
  batch.add(LeaseRef{{}, {2}, 0});
  batch.count_again(3);
  CHECK(batch.request_bytes() == bytes);
  CHECK(batch.request_agains().size() == 1);

  batch.undo();

  CHECK(batch.bytes() == bytes);
  CHECK(batch.pending().size() == 1);
  CHECK(batch.refusals().empty());
  CHECK(batch.agains().empty());
  REQUIRE(batch.leases().size() == 1);
  CHECK(batch.leases()[0].token.value == 1);
}

TEST_CASE("a batch that is split keeps what belongs to each request with it") {
  Batch batch;
  wire::Done done;
  for (std::uint64_t i = 0; i < 3; ++i) {
    batch.begin(Pending::Kind::settle, 1, i);
    batch.refuse({Code::invalid_argument, std::to_string(i)});
    batch.add(SettleCommand{});
    batch.add(LeaseRef{{}, {i}, 0});
    batch.count_again(static_cast<PoolNumber>(i));
    CHECK(batch.end(done));
  }
  const std::vector<Batch> parts = batch.split(batch.bytes() / 3);
  CHECK(batch.empty());
  REQUIRE(parts.size() == 3);
  for (std::uint64_t i = 0; i < 3; ++i) {
    REQUIRE(parts[i].pending().size() == 1);
    CHECK(parts[i].pending()[0].correlation == i);
    CHECK(parts[i].leases().at(0).token.value == i);
    CHECK(parts[i].refusals().at(0).error.message == std::to_string(i));
    CHECK(parts[i].agains() == std::vector<PoolNumber>{static_cast<PoolNumber>(i)});
  }
}

TEST_CASE("a request without commands is answered at once and leaves nothing behind") {
  Batch batch;
  wire::Done done;
  batch.begin(Pending::Kind::submit, 1, 10);
  batch.refuse({Code::invalid_argument, "no"});
  batch.accept();
  CHECK_FALSE(batch.end(done));
  CHECK(done.correlation == 10);
  REQUIRE(done.items.size() == 2);
  CHECK(done.items[0].message == "no");
  CHECK(done.items[1].code == Code::ok);
  CHECK(batch.pending().empty());
  CHECK(batch.refusals().empty());
  CHECK(batch.empty());
}

TEST_CASE("a pool's workers are served in turn while they have credit") {
  WorkerPools pools;
  auto [pool, opened] = pools.find_or_open({"mail"}, true, 30s);
  CHECK(opened);
  CHECK_FALSE(pools.find_or_open({"mail"}, true, 30s).opened);
  CHECK(pools.find_or_open({"mail"}, false, 30s).opened);
  CHECK(pools.find_or_open({"mail"}, true, 31s).opened);
  Subscription a;
  Subscription b;
  WorkerPools::join(pool, a);
  WorkerPools::join(pool, b);
  CHECK(WorkerPools::next(pool) == nullptr);
  CHECK(WorkerPools::change_credit(a, 2, 10) == 2);
  CHECK(WorkerPools::change_credit(b, 3, 10) == 3);
  CHECK(pools.credit_by_queue()["mail"] == 5);
  CHECK(WorkerPools::next(pool) == &a);
  CHECK(WorkerPools::next(pool) == &b);
  CHECK(WorkerPools::change_credit(a, -5, 10) == -1);
  CHECK(WorkerPools::next(pool) == &b);
  CHECK(WorkerPools::change_credit(a, 1, 10) == 1);
  WorkerPools::leave(b);
  CHECK(WorkerPools::next(pool) == &a);
  CHECK(WorkerPools::next(pool) == nullptr);
}

TEST_CASE("an event log yields what matches behind a position, in pieces") {
  EventLog log;
  const TaskId task = TaskId::from({}, 1, 1);
  const TaskId other = TaskId::from({}, 2, 2);
  for (std::uint64_t entry = 1; entry <= 10; ++entry) {
    std::vector<EventView> events(2);
    events[0].position = {entry, 0};
    events[0].task = task;
    events[0].queue = "mail";
    events[1].position = {entry, 1};
    events[1].task = other;
    events[1].queue = entry % 2 == 0 ? "mail" : "post";
    log.add(entry, entry == 5 ? std::vector<EventView>() : events);
    if (entry % 3 == 0) log.cut();
  }
  const auto count = [&](EventFilter filter, Position after, std::size_t bytes_max = 1 << 20) {
    EventPart part;
    part.last = after;
    std::size_t events = 0;
    while (!part.at_end) {
      part.events.clear();
      part.bytes = 0;
      log.read(filter, bytes_max, part);
      events += part.events.size();
    }
    CHECK(part.last == log.end());
    return events;
  };
  CHECK(count({}, {}) == 18);
  CHECK(count({}, {}, 1) == 18);
  CHECK(count({task, {}}, {}) == 9);
  CHECK(count({{}, "post"}, {}) == 4);
  CHECK(count({other, "mail"}, {3, 1}) == 4);
  CHECK(count({}, {9, 0}) == 3);
  CHECK(count({}, {10, 1}) == 0);
}

TEST_CASE("a blob of events is read back like the log it was cut from") {
  EventLog log;
  log.begin_after(6);
  std::vector<EventView> events(3);
  const std::string texts[] = {"some text", std::string(300, 'x'), std::string(70'000, 'y')};
  for (std::uint32_t i = 0; i < 3; ++i) {
    events[i].position = {7, i};
    events[i].text = texts[i];
  }
  log.add(7, events);
  log.add(8, {});
  const EventLog::Cut cut = log.cut();
  CHECK(cut.first == 7);
  EventPart part;
  part.last = {7, 0};
  REQUIRE(read_blob(cut.blob, {}, 1 << 20, part));
  CHECK(part.events.size() == 2);
  CHECK(part.last == Position{8, UINT32_MAX});

  EventPart some;
  REQUIRE(read_blob(cut.blob, {}, 1, some));
  CHECK(some.events.size() == 1);
  CHECK(some.last == Position{7, 0});
  // What is not such a blob is refused, wherever it is cut off.
  for (std::size_t size = 0; size < cut.blob.size(); size += size < 1000 ? 1 : 997) {
    EventPart none;
    const Result<void> read = read_blob(cut.blob.substr(0, size), {}, 1 << 20, none);
    if (!read) CHECK(read.error().code == Code::corruption);
    CHECK((none.last == Position{8, UINT32_MAX}) <= (read.has_value()));
  }
}

// It once moved on over events that had not been looked at, and watchers missed them.
TEST_CASE("a blob without events moves nothing on where the part is full already") {
  EventLog log;
  log.begin_after(0);
  std::vector<EventView> events(2);
  events[0].position = {1, 0};
  events[1].position = {1, 1};
  log.add(1, events);
  const std::string first = log.cut().blob;
  log.add(2, {});
  const std::string second = log.cut().blob;

  EventPart part;
  REQUIRE(read_blob(first, {}, 1, part));
  REQUIRE(read_blob(second, {}, 1, part));
  CHECK(part.events.size() == 1);
  CHECK(part.last == Position{1, 0});

  EventPart rest;
  rest.last = part.last;
  REQUIRE(read_blob(first, {}, 1 << 20, rest));
  REQUIRE(read_blob(second, {}, 1 << 20, rest));
  CHECK(rest.events.size() == 1);
  CHECK(rest.last == Position{2, UINT32_MAX});
}

TEST_CASE("an event log forgets what is stored beyond a few megabytes") {
  EventLog log;
  const std::string text(100'000, 'x');
  for (std::uint64_t entry = 1; entry <= 100; ++entry) {
    std::vector<EventView> events(1);
    events[0].position = {entry, 0};
    events[0].text = text;
    log.add(entry, events);
    log.cut();
    log.flushed();
  }
  CHECK(log.first_entry() > 40);
  CHECK(log.first_entry() < 80);
  EventPart part;
  part.last = {log.first_entry() - 1, UINT32_MAX};
  log.read({}, 100 << 20, part);
  CHECK(part.events.size() == 100 - log.first_entry() + 1);
}

TEST_CASE("waits are answered oldest first, expire at their time, and go with their session") {
  SessionTable sessions;
  Session& a = sessions.add(1);
  Session& b = sessions.add(2);
  Waits waits;
  const TaskId task = TaskId::from({}, 1, 1);
  const TaskId other = TaskId::from({}, 2, 2);
  waits.add(task, a, 1, {100});
  waits.add(task, b, 2, {50});
  waits.add(task, a, 3, {70});
  waits.add(other, a, 4, {60});
  CHECK(waits.size() == 4);
  CHECK(waits.next_deadline() == SteadyTime{50});
  std::vector<wire::Correlation> told;
  const auto tell = [&](const Wait& wait) { told.push_back(wait.correlation); };
  waits.expire({60}, tell);
  CHECK(told == std::vector<wire::Correlation>{2, 4});
  CHECK_FALSE(waits.has(other));
  told.clear();
  waits.take(task, tell);
  CHECK(told == std::vector<wire::Correlation>{1, 3});
  CHECK(waits.empty());
  waits.add(task, b, 5, {100});
  waits.add(task, a, 6, {100});
  waits.drop_session(a);
  CHECK(a.wait_count == 0);
  told.clear();
  waits.expire({200}, tell);
  CHECK(told == std::vector<wire::Correlation>{5});
}

TEST_CASE("millions of waits that end early leave no heap of deadlines behind") {
  SessionTable sessions;
  Session& session = sessions.add(1);
  Waits waits;
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    const TaskId task = TaskId::from({}, i, i);
    waits.add(task, session, i, {1'000'000});
    waits.take(task, [](const Wait&) {});
  }
  int expired = 0;
  waits.expire({2'000'000}, [&](const Wait&) { ++expired; });
  CHECK(expired == 0);
  CHECK(waits.next_deadline() == kNoDeadline);
}

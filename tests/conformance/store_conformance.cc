// What every store must do, run on the one in memory and the one on disk.
#include <memory>
#include <optional>

#include "storage/task_store.h"
#include "tests/storage/fixtures.h"
#include "transports/memory/memory_store.h"

namespace jack::test {
namespace {

// reopen() is a restart: what was flushed is there.
struct InMemory {
  InMemory() { reopen(); }
  void reopen() { store = std::make_unique<MemoryStore>(tables); }

  std::shared_ptr<MemoryTables> tables = std::make_shared<MemoryTables>();
  std::unique_ptr<Store> store;
};

struct OnDisk {
  OnDisk() { reopen(); }
  void reopen() {
    store.reset();
    TaskStoreOptions options;
    options.path = directory.file("tasks.db");
    Result<std::unique_ptr<TaskStore>> opened = TaskStore::open(options);
    REQUIRE(opened);
    store = std::move(*opened);
  }

  TemporaryDirectory directory;
  std::unique_ptr<Store> store;
};

LiveRow live(std::uint64_t number, std::string_view status, std::string_view spec,
             TaskState state = TaskState::queued, std::string_view queue = "mail") {
  return {id_of(number), queue, state, status, spec};
}

FinishedRow finished(std::uint64_t number, Partition partition, std::string_view status,
                     std::string_view spec, std::string_view result,
                     TaskState state = TaskState::succeeded, std::string_view queue = "mail") {
  FinishedRow row{id_of(number), partition, queue, state, status, spec, result, false};
  row.was_live = spec.empty();
  return row;
}

Loaded load(Store& store) {
  Loaded loaded;
  REQUIRE(store.load(loaded));
  return loaded;
}

// The value of a read that must work, or "none".
template <typename T>
std::string shown(const Result<std::optional<T>>& read) {
  REQUIRE(read);
  if (!*read) return "none";
  if constexpr (std::is_same_v<T, StoredTask>) {
    return ((*read)->finished ? "finished " + std::to_string((*read)->partition) + " " : "live ") +
           (*read)->status;
  } else {
    return **read;
  }
}

std::string output(Store& store, std::uint64_t number, std::uint64_t offset = 0,
                   std::uint64_t bytes_max = 1000) {
  const Result<std::string> read = store.output(id_of(number), offset, bytes_max);
  REQUIRE(read);
  return *read;
}

std::vector<std::uint64_t> numbers_of(const ListPage& page) {
  std::vector<std::uint64_t> numbers;
  for (const ListedTask& task : page.tasks) {
    numbers.push_back(static_cast<std::uint64_t>(task.id.unix_ms() - 1'700'000'000'000));
  }
  return numbers;
}

ListPage list(Store& store, const ListQuery& query) {
  const Result<ListPage> page = store.list(query);
  REQUIRE(page);
  return *page;
}

}  // namespace

TEMPLATE_TEST_CASE("a new store loads as nothing", "[conformance]", InMemory, OnDisk) {
  TestType fixture;

  const Loaded loaded = load(*fixture.store);

  CHECK(loaded.index == 0);
  CHECK(loaded.meta.empty());
  CHECK(loaded.live.empty());
  CHECK(shown(fixture.store->find(id_of(1))) == "none");
  CHECK(shown(fixture.store->spec(id_of(1))) == "none");
  CHECK(shown(fixture.store->result(id_of(1))) == "none");
  CHECK(output(*fixture.store, 1).empty());
  CHECK_FALSE(fixture.store->flushed());
}

TEMPLATE_TEST_CASE("a flush is read at once and is there after a restart", "[conformance]",
                   InMemory, OnDisk) {
  TestType fixture;
  Flush changes;
  changes.index = 7;
  changes.meta = "state";
  changes.queues = {{2, "mail", "record"}, {5, "scan", ""}};
  changes.live = {live(3, "status3", "spec3"), live(1, "status1", "spec1")};
  changes.finished = {finished(9, 100, "status9", "spec9", "result9"),
                      finished(2, 100, "status2", "spec2", ""),
                      finished(4, 101, "status4", "spec4", "result4")};

  REQUIRE(flush(*fixture.store, changes));

  for (int restart = 0; restart < 2; ++restart) {
    CAPTURE(restart);
    if (restart == 1) fixture.reopen();
    const Loaded loaded = load(*fixture.store);
    CHECK(loaded.index == 7);
    CHECK(loaded.meta == "state");
    CHECK(loaded.queues == std::vector<std::string>{"2 mail record", "5 scan "});
    REQUIRE(loaded.live.size() == 2);
    CHECK(loaded.live[0] == std::pair(id_of(1), std::string("status1")));
    CHECK(loaded.live[1] == std::pair(id_of(3), std::string("status3")));
    CHECK(shown(fixture.store->find(id_of(3))) == "live status3");
    CHECK(shown(fixture.store->find(id_of(9))) == "finished 100 status9");
    CHECK(fixture.store->find(id_of(3)).value()->queue == "mail");
    CHECK(fixture.store->find(id_of(9)).value()->queue == "mail");
    CHECK(shown(fixture.store->spec(id_of(1))) == "spec1");
    CHECK(shown(fixture.store->spec(id_of(4))) == "spec4");
    CHECK(shown(fixture.store->result(id_of(9))) == "result9");
    CHECK(shown(fixture.store->result(id_of(2))).empty());
    CHECK(shown(fixture.store->result(id_of(3))) == "none");
    CHECK(shown(fixture.store->find(id_of(5))) == "none");
  }
}

TEMPLATE_TEST_CASE("a change of status leaves the spec, and finishing moves it", "[conformance]",
                   InMemory, OnDisk) {
  TestType fixture;
  Flush first;
  first.live = {live(1, "queued", "spec")};
  REQUIRE(flush(*fixture.store, first));
  Flush second;
  second.live = {live(1, "running", "")};
  REQUIRE(flush(*fixture.store, second));
  CHECK(shown(fixture.store->find(id_of(1))) == "live running");
  CHECK(shown(fixture.store->spec(id_of(1))) == "spec");

  Flush third;
  third.finished = {finished(1, 50, "done", "", "result")};
  REQUIRE(flush(*fixture.store, third));

  CHECK(load(*fixture.store).live.empty());
  CHECK(shown(fixture.store->find(id_of(1))) == "finished 50 done");
  CHECK(shown(fixture.store->spec(id_of(1))) == "spec");
  CHECK(shown(fixture.store->result(id_of(1))) == "result");
}

TEMPLATE_TEST_CASE("output grows while a task runs and stays with it when it is finished",
                   "[conformance]", InMemory, OnDisk) {
  TestType fixture;
  Flush first;
  first.live = {live(1, "running", "spec"), live(2, "running", "spec")};
  first.output = {{id_of(1), 0, 1, "hello "}, {id_of(2), 0, 1, "other"}};
  REQUIRE(flush(*fixture.store, first));
  Flush second;
  second.output = {{id_of(1), 6, 1, "world"}};
  REQUIRE(flush(*fixture.store, second));
  CHECK(output(*fixture.store, 1) == "hello world");
  CHECK(output(*fixture.store, 1, 3, 5) == "lo wo");
  CHECK(output(*fixture.store, 1, 6, 3) == "wor");
  CHECK(output(*fixture.store, 1, 11).empty());

  Flush third;
  third.output = {{id_of(1), 11, 1, "!"}};
  third.finished = {finished(1, 50, "done", "", "")};
  REQUIRE(flush(*fixture.store, third));

  CHECK(output(*fixture.store, 1) == "hello world!");
  CHECK(output(*fixture.store, 1, 6, 3) == "wor");
  CHECK(output(*fixture.store, 2) == "other");
  fixture.reopen();
  load(*fixture.store);
  CHECK(output(*fixture.store, 1) == "hello world!");
}

TEMPLATE_TEST_CASE("output of a task that was never stored live goes with it", "[conformance]",
                   InMemory, OnDisk) {
  TestType fixture;
  Flush changes;
  changes.output = {{id_of(1), 0, 1, "out"}};
  changes.finished = {finished(1, 50, "done", "spec", "")};

  REQUIRE(flush(*fixture.store, changes));

  CHECK(output(*fixture.store, 1) == "out");
  CHECK(shown(fixture.store->spec(id_of(1))) == "spec");
}

TEMPLATE_TEST_CASE("a retried task is live again with its spec and its output", "[conformance]",
                   InMemory, OnDisk) {
  TestType fixture;
  Flush first;
  first.output = {{id_of(1), 0, 1, "first "}};
  first.finished = {finished(1, 50, "failed", "spec", "", TaskState::failed)};
  REQUIRE(flush(*fixture.store, first));

  Flush second;
  second.revived = {{id_of(1), 50}};
  second.live = {live(1, "queued", "")};
  second.output = {{id_of(1), 6, 2, "second"}};
  REQUIRE(flush(*fixture.store, second));

  CHECK(shown(fixture.store->find(id_of(1))) == "live queued");
  CHECK(shown(fixture.store->spec(id_of(1))) == "spec");
  CHECK(output(*fixture.store, 1) == "first second");
  CHECK(numbers_of(list(*fixture.store, {})) == std::vector<std::uint64_t>{1});

  SECTION("and can finish once more, in a later hour") {
    Flush third;
    third.finished = {finished(1, 52, "done", "", "result")};
    REQUIRE(flush(*fixture.store, third));
    CHECK(shown(fixture.store->find(id_of(1))) == "finished 52 done");
    CHECK(output(*fixture.store, 1) == "first second");
  }
}

TEMPLATE_TEST_CASE("a task retried and finished again between two flushes is finished once",
                   "[conformance]", InMemory, OnDisk) {
  TestType fixture;
  Flush first;
  first.finished = {finished(1, 50, "failed", "spec", "", TaskState::failed)};
  REQUIRE(flush(*fixture.store, first));

  Flush second;
  second.revived = {{id_of(1), 50}};
  second.finished = {finished(1, 51, "done", "", "result")};
  REQUIRE(flush(*fixture.store, second));

  CHECK(shown(fixture.store->find(id_of(1))) == "finished 51 done");
  CHECK(shown(fixture.store->spec(id_of(1))) == "spec");
  CHECK(load(*fixture.store).live.empty());
  CHECK(numbers_of(list(*fixture.store, {})) == std::vector<std::uint64_t>{1});
}

TEMPLATE_TEST_CASE("an emptied hour keeps statuses, a dropped one nothing", "[conformance]",
                   InMemory, OnDisk) {
  TestType fixture;
  Flush first;
  first.output = {{id_of(1), 0, 1, "out"}};
  first.finished = {finished(1, 50, "one", "spec", "result"),
                    finished(2, 51, "two", "spec", "result"),
                    finished(3, 52, "three", "spec", "result")};
  REQUIRE(flush(*fixture.store, first));

  Flush second;
  second.emptied = {50, 77};
  second.dropped = {51, 78};
  REQUIRE(flush(*fixture.store, second));

  for (int restart = 0; restart < 2; ++restart) {
    CAPTURE(restart);
    if (restart == 1) {
      fixture.reopen();
      load(*fixture.store);
    }
    CHECK(shown(fixture.store->find(id_of(1))) == "finished 50 one");
    CHECK(shown(fixture.store->spec(id_of(1))) == "none");
    CHECK(shown(fixture.store->result(id_of(1))) == "none");
    CHECK(output(*fixture.store, 1).empty());
    CHECK(shown(fixture.store->find(id_of(2))) == "none");
    CHECK(shown(fixture.store->spec(id_of(2))) == "none");
    CHECK(shown(fixture.store->find(id_of(3))) == "finished 52 three");
    // Its specs are gone, so a task past its retention cannot be shown: that once failed all lists.
    CHECK(numbers_of(list(*fixture.store, {})) == std::vector<std::uint64_t>{3});
  }

  Flush third;
  third.dropped = {50};
  REQUIRE(flush(*fixture.store, third));
  CHECK(shown(fixture.store->find(id_of(1))) == "none");
}

// After a long stop the first flush both writes an hour and drops it. The hour was then taken for
// one that is there, and every list and look-up failed on its missing table.
TEMPLATE_TEST_CASE("an hour that is emptied or dropped by the flush that writes it is so at once",
                   "[conformance]", InMemory, OnDisk) {
  TestType fixture;
  Flush changes;
  changes.finished = {finished(1, 50, "one", "spec", "result"),
                      finished(2, 51, "two", "spec", "result"),
                      finished(3, 52, "three", "spec", "result")};
  changes.emptied = {50};
  changes.dropped = {51};

  REQUIRE(flush(*fixture.store, changes));

  for (int restart = 0; restart < 2; ++restart) {
    CAPTURE(restart);
    if (restart == 1) fixture.reopen();
    Loaded loaded;
    REQUIRE(fixture.store->load(loaded));
    CHECK(shown(fixture.store->find(id_of(1))) == "finished 50 one");
    CHECK(shown(fixture.store->spec(id_of(1))) == "none");
    CHECK(shown(fixture.store->find(id_of(2))) == "none");
    CHECK(numbers_of(list(*fixture.store, {})) == std::vector<std::uint64_t>{3});
  }
}

TEMPLATE_TEST_CASE("what is known of a finished task changes, and what it left stays",
                   "[conformance]", InMemory, OnDisk) {
  TestType fixture;
  Flush first;
  first.finished = {finished(1, 50, "one", "spec1", "result1"),
                    finished(2, 50, "two", "spec2", "result2")};
  first.output = {{id_of(1), 0, 1, "out"}};
  REQUIRE(flush(*fixture.store, first));

  Flush second;
  second.restated = {{id_of(1), 50, "mail", TaskState::succeeded, "one, noted", false}};
  // One that finishes and changes by the same flush.
  second.finished = {finished(3, 51, "three", "spec3", "result3")};
  second.restated.push_back({id_of(3), 51, "mail", TaskState::succeeded, "three, noted", false});
  REQUIRE(flush(*fixture.store, second));

  for (int restart = 0; restart < 2; ++restart) {
    CAPTURE(restart);
    if (restart == 1) fixture.reopen();
    load(*fixture.store);
    CHECK(shown(fixture.store->find(id_of(1))) == "finished 50 one, noted");
    CHECK(shown(fixture.store->find(id_of(2))) == "finished 50 two");
    CHECK(shown(fixture.store->find(id_of(3))) == "finished 51 three, noted");
    CHECK(shown(fixture.store->spec(id_of(1))) == "spec1");
    CHECK(shown(fixture.store->result(id_of(1))) == "result1");
    CHECK(output(*fixture.store, 1) == "out");
    CHECK(numbers_of(list(*fixture.store, {})) == std::vector<std::uint64_t>{3, 2, 1});
  }
}

TEMPLATE_TEST_CASE("a removed task leaves its id and nothing else", "[conformance]", InMemory,
                   OnDisk) {
  TestType fixture;
  Flush first;
  first.finished = {finished(1, 50, "one", "spec1", "result1"),
                    finished(2, 50, "two", "spec2", "result2")};
  first.output = {{id_of(1), 0, 1, "out"}};
  REQUIRE(flush(*fixture.store, first));
  Flush second;
  second.restated = {{id_of(1), 50, "mail", TaskState::succeeded, "removed", true}};
  REQUIRE(flush(*fixture.store, second));

  for (int restart = 0; restart < 2; ++restart) {
    CAPTURE(restart);
    if (restart == 1) fixture.reopen();
    load(*fixture.store);
    CHECK(shown(fixture.store->find(id_of(1))) == "finished 50 removed");
    CHECK(shown(fixture.store->spec(id_of(1))) == "none");
    CHECK(shown(fixture.store->result(id_of(1))) == "none");
    CHECK(output(*fixture.store, 1).empty());
    CHECK(numbers_of(list(*fixture.store, {})) == std::vector<std::uint64_t>{2});
  }
}

TEMPLATE_TEST_CASE("tasks are found by their numbers, the latest and the young ones for ever",
                   "[conformance]", InMemory, OnDisk) {
  TestType fixture;
  std::string ids;
  for (std::uint64_t number = 1; number <= 6; ++number) ids += id_of(number).view();
  const auto give = [&](std::uint64_t first, std::size_t count, std::int64_t at_ms,
                        std::uint64_t below, std::int64_t before_ms) {
    Flush changes;
    changes.numbers =
        NumbersRow{first, at_ms, std::string_view(ids).substr(16 * (first - 1), 16 * count)};
    changes.numbers_below = below;
    changes.numbers_before_ms = before_ms;
    REQUIRE(flush(*fixture.store, changes));
  };
  const auto found = [&](std::uint64_t number) {
    return fixture.store->find_number(number).value().value_or(TaskId{});
  };

  give(1, 2, 1000, 0, 0);
  give(3, 1, 2000, 0, 0);

  for (int restart = 0; restart < 2; ++restart) {
    if (restart == 1) fixture.reopen();
    for (std::uint64_t number = 1; number <= 3; ++number) CHECK(found(number) == id_of(number));
    CHECK(found(0).empty());
    CHECK(found(4).empty());
  }
  give(4, 1, 3000, 4, 1500);  // the first two are old, and no longer among the latest
  CHECK(found(1).empty());
  CHECK(found(2).empty());
  CHECK(found(3) == id_of(3));
  give(5, 1, 4000, 2, 3500);  // old is not enough
  CHECK(found(4) == id_of(4));
  give(6, 1, 5000, 6, 2500);  // nor is being behind the latest
  CHECK(found(3).empty());
  CHECK(found(4) == id_of(4));
}

TEMPLATE_TEST_CASE("queues come, change and go", "[conformance]", InMemory, OnDisk) {
  TestType fixture;
  Flush first;
  first.queues = {{1, "mail", "a"}, {2, "scan", "b"}};
  REQUIRE(flush(*fixture.store, first));

  Flush second;
  second.queues = {{1, "mail", "paused"}, {3, "print", "c"}};
  second.queues_gone = {2};
  REQUIRE(flush(*fixture.store, second));

  CHECK(load(*fixture.store).queues == std::vector<std::string>{"1 mail paused", "3 print c"});
}

TEMPLATE_TEST_CASE("events are read from any entry on, and old ones go", "[conformance]", InMemory,
                   OnDisk) {
  TestType fixture;
  for (std::uint64_t i = 0; i < 4; ++i) {
    Flush changes;
    const std::string bytes = "events" + std::to_string(i);
    changes.events = EventsRow{10 * i + 1, 10 * i + 10, static_cast<std::int64_t>(1000 * i), bytes};
    REQUIRE(flush(*fixture.store, changes));
  }
  Store& store = *fixture.store;
  using Blobs = std::vector<std::string>;

  CHECK(*store.events_after(0, 1000) == Blobs{"events0", "events1", "events2", "events3"});
  CHECK(*store.events_after(9, 1000) == Blobs{"events0", "events1", "events2", "events3"});
  CHECK(*store.events_after(10, 1000) == Blobs{"events1", "events2", "events3"});
  CHECK(*store.events_after(10, 1) == Blobs{"events1"});
  CHECK(*store.events_after(10, 14) == Blobs{"events1", "events2"});
  CHECK(store.events_after(40, 1000)->empty());
  CHECK(store.events_after(UINT64_MAX, 1000)->empty());
  CHECK(*store.first_event() == 1u);

  Flush pruning;
  pruning.events_before_ms = 2000;
  REQUIRE(flush(store, pruning));

  CHECK(*store.first_event() == 21u);
  CHECK(*store.events_after(0, 1000) == Blobs{"events2", "events3"});
}

TEMPLATE_TEST_CASE("a list is newest first over live and finished, page by page", "[conformance]",
                   InMemory, OnDisk) {
  TestType fixture;
  Flush changes;
  changes.live = {live(2, "s2", "spec2", TaskState::queued, "mail"),
                  live(5, "s5", "spec5", TaskState::running, "scan")};
  changes.finished = {finished(1, 50, "s1", "spec1", "", TaskState::succeeded, "mail"),
                      finished(4, 50, "s4", "spec4", "", TaskState::failed, "scan"),
                      finished(3, 51, "s3", "spec3", "", TaskState::succeeded, "mail"),
                      finished(6, 51, "s6", "spec6", "", TaskState::succeeded, "scan")};
  REQUIRE(flush(*fixture.store, changes));
  Store& store = *fixture.store;
  using Numbers = std::vector<std::uint64_t>;

  const ListPage all = list(store, {});
  CHECK(numbers_of(all) == Numbers{6, 5, 4, 3, 2, 1});
  CHECK(all.next.empty());
  CHECK(all.tasks[1].status == "s5");
  CHECK(all.tasks[1].spec == "spec5");
  CHECK(all.tasks[1].state == TaskState::running);
  CHECK(all.tasks[3].spec == "spec3");

  ListQuery query;
  query.count_max = 4;
  const ListPage first = list(store, query);
  CHECK(numbers_of(first) == Numbers{6, 5, 4, 3});
  CHECK(first.next == id_of(3));
  query.before = first.next;
  const ListPage second = list(store, query);
  CHECK(numbers_of(second) == Numbers{2, 1});
  CHECK(second.next.empty());

  ListQuery scan;
  scan.queue = "scan";
  CHECK(numbers_of(list(store, scan)) == Numbers{6, 5, 4});
  ListQuery shown_some;
  shown_some.shows = [](std::string_view queue) { return queue != "scan"; };
  CHECK(numbers_of(list(store, shown_some)) == Numbers{3, 2, 1});
  shown_some.queue = "scan";
  CHECK(numbers_of(list(store, shown_some)).empty());
  scan.state = TaskState::failed;
  CHECK(numbers_of(list(store, scan)) == Numbers{4});
  ListQuery queued;
  queued.state = TaskState::queued;
  CHECK(numbers_of(list(store, queued)) == Numbers{2});
  ListQuery unfinished;
  unfinished.finished_too = false;
  CHECK(numbers_of(list(store, unfinished)) == Numbers{5, 2});
}

TEMPLATE_TEST_CASE("moving a task that is not there ends the store's work", "[conformance]",
                   InMemory, OnDisk) {
  TestType fixture;
  Flush first;
  first.index = 1;
  first.live = {live(2, "status", "spec")};
  REQUIRE(flush(*fixture.store, first));

  Flush second;
  second.index = 2;
  if (GENERATE(true, false)) {
    second.finished = {finished(1, 50, "done", "", "")};
  } else {
    second.revived = {{id_of(1), 50}};
  }
  const Result<void> refused = flush(*fixture.store, second);

  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::stopped);
  CHECK(flush(*fixture.store, first).error().code == Code::stopped);
  CHECK(load(*fixture.store).index == 1);
  CHECK(shown(fixture.store->find(id_of(2))) == "live status");
}

}  // namespace jack::test

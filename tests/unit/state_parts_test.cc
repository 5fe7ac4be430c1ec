// The parts that the state is made of, each against something obviously right.
#include <algorithm>
#include <random>
#include <set>

#include "engine/state/known_ids.h"
#include "engine/state/queues.h"
#include "engine/state/task_table.h"
#include "engine/state/timers.h"
#include "tests/catch.hpp"

namespace jack {
namespace {

TaskId numbered(std::uint64_t n, std::int64_t ms = 1000) {
  return TaskId::from(WallTime{Duration{ms}}, n, n);
}

}  // namespace

TEST_CASE("a table finds what was inserted and not erased") {
  std::mt19937_64 random(3);
  TaskTable table;
  std::set<std::uint64_t> present;
  for (int step = 0; step < 20'000; ++step) {
    const std::uint64_t n = random() % 3000;
    if (present.insert(n).second) {
      table.insert(numbered(n));
    } else {
      table.erase(table.find(numbered(n)));
      present.erase(n);
    }
  }
  CHECK(table.size() == present.size());
  for (std::uint64_t n = 0; n < 3000; ++n) {
    CAPTURE(n);
    REQUIRE((table.find(numbered(n)) != kNoSlot) == present.contains(n));
  }
}

TEST_CASE("an unlinked record is not found, and its id can be used anew") {
  TaskTable table;
  const Slot old = table.insert(numbered(1));
  table.unlink(old);
  CHECK(table.find(numbered(1)) == kNoSlot);

  const Slot fresh = table.insert(numbered(1));
  table.erase(old);

  CHECK(table.find(numbered(1)) == fresh);
  CHECK(table.size() == 1);
}

TEST_CASE("timers fire in the order of time, then of acceptance, however they were moved") {
  std::mt19937_64 random(5);
  TaskTable table;
  Timers timers(table);
  std::vector<Slot> slots;
  for (std::uint64_t n = 0; n < 500; ++n) {
    slots.push_back(table.insert(numbered(n)));
    table[slots.back()].serial = n;
  }
  for (int step = 0; step < 5000; ++step) {
    const bool take_away = random() % 4 == 0;
    timers.set(slots[random() % slots.size()],
               take_away ? kNever : Instant{static_cast<std::int64_t>(random() % 50)});
  }

  std::pair<Instant, std::uint64_t> last{Instant{-1}, 0};
  std::size_t fired = 0;
  const auto waiting = std::count_if(slots.begin(), slots.end(),
                                     [&](Slot slot) { return table[slot].timer != kNever; });
  while (!timers.empty()) {
    const Slot slot = timers.earliest();
    const std::pair<Instant, std::uint64_t> now{table[slot].timer, table[slot].serial};
    REQUIRE(now > last);
    last = now;
    timers.set(slot, kNever);
    ++fired;
  }
  CHECK(fired == static_cast<std::size_t>(waiting));
}

TEST_CASE("an id that left memory is never taken for new") {
  KnownIds known;
  const std::uint64_t count = 3 * KnownIds::kGeneration + 17;
  for (std::uint64_t n = 0; n < count; ++n) {
    known.add(numbered(n, static_cast<std::int64_t>(n)));
  }
  for (std::uint64_t n = 0; n < count; n += 7) {
    REQUIRE(known.may_be_known(numbered(n, static_cast<std::int64_t>(n))));
  }
  CHECK_FALSE(known.may_be_known(numbered(count, static_cast<std::int64_t>(count))));
}

TEST_CASE("ids stored before the start may be known, later ones are surely new") {
  KnownIds known;
  IdTimes stored;
  stored.add(numbered(1, 5000));
  known.add_stored(stored);
  CHECK(known.may_be_known(numbered(2, 5000)));
  CHECK_FALSE(known.may_be_known(numbered(2, 5001)));
}

// One id of the far future made every fresh one look as if the store might have it.
TEST_CASE("an id of the far future makes no fresh id look known") {
  KnownIds known;
  const std::int64_t year_ms = 365ll * 24 * 60 * 60 * 1000;
  const std::uint64_t count = 2 * KnownIds::kGeneration + 1;
  known.add(numbered(count, year_ms));
  for (std::uint64_t n = 0; n < count; ++n) known.add(numbered(n, static_cast<std::int64_t>(n)));
  CHECK(known.may_be_known(numbered(count, year_ms)));
  CHECK_FALSE(known.may_be_known(numbered(count + 1, static_cast<std::int64_t>(count))));
}

TEST_CASE("times of ids cover every id, whatever the order, in a bounded number of stretches") {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    IdTimes times;
    std::set<std::int64_t> added;
    const int count = 1 + round % 60;
    for (int i = 0; i < count; ++i) {
      // Near and far from each other.
      const std::int64_t ms =
          static_cast<std::int64_t>(random() % 8) * (100 * IdTimes::kGapMs) +
          static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(6 * IdTimes::kGapMs));
      added.insert(ms);
      times.add(numbered(1, ms));
    }
    for (const std::int64_t ms : added) REQUIRE(times.has(numbered(1, ms)));
    const auto& stretches = times.stretches();
    REQUIRE(stretches.size() <= IdTimes::kStretchesMax);
    for (std::size_t i = 0; i < stretches.size(); ++i) {
      REQUIRE(stretches[i].from_ms <= stretches[i].to_ms);
      REQUIRE(added.contains(stretches[i].from_ms));
      REQUIRE(added.contains(stretches[i].to_ms));
      if (i > 0) REQUIRE(stretches[i].from_ms > stretches[i - 1].to_ms + IdTimes::kGapMs);
    }
    REQUIRE_FALSE(times.has(numbered(1, *added.begin() - 1)));
    REQUIRE_FALSE(times.has(numbered(1, *added.rbegin() + 1)));
  }
}

TEST_CASE("where there are too many stretches, those nearest to each other become one") {
  IdTimes times;
  const auto at = [](std::int64_t n) { return numbered(1, n * 10 * IdTimes::kGapMs); };
  for (std::int64_t n = 1; n <= 16; ++n) times.add(at(n));
  times.add(numbered(1, 60 * IdTimes::kGapMs + 2 * IdTimes::kGapMs));
  CHECK(times.stretches().size() == IdTimes::kStretchesMax);
  CHECK(times.has(numbered(1, 61 * IdTimes::kGapMs)));
  CHECK_FALSE(times.has(numbered(1, 51 * IdTimes::kGapMs)));
}

TEST_CASE("numbers of queues are used again, the smallest first") {
  Queues queues;
  CHECK(queues.create("a").number == 0);
  CHECK(queues.create("b").number == 1);
  CHECK(queues.create("c").number == 2);
  queues.erase(1);
  queues.erase(0);
  CHECK(queues.find("a") == nullptr);
  CHECK(queues.create("d").number == 0);
  CHECK(queues.create("e").number == 1);
  CHECK(queues.find("c")->number == 2);
}

}  // namespace jack

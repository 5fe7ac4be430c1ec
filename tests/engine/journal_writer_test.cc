// An engine's entries on their way, over a transport that does what the test says.
#include "engine/runtime/journal_writer.h"

#include <map>

#include "tests/catch.hpp"

using namespace std::chrono_literals;
using namespace jack;

namespace {

class Script final : public Transport {
 public:
  std::vector<Buffer> appended;

  Result<void> read_from(Index) override { return {}; }
  Index head() const override { return 0; }
  AppendTicket append(Buffer entry) override {
    appended.push_back(std::move(entry));
    return appended.size();
  }
  void poll(Polled&) override {}
  int descriptor() const override { return -1; }
  void trim(Index) override {}
  Capabilities capabilities() const override { return {}; }
  std::string guarantee() const override { return {}; }

  EntryHeader header(std::size_t append) {
    return decode_entry(unpacker_, *appended.at(append)).value().header;
  }

 private:
  Unpacker unpacker_;
};

Batch batch_of(Pending::Kind kind, std::string_view text) {
  Batch batch;
  batch.begin(kind, 1, 1);
  batch.add(CancelCommand{{}, text});
  wire::Done done;
  batch.end(done);
  return batch;
}

const Error kAway{Code::unavailable, "out of reach"};
const Error kFull{Code::storage_full, "no room"};

struct Writing {
  Script script;
  JournalWriter writer{script, Id128{1}, 1000};
  Writing() { writer.begin_incarnation(Id128{2}, 1); }

  void answer(std::size_t append) {
    const EntryHeader header = script.header(append);
    REQUIRE(writer.on_entry(header) != nullptr);
    writer.on_answered(header);
  }
};

}  // namespace

TEST_CASE("the next entry is appended while those before are applied, but not without bound") {
  Writing w;
  for (const char* text : {"a", "b", "c"}) w.writer.add(batch_of(Pending::Kind::change, text));
  w.writer.append({10}, {0});
  w.writer.on_fate({1, {}, true}, {0});
  REQUIRE(w.writer.can_append({0}));
  CHECK_FALSE(w.writer.repeats());
  w.writer.append({20}, {0});
  w.writer.on_fate({2, {}, true}, {0});
  CHECK_FALSE(w.writer.can_append({0}));  // two wait to be applied

  w.answer(0);
  REQUIRE(w.writer.can_append({0}));
  w.writer.append({30}, {0});
  w.answer(1);
  CHECK_FALSE(w.writer.is_idle());
  w.answer(2);
  w.writer.on_fate({3, {}, true}, {0});
  CHECK(w.writer.is_idle());
}

TEST_CASE("what is written but was not applied is taken out in order, before what is on its way") {
  Writing w;
  for (const char* text : {"a", "b", "c"}) w.writer.add(batch_of(Pending::Kind::change, text));
  w.writer.append({10}, {0});
  w.writer.on_fate({1, {}, true}, {0});
  w.writer.append({20}, {0});

  const std::vector<Batch> batches = w.writer.take_unanswered();

  REQUIRE(batches.size() == 3);
  const EntryHeader header = w.script.header(0);
  CHECK(batches.at(0).entry(header) == *w.script.appended.at(0));
  CHECK(w.writer.is_idle());
  CHECK_FALSE(w.writer.can_append({0}));  // the append of the old incarnation has no fate yet
}

TEST_CASE("entries are appended one at a time and numbered without gaps") {
  Writing w;
  w.writer.add(batch_of(Pending::Kind::change, "a"));
  w.writer.add(batch_of(Pending::Kind::change, "b"));
  CHECK(w.writer.waiting_bytes() > 0);
  w.writer.append({10}, {0});
  CHECK_FALSE(w.writer.can_append({0}));
  w.answer(0);
  CHECK_FALSE(w.writer.can_append({0}));  // its fate is still to come
  CHECK(w.writer.on_fate({1, {}, true}, {0}) == JournalWriter::Fate::fine);
  REQUIRE(w.writer.can_append({0}));
  w.writer.append({20}, {0});
  CHECK(w.writer.waiting_bytes() == 0);
  CHECK(w.script.header(0).number == 1);
  CHECK(w.script.header(1).number == 2);
  CHECK(w.script.header(1).time == Instant{20});
}

TEST_CASE(
    "an entry that may have been written is repeated as it is, one that was not is made anew") {
  Writing w;
  const bool certain = GENERATE(false, true);
  w.writer.add(batch_of(Pending::Kind::change, "a"));
  w.writer.append({10}, {0});
  CHECK(w.writer.on_fate({1, kAway, certain}, {0}) == JournalWriter::Fate::fine);
  CHECK_FALSE(w.writer.can_append({0}));
  const SteadyTime again = w.writer.next_try();
  CHECK(again > SteadyTime{0});
  w.writer.append({20}, again);
  CHECK((*w.script.appended[0] == *w.script.appended[1]) == !certain);
  CHECK(w.script.header(1).number == 1);
  CHECK(w.script.header(1).time == Instant{certain ? 20 : 10});
}

TEST_CASE("an entry that comes back after its fate was unknown is not repeated") {
  Writing w;
  w.writer.add(batch_of(Pending::Kind::change, "a"));
  w.writer.append({10}, {0});
  w.writer.on_fate({1, kAway, false}, {0});
  w.answer(0);
  CHECK(w.writer.is_idle());
  CHECK(w.writer.next_try() == kNoDeadline);
  CHECK(w.writer.on_entry(w.script.header(0)) == nullptr);
}

TEST_CASE("without room the submits go from all that is surely not written, and numbers stay") {
  Writing w;
  w.writer.add(batch_of(Pending::Kind::submit, "a"));
  w.writer.add(batch_of(Pending::Kind::submit, "b"));
  w.writer.add(batch_of(Pending::Kind::change, "c"));
  w.writer.append({10}, {0});
  CHECK(w.writer.on_fate({1, kFull, true}, {0}) == JournalWriter::Fate::full);
  CHECK(w.writer.drop_submits().size() == 2);
  REQUIRE(w.writer.can_append({0}));
  w.writer.append({20}, {0});
  CHECK(w.script.header(1).number == 1);
  CHECK(w.writer.drop_submits().empty());  // what is under way is left alone
}

TEST_CASE("pauses between tries grow to a bound") {
  Writing w;
  w.writer.add(batch_of(Pending::Kind::change, "a"));
  SteadyTime now{0};
  std::chrono::nanoseconds last{0};
  for (AppendTicket ticket = 1; ticket < 20; ++ticket) {
    w.writer.append({10}, now);
    w.writer.on_fate({ticket, kAway, true}, now);
    CHECK(w.writer.next_try() - now >= last);
    last = w.writer.next_try() - now;
    now = w.writer.next_try();
  }
  CHECK(last == 2s);
}

TEST_CASE("what has no answer is given back in order, and its append is waited for") {
  Writing w;
  w.writer.add(batch_of(Pending::Kind::change, "a"));
  w.writer.add(batch_of(Pending::Kind::change, "b"));
  w.writer.append({10}, {0});
  const std::vector<Batch> unanswered = w.writer.take_unanswered();
  CHECK(unanswered.size() == 2);
  w.writer.begin_incarnation(Id128{3}, 1);
  w.writer.add(batch_of(Pending::Kind::change, "c"));
  CHECK_FALSE(w.writer.can_append({0}));
  CHECK(w.writer.is_under_way());
  const bool stopped = GENERATE(false, true);
  const AppendFate fate{1, Error{stopped ? Code::stopped : Code::unavailable, ""}, false};
  CHECK(w.writer.on_fate(fate, {0}) ==
        (stopped ? JournalWriter::Fate::stopped : JournalWriter::Fate::fine));
  REQUIRE(w.writer.can_append({0}));
  w.writer.append({10}, {0});
  CHECK(w.script.header(1).incarnation == Id128{3});
  CHECK(w.script.header(1).number == 1);
  CHECK(w.writer.on_fate({77, {}, true}, {0}) == JournalWriter::Fate::fine);  // of somebody else
}

// What a thousand leases say when their session goes was one entry, however large.
TEST_CASE("a batch that is larger than an entry goes in several, its requests whole and in order") {
  Writing w;
  Batch batch;
  for (int i = 0; i < 100; ++i) {
    SettleCommand lost;
    lost.token = {static_cast<std::uint64_t>(i)};
    lost.outcome = Outcome::lost;
    lost.error = "its worker went away";
    batch.add_own_settle(lost);
  }
  batch.add_tick();
  const std::size_t bytes = batch.bytes();
  REQUIRE(bytes > 3000);
  w.writer.add(std::move(batch));
  CHECK(w.writer.waiting_bytes() == bytes);

  std::uint64_t next = 0;
  bool tick = false;
  for (std::size_t append = 0; w.writer.has_waiting(); ++append) {
    REQUIRE(w.writer.can_append({0}));
    w.writer.append({10}, {0});
    CHECK(w.script.appended[append]->size() <= 1000 + kEntryFrameBytesMax);
    const EntryHeader header = w.script.header(append);
    const Batch* own = w.writer.on_entry(header);
    REQUIRE(own != nullptr);
    for (const LeaseRef& lease : own->leases()) CHECK(lease.token.value == next++);
    CHECK_FALSE(tick);
    tick = own->has_tick();
    w.writer.on_answered(header);
    REQUIRE(w.writer.on_fate({append + 1, {}, true}, {0}) == JournalWriter::Fate::fine);
  }
  CHECK(next == 100);
  CHECK(tick);
}

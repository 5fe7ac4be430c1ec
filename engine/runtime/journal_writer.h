// This engine's entries on their way into the journal: numbered, appended one at a time, repeated
// while their fate is unknown, until they have come back and been applied. The next may be appended
// as soon as one is surely in the journal, so that the disk works while that one is applied.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "engine/format/entry.h"
#include "engine/front/batch.h"
#include "engine/front/deadlines.h"
#include "engine/state/outcomes.h"
#include "engine/transport.h"

namespace jack {

// An entry that has been closed and appended, from its first append to its answer.
struct EntryOnItsWay {
  Batch batch;
  std::uint64_t number = 0;
  Buffer bytes;
  std::optional<AppendTicket> under_way;
  bool answered = false;
  bool absent = true;  // surely not in the journal, so it may be changed
  SteadyTime sent_at;
  SteadyTime first_sent_at;
  SteadyTime try_at;
  std::uint32_t tries = 0;
};

// Not thread-safe. The loop owns it.
class JournalWriter {
 public:
  // `commands_bytes_max`: of one entry.
  JournalWriter(Transport& transport, const Id128& engine, std::size_t commands_bytes_max)
      : transport_(transport), engine_(engine), commands_bytes_max_(commands_bytes_max) {}

  // From now on entries are numbered from 1 under this incarnation. What is under way or waits is
  // given back: see take_unanswered().
  void begin_incarnation(const Id128& incarnation, std::uint64_t epoch);
  const Id128& incarnation() const { return incarnation_; }

  // Goes into the journal after those added before, as one entry; as several only if it is larger
  // than the transport takes. No request in it is split, nor may be larger.
  void add(Batch batch);

  // Bytes that wait for the one under way.
  std::size_t waiting_bytes() const { return waiting_bytes_; }
  bool has_waiting() const { return !waiting_.empty(); }
  // The next append is that of an entry which was appended before.
  bool repeats() const { return current_.has_value(); }
  bool is_idle() const { return !current_ && written_.empty() && waiting_.empty(); }
  bool is_under_way() const { return orphan_ || (current_ && current_->under_way); }

  // Whether an append may begin: none is under way, none is to be repeated later, and what was
  // written is being applied.
  bool can_append(SteadyTime now) const;
  // Begins the next append: that of the entry whose fate was unknown, else of the first that waits.
  void append(Instant time, SteadyTime now);
  // Of a failed one: when it is to be tried again.
  SteadyTime next_try() const;

  // Since when the oldest entry that has not come back is on its way; nothing where none is.
  std::optional<SteadyTime> on_its_way_since() const;

  // An entry of this incarnation has come back. Its batch, if it waits to be answered; null where
  // it was answered before.
  const Batch* on_entry(const EntryHeader& header) const;
  // The batch that the last on_entry() gave is done with.
  void on_answered(const EntryHeader& header);

  enum class Fate : std::uint8_t {
    fine,     // or unknown, and repeated later
    full,     // surely not written, for lack of room; tried again later
    stopped,  // nothing more can be written
  };
  Fate on_fate(const AppendFate& fate, SteadyTime now);

  // Takes the submits out of everything that is surely not in the journal.
  std::vector<Pending> drop_submits();

  // Takes out everything that has not been answered, in order.
  std::vector<Batch> take_unanswered();

  // When the last entry that came back, or the one before it, was sent; for judging whether this
  // engine is current.
  SteadyTime sent_at() const { return answered_sent_at_; }

 private:
  Transport& transport_;
  const Id128 engine_;
  const std::size_t commands_bytes_max_;
  Id128 incarnation_{};
  std::uint64_t epoch_ = 1;
  std::uint64_t next_number_ = 1;
  std::deque<EntryOnItsWay> written_;     // in the journal, and not answered
  std::optional<EntryOnItsWay> current_;  // being appended
  std::deque<Batch> waiting_;
  std::size_t waiting_bytes_ = 0;
  // An append of an incarnation that is over; its fate means nothing any more.
  std::optional<AppendTicket> orphan_;
  SteadyTime answered_sent_at_{};
};

}  // namespace jack

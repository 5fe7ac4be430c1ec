#include "engine/runtime/journal_writer.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "engine/assert.h"

namespace jack {
namespace {

// How long until an append is tried again: doubling from the first to the last.
constexpr Duration kFirstPause{50};
constexpr Duration kLastPause{2000};

// Entries that are in the journal and not applied, beyond which nothing is appended.
constexpr std::size_t kWrittenMax = 2;

Duration pause_after(std::uint32_t tries) {
  return std::min(kFirstPause * (1 << std::min(tries, 6u)), kLastPause);
}

}  // namespace

void JournalWriter::begin_incarnation(const Id128& incarnation, std::uint64_t epoch) {
  JACK_ASSERT(is_idle());
  incarnation_ = incarnation;
  epoch_ = epoch;
  next_number_ = 1;
}

void JournalWriter::add(Batch batch) {
  if (batch.empty()) return;
  waiting_bytes_ += batch.bytes();
  if (batch.bytes() <= commands_bytes_max_) {
    waiting_.push_back(std::move(batch));
    return;
  }
  std::vector<Batch> parts = batch.split(commands_bytes_max_);
  std::move(parts.begin(), parts.end(), std::back_inserter(waiting_));
}

bool JournalWriter::can_append(SteadyTime now) const {
  if (orphan_ || written_.size() >= kWrittenMax) return false;
  return !current_ || (!current_->under_way && current_->try_at <= now);
}

void JournalWriter::append(Instant time, SteadyTime now) {
  JACK_ASSERT(can_append(now));
  if (!current_) {
    current_.emplace();
    if (!waiting_.empty()) {  // else it only says that this engine is alive
      waiting_bytes_ -= waiting_.front().bytes();
      current_->batch = std::move(waiting_.front());
      waiting_.pop_front();
    }
    current_->number = next_number_++;
  }
  // Bytes that may be in the journal already are repeated as they are: applied once, whichever copy
  // comes first. Otherwise they are made anew, under the time of now.
  if (current_->bytes == nullptr || current_->absent) {
    const EntryHeader header{.epoch = epoch_,
                             .engine = engine_,
                             .incarnation = incarnation_,
                             .number = current_->number,
                             .time = time};
    current_->bytes = std::make_shared<const std::string>(current_->batch.entry(header));
  }
  current_->absent = false;
  current_->sent_at = now;
  if (current_->tries == 0) current_->first_sent_at = now;
  current_->under_way = transport_.append(current_->bytes);
}

std::optional<SteadyTime> JournalWriter::on_its_way_since() const {
  for (const EntryOnItsWay& entry : written_) {
    if (!entry.answered) return entry.first_sent_at;
  }
  return current_ ? std::optional(current_->first_sent_at) : std::nullopt;
}

SteadyTime JournalWriter::next_try() const {
  return current_ && !current_->under_way ? current_->try_at : kNoDeadline;
}

const Batch* JournalWriter::on_entry(const EntryHeader& header) const {
  if (header.incarnation != incarnation_) return nullptr;
  for (const EntryOnItsWay& entry : written_) {
    if (entry.number == header.number) return &entry.batch;
  }
  const bool waits = current_ && !current_->answered && header.number == current_->number;
  return waits ? &current_->batch : nullptr;
}

void JournalWriter::on_answered(const EntryHeader& header) {
  if (!written_.empty() && written_.front().number == header.number) {
    answered_sent_at_ = written_.front().sent_at;
    written_.pop_front();
    return;
  }
  JACK_ASSERT(current_ && current_->number == header.number);
  answered_sent_at_ = current_->sent_at;
  current_->answered = true;
  if (!current_->under_way) current_.reset();
}

JournalWriter::Fate JournalWriter::on_fate(const AppendFate& fate, SteadyTime now) {
  if (orphan_ == fate.ticket) {
    orphan_.reset();
    const bool stopped = !fate.result && fate.result.error().code == Code::stopped;
    return stopped ? Fate::stopped : Fate::fine;
  }
  if (!current_ || current_->under_way != fate.ticket) return Fate::fine;
  current_->under_way.reset();
  if (!fate.result && fate.result.error().code == Code::stopped) return Fate::stopped;
  if (current_->answered) {
    current_.reset();
    return Fate::fine;
  }
  if (fate.result) {
    written_.push_back(*std::exchange(current_, std::nullopt));
    return Fate::fine;
  }
  current_->absent = fate.certain;
  current_->try_at = now + pause_after(current_->tries++);
  return fate.result.error().code == Code::storage_full && fate.certain ? Fate::full : Fate::fine;
}

std::vector<Pending> JournalWriter::drop_submits() {
  std::vector<Pending> dropped;
  const auto drop_from = [&](Batch& batch) {
    std::vector<Pending> some = batch.drop(Pending::Kind::submit);
    dropped.insert(dropped.end(), some.begin(), some.end());
  };
  if (current_ && current_->absent && !current_->under_way) {
    drop_from(current_->batch);
    if (current_->batch.empty()) {
      --next_number_;  // as if it had never been
      current_.reset();
    }
  }
  waiting_bytes_ = 0;
  for (Batch& batch : waiting_) {
    drop_from(batch);
    waiting_bytes_ += batch.bytes();
  }
  std::erase_if(waiting_, [](const Batch& batch) { return batch.empty(); });
  return dropped;
}

std::vector<Batch> JournalWriter::take_unanswered() {
  std::vector<Batch> batches;
  for (EntryOnItsWay& entry : written_) batches.push_back(std::move(entry.batch));
  written_.clear();
  if (current_) {
    if (!current_->answered) batches.push_back(std::move(current_->batch));
    orphan_ = current_->under_way;
    current_.reset();
  }
  std::move(waiting_.begin(), waiting_.end(), std::back_inserter(batches));
  waiting_.clear();
  waiting_bytes_ = 0;
  return batches;
}

}  // namespace jack

// The loop's side of the journal: own entries go out, all entries come in and are applied; joining,
// and joining again.
#include <algorithm>
#include <utility>

#include "engine/runtime/loop.h"

namespace jack {
namespace {

// After an append that found no room, submits are refused at least this long.
constexpr Duration kFullFor{1000};

// For the uncertainty of clocks and a hand-out's way to its worker: an eighth of the time after
// which an engine is declared lost, and no more than this.
constexpr Duration kCurrentMarginMax{1000};

}  // namespace

bool Loop::is_alive_due() const {
  return phase_ == Phase::running && transport_.capabilities().shared && writer_.is_idle() &&
         writer_.sent_at() + state_->limits().heartbeat_interval <= now_.steady;
}

// An engine that others may have declared lost must not act on what it knows of old.
bool Loop::is_current() const {
  if (!transport_.capabilities().shared) return true;
  const Duration liveness = state_->limits().engine_liveness;
  return now_.steady < writer_.sent_at() + (liveness - std::min(liveness / 8, kCurrentMarginMax));
}

void Loop::write() {
  if (!appends()) {
    if (phase_ == Phase::stopped) out_.commands = {};
    return;
  }
  if (rejoin_wanted_) rejoin();
  if (wrote_leave_) out_.commands = {};  // behind the leave nothing counts any more
  if (!writer_.can_append(now_.steady)) return;
  if (phase_ == Phase::leaving && !wrote_leave_ && writer_.is_idle()) {
    out_.commands.add_own(Pending::Kind::engine, LeaveCommand{});
    wrote_leave_ = true;
  }
  if (!writer_.repeats() && !writer_.has_waiting()) {
    if (out_.commands.empty() && !is_alive_due()) return;
    if (transport_.capabilities().shared && phase_ == Phase::running &&
        told_flushed_ != flusher_->flushed()) {
      told_flushed_ = flusher_->flushed();
      out_.commands.add_own(Pending::Kind::engine, AliveCommand{told_flushed_});
    }
    writer_.add(std::exchange(out_.commands, {}));
  }
  writer_.append(journal_clock_.at(now_.steady), now_.steady);
}

void Loop::poll_transport() {
  // What the store has not taken stays in memory: while catching up there is nothing to be gained
  // by reading faster than it writes.
  if (phase_ == Phase::catching_up && flusher_->is_behind()) return;
  if (phase_ == Phase::stopped || phase_ == Phase::left) return;
  polled_.clear();
  transport_.poll(polled_);
  progress_ |= !polled_.entries.empty() || !polled_.fates.empty();
  // What was written makes way for the next entry: the disk has that while this one is applied.
  for (const AppendFate& fate : polled_.fates) {
    if (fate.result) on_fate(fate);
  }
  write();
  for (const JournalEntry& entry : polled_.entries) {
    if (!apply(entry)) return;
  }
  for (const AppendFate& fate : polled_.fates) {
    if (!fate.result) on_fate(fate);
  }
  if (polled_.failed) {
    stop(*polled_.failed);
    return;
  }
  if (phase_ == Phase::catching_up && state_->index() >= transport_.head()) join();
}

bool Loop::apply(const JournalEntry& entry) {
  Result<void> applied = state_->apply(entry.index, entry.bytes, outcomes_);
  if (!applied) {
    is_torn_ = true;
    stop(applied.error());
    return false;
  }
  if (phase_ == Phase::catching_up) ++recovered_;
  journal_clock_.on_applied(state_->now(), now_.steady);
  now_.journal = journal_clock_.at(now_.steady);
  events_.add(state_->entries(), outcomes_.events);
  flusher_->on_applied(now_.steady);

  const Batch* own = writer_.on_entry(outcomes_.header);
  if (own != nullptr && outcomes_.verdict != Outcomes::Verdict::applied) {
    rejoin_wanted_ = outcomes_.verdict != Outcomes::Verdict::repeated;
    own = nullptr;
  }
  front_->on_outcomes(now_, outcomes_, own, out_);
  if (own != nullptr) take_own(*own);
  return phase_ != Phase::stopped;
}

// An entry of this engine's own has been applied and answered.
void Loop::take_own(const Batch& batch) {
  if (batch.has_tick()) tick_under_way_ = false;
  writer_.on_answered(outcomes_.header);
  if (phase_ != Phase::joining) return;
  for (const CommandOutcome& outcome : outcomes_.commands) {
    if (outcome.code != Code::ok) {
      stop({outcome.code, outcome.message});
      return;
    }
  }
  phase_ = Phase::running;
  front_->on_joined(options_.engine, writer_.incarnation());
  log(LogLevel::info, std::to_string(state_->unfinished()) + " unfinished tasks, entry " +
                          std::to_string(state_->entries()) + ", " + std::to_string(recovered_) +
                          " entries recovered from the journal");
  log(LogLevel::info, "guarantee: " + transport_.guarantee());
}

void Loop::on_fate(const AppendFate& fate) {
  switch (writer_.on_fate(fate, now_.steady)) {
    case JournalWriter::Fate::fine:
      if (!fate.result) log(LogLevel::warning, "append: " + to_string(fate.result.error()));
      return;
    case JournalWriter::Fate::full: {
      full_until_ = now_.steady + kFullFor;
      set_full(true);
      front_->on_refused(writer_.drop_submits(), fate.result.error(), out_);
      front_->on_refused(out_.commands.drop(Pending::Kind::submit), fate.result.error(), out_);
      return;
    }
    case JournalWriter::Fate::stopped: stop(fate.result.error()); return;
  }
}

void Loop::begin_incarnation() {
  writer_.begin_incarnation(options_.new_incarnation(), state_->epoch());
  told_flushed_ = 0;
  Batch first;
  const Instant wall{now_.wall.time_since_epoch().count()};
  first.add_own(Pending::Kind::engine, JoinCommand{kRulesOldest, kRulesNewest, wall});
  if (options_.limits && *options_.limits != state_->limits()) {
    first.add_own(Pending::Kind::engine, SetLimitsCommand{*options_.limits});
  }
  writer_.add(std::move(first));
}

void Loop::join() {
  begin_incarnation();
  phase_ = Phase::joining;
  progress_ = true;
}

// The journal holds this incarnation for gone. Another one takes its place and repeats what has no
// answer; what of it had been applied is recognised.
void Loop::rejoin() {
  rejoin_wanted_ = false;
  log(LogLevel::warning, "the journal no longer knows this engine: it joins again");
  writer_.add(std::exchange(out_.commands, {}));
  std::vector<Batch> unanswered = writer_.take_unanswered();
  std::vector<Batch*> pointers;
  for (Batch& batch : unanswered) pointers.push_back(&batch);
  begin_incarnation();
  front_->on_joined(options_.engine, writer_.incarnation());
  front_->rejoin(pointers, out_);
  writer_.add(std::exchange(out_.commands, {}));
  for (Batch& batch : unanswered) writer_.add(std::move(batch));
  tick_under_way_ = false;
}

}  // namespace jack

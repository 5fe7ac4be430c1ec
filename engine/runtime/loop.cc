#include "engine/runtime/loop.h"

#include <algorithm>
#include <utility>

#include <jack_engine/version.h>

#include "engine/assert.h"
#include "engine/runtime/fact_names.h"

namespace jack {
namespace {

// Messages taken in one turn. What does not fit waits for the next, which follows at once.
constexpr std::size_t kFramesPerTurn = 4096;

// An entry is closed at about this size. One message's commands are never split.
constexpr std::size_t kEntryBytes = 1u << 20;

// Commands that wait for the journal, beyond which submits and what else makes more wait, and bytes
// of these that wait, beyond which they are refused with unavailable. Settles are bounded by the
// leases that were handed out.
constexpr std::size_t kWaitingBytesMax = 8u << 20;
constexpr std::size_t kHeldBytesMax = 64u << 20;

// Less free space than this is a full disk: what is taken before anybody looks again must fit.
constexpr std::uint64_t kRoomBytesMin = 4u << 20;
constexpr Duration kLookAtRoomEvery{200};

// How late a turn may be before the engine counts as having been away: frozen, or its host asleep.
constexpr std::chrono::seconds kLateTurn{2};

// Of one entry.
std::size_t commands_bytes_max(const Transport& transport) {
  return static_cast<std::size_t>(transport.capabilities().entry_bytes_max) - kEntryFrameBytesMax;
}

// Answers of one turn, beyond which the others wait for the next one.
constexpr std::size_t kAnswerBytesPerTurn = 4u << 20;

// Questions of one session that wait for an answer. More are refused.
constexpr std::size_t kReadsMax = 1000;

// Under sustained load there is always a message that waits. The front is told the time at least
// this often.
constexpr std::chrono::seconds kJudgeEvery{1};

// Clocks are read in whole milliseconds and are adjusted a little all the time; beyond this the
// wall clock was set.
constexpr Duration kWallJump{50};

std::string hex(const Id128& id) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : id) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace

Loop::Loop(const Parts& parts, LoopOptions options)
    : clock_(parts.clock),
      transport_(parts.transport),
      store_(parts.store),
      sessions_(parts.sessions),
      options_(std::move(options)),
      archive_(store_),
      state_(std::make_unique<State>(archive_)),
      front_(std::make_unique<Front>(*state_, events_, archive_, options_.sessions,
                                     commands_bytes_max(transport_))),
      flusher_(
          std::make_unique<Flusher>(*state_, events_, store_, transport_, options_.keep_journal)),
      reads_(std::make_unique<Reads>(*state_, store_, *front_)),
      writer_(transport_, options_.engine, commands_bytes_max(transport_)) {}

Result<void> Loop::start() {
  JACK_ASSERT(phase_ == Phase::starting);
  started_at_ = last_turn_ = planned_wake_ = took_all_at_ = judged_at_ = clock_.now();
  if (Result<void> loaded = state_->load(store_); !loaded) return loaded;
  events_.begin_after(state_->entries());
  flusher_->begin_at(state_->index());
  journal_clock_.begin(state_->now(), started_at_);
  if (const Index last = transport_.head(); last < state_->index()) {
    log(LogLevel::warning, "the journal ends with entry " + std::to_string(last) +
                               ", before entry " + std::to_string(state_->index()) +
                               " of the store: what was accepted behind that may be lost");
  }
  if (Result<void> reading = transport_.read_from(state_->index()); !reading) {
    const bool gone = reading.error().code == Code::position_gone;
    if (!gone || transport_.capabilities().shared) return reading;
    // Nobody else has what was trimmed. The store had it, and has lost it.
    return Error{Code::corruption, "the store ends at entry " + std::to_string(state_->index()) +
                                       ", but " + reading.error().message + ": restore a backup"};
  }
  phase_ = Phase::catching_up;
  return {};
}

bool Loop::turn() {
  JACK_ASSERT(phase_ != Phase::starting);
  read_clocks();
  progress_ = false;
  reads_->begin_turn();
  if (takes_messages()) {
    look_at_room();
    take_messages();
    judge_time();
    tick_if_due();
  }
  write();
  poll_transport();
  flush();
  if (phase_ == Phase::running) {
    front_->set_current(is_current());
    if (is_current()) {
      if (Result<void> told = front_->deliver(now_, *reads_, out_); !told) stop(told.error());
    }
  }
  front_->serve_watches(now_, out_);
  carry_out_reads();
  write();
  send();
  last_turn_ = now_.steady;
  planned_wake_ = now_.steady;
  const bool can_write = appends() && writer_.can_append(now_.steady);
  return progress_ || !took_all_ ||
         (can_write && (writer_.has_waiting() || !out_.commands.empty()));
}

void Loop::read_clocks() {
  now_.steady = clock_.now();
  now_.wall = clock_.wall_now();
  now_.journal = journal_clock_.at(now_.steady);
  const Duration offset = now_.wall.time_since_epoch() - Duration{now_.journal.ms};
  if (std::chrono::abs(offset - now_.wall_offset) > kWallJump) now_.wall_offset = offset;
  const auto late = now_.steady - std::max(planned_wake_, last_turn_);
  // Nobody was listening meanwhile, so nobody was silent.
  if (late > kLateTurn) front_->on_deaf(late);
}

void Loop::judge_time() {
  if (took_all_) took_all_at_ = now_.steady;
  if (!took_all_ && now_.steady - judged_at_ < kJudgeEvery) return;
  judged_at_ = now_.steady;
  front_->on_time(now_, took_all_at_, out_);
}

SteadyTime Loop::wait_until() {
  SteadyTime until = std::min(flusher_->next_deadline(), writer_.next_try());
  if (takes_messages()) until = std::min(until, front_->next_deadline());
  if (phase_ == Phase::running) {
    if (!tick_under_way_) until = std::min(until, journal_clock_.when(state_->next_deadline()));
    if (full_) until = std::min(until, look_at_room_at_);
    if (transport_.capabilities().shared) {
      until = std::min(until, writer_.sent_at() + state_->limits().heartbeat_interval);
    }
  }
  if (options_.longest_sleep) until = std::min(until, last_turn_ + *options_.longest_sleep);
  planned_wake_ = until;
  return until;
}

// --- Messages ---

void Loop::take_messages() {
  arrived_.clear();
  gone_.clear();
  sessions_.drain(kFramesPerTurn, arrived_, gone_);
  took_all_ = arrived_.size() < kFramesPerTurn;
  progress_ |= !arrived_.empty();
  look_at_keys();
  give_held();
  for (Inbound& message : arrived_) give(message);
  for (const SessionId session : gone_) {
    front_->on_gone(now_, session, out_);
    reads_waiting_.drop(session);
  }
}

// Before messages are given, so that a change holds from the next one on.
void Loop::look_at_keys() {
  if (!options_.rights) return;
  const auto may_have_key = [this](const Inbound& message) {
    return !message.user.empty() || (message.in_process && !front_->knows(message.session));
  };
  if (!front_->acts_for_keys() && std::none_of(arrived_.begin(), arrived_.end(), may_have_key)) {
    return;
  }
  front_->set_rights(now_, options_.rights(), out_);
  // Nothing more is told to those whose session has ended by it.
  for (const SessionId session : out_.forgotten) reads_waiting_.drop(session);
}

Result<std::optional<std::string>> Loop::StoreArchive::queue_of(const TaskId& task) {
  Result<std::optional<StoredTask>> stored = store_.find(task);
  if (!stored) return std::move(stored).error();
  if (!*stored) return std::optional<std::string>();
  return std::optional(std::move((*stored)->queue));
}

void Loop::give(Inbound& message) {
  front_->hold_growth(!held_.empty() || must_hold());
  if (front_->on_message(now_, message, out_)) {
    close_full_batch();
    return;
  }
  if (held_bytes_ + message.frame.size() > kHeldBytesMax) {
    front_->on_overload(message, out_);
    return;
  }
  held_bytes_ += message.frame.size();
  held_.push_back(std::move(message));
}

void Loop::give_held() {
  front_->hold_growth(false);
  while (!held_.empty() && !must_hold()) {
    Inbound message = std::move(held_.front());
    held_.pop_front();
    held_bytes_ -= message.frame.size();
    front_->on_message(now_, message, out_);
    close_full_batch();
  }
}

// What makes more to keep waits while the store or the journal is far behind; all else goes on.
bool Loop::must_hold() const {
  return phase_ == Phase::running && !full_ &&
         (flusher_->is_behind() || writer_.waiting_bytes() > kWaitingBytesMax);
}

void Loop::close_full_batch() {
  if (out_.commands.bytes() >= kEntryBytes) writer_.add(std::exchange(out_.commands, {}));
}

// --- A full disk ---

void Loop::look_at_room() {
  if (phase_ != Phase::running || now_.steady < look_at_room_at_) return;
  look_at_room_at_ = now_.steady + kLookAtRoomEvery;
  set_full(store_.room_bytes() < kRoomBytesMin || now_.steady < full_until_ || flusher_->is_full());
}

void Loop::set_full(bool full) {
  if (full == full_ || phase_ != Phase::running) return;
  full_ = full;
  if (!full) {
    front_->take(Front::Taking::all, {});
    log(LogLevel::info, "there is room on the disk again: new tasks are taken");
    return;
  }
  const Error error{Code::storage_full,
                    "the disk is full: nothing new is taken, running tasks can be settled"};
  front_->take(Front::Taking::settles, error);
  log(LogLevel::warning, error.message);
}

void Loop::tick_if_due() {
  if (phase_ != Phase::running || tick_under_way_) return;
  if (state_->next_deadline() > now_.journal) return;
  out_.commands.add_tick();
  tick_under_way_ = true;
}

// --- The end ---

void Loop::leave() {
  if (phase_ == Phase::running) {
    front_->take(Front::Taking::nothing, {Code::stopped, "the engine is stopping"});
    front_->leave(out_);
    // In an entry before the leave: what it still assigns can be given back.
    writer_.add(std::exchange(out_.commands, {}));
    phase_ = Phase::leaving;
  } else if (phase_ != Phase::stopped) {
    phase_ = Phase::left;  // it had not joined yet: there is nothing to leave
  }
}

void Loop::stop(Error error) {
  if (phase_ == Phase::stopped) return;
  log(LogLevel::error, "stopped: " + to_string(error));
  failure_ = error;
  phase_ = Phase::stopped;
  if (error.code != Code::stopped) {
    error = {Code::stopped, "the engine has stopped: " + to_string(error)};
  }
  front_->take(Front::Taking::nothing, error);
  writer_.add(std::exchange(out_.commands, {}));
  for (const Batch& batch : writer_.take_unanswered()) {
    front_->on_refused(batch.pending(), error, out_);
  }
  for (const Inbound& message : std::exchange(held_, {})) front_->on_message(now_, message, out_);
  held_bytes_ = 0;
}

// --- The store ---

void Loop::flush() {
  if (phase_ == Phase::left) return;
  if (is_torn_ || (phase_ == Phase::stopped && failure_.code != Code::stopped)) return;
  const bool last = phase_ == Phase::leaving && wrote_leave_ && writer_.is_idle();
  if (last) flusher_->want_all();
  Result<void> worked = flusher_->work(now_.steady);
  // A store that writes at once has nothing to poll: its answer is there already.
  if (worked && store_.descriptor() < 0) worked = flusher_->work(now_.steady);
  if (!worked) {
    stop(worked.error());
    return;
  }
  if (last && flusher_->flushed() == state_->index()) phase_ = Phase::left;
}

void Loop::carry_out_reads() {
  for (Read& read : std::exchange(out_.reads, {})) {
    // Watches have a bound of their own, and so has whoever asks on behalf of others.
    const bool is_bounded =
        !std::get_if<ReadEvents>(&read.what) && !front_->is_in_process(read.session);
    if (is_bounded && reads_waiting_.of(read.session) >= kReadsMax) {
      out_.refuse(read.session, read.correlation,
                  {Code::rate_limited, "this session has " + std::to_string(kReadsMax) +
                                           " questions without an answer; wait for some"});
    } else {
      reads_waiting_.add(std::move(read));
    }
  }
  const bool comes_no_more = phase_ == Phase::stopped || flusher_->is_full();
  std::size_t bytes = 0;
  while (bytes < kAnswerBytesPerTurn) {
    const Index flushed = comes_no_more ? UINT64_MAX : flusher_->flushed();
    std::optional<ReadQueue::Item> item = reads_waiting_.take(flushed);
    if (!item) return;
    const std::size_t before = out_.frames.size();
    carry_out(*item);
    for (std::size_t i = before; i < out_.frames.size(); ++i) bytes += out_.frames[i].frame.size();
  }
  progress_ = true;
}

void Loop::carry_out(ReadQueue::Item& item) {
  Read& read = item.read;
  if (const auto* events = std::get_if<ReadEvents>(&read.what)) {
    const auto blobs = reads_->events_after(events->after, events_.first_entry());
    front_->on_stored_events(now_, read.session, read.correlation, blobs, out_);
    progress_ = true;
    return;
  }
  if (std::holds_alternative<ReadInfo>(read.what)) {
    out_.frames.push_back({read.session, answer_info(read.correlation)});
    return;
  }
  if (const auto* result = std::get_if<ReadResult>(&read.what);
      result != nullptr && state_->state_of(result->task) &&
      !state_->is_result_stored(result->task)) {
    front_->on_wait_again(now_, read, out_);
    return;
  }
  const bool up_to_date = item.until || flusher_->flushed() == state_->index() ||
                          phase_ == Phase::stopped || flusher_->is_full();
  if (auto frame = reads_->answer(now_, read, up_to_date)) {
    out_.frames.push_back({read.session, *std::move(frame)});
    return;
  }
  reads_waiting_.put_back(std::move(read), state_->index());
  flusher_->want_all();
  progress_ = true;
}

std::string Loop::answer_info(wire::Correlation correlation) const {
  const auto ms = [](std::chrono::nanoseconds duration) {
    return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
  };
  std::map<std::string, std::string> facts = options_.facts;
  facts["version"] = version();
  facts["engine"] = hex(options_.engine);
  facts["incarnation"] = hex(writer_.incarnation());
  facts[std::string(fact_names::kState)] = phase_ == Phase::stopped   ? "stopped"
                                           : phase_ == Phase::leaving ? "leaving"
                                           : full_                    ? "storage_full"
                                                                      : fact_names::kRunning;
  facts["guarantee"] = transport_.guarantee();
  facts["tasks"] = std::to_string(state_->unfinished());
  facts["running"] = std::to_string(state_->running());
  facts["entry"] = std::to_string(state_->entries());
  facts["index"] = std::to_string(state_->index());
  facts["flushed"] = std::to_string(flusher_->flushed());
  const auto since = [&](std::optional<SteadyTime> begin) {
    return begin ? ms(now_.steady - *begin) : "0";
  };
  facts[std::string(fact_names::kAppendMs)] = since(writer_.on_its_way_since());
  facts[std::string(fact_names::kFlushMs)] = since(flusher_->waiting_since());
  facts["uptime_ms"] = ms(now_.steady - started_at_);
  facts["sessions"] = std::to_string(front_->sessions());
  facts["leases"] = std::to_string(front_->leases());
  facts["waits"] = std::to_string(front_->waits());
  facts["watches"] = std::to_string(front_->watches());
  const Limits& limits = state_->limits();
  const PeerCounters peers = sessions_.counters();
  facts["malformed"] = std::to_string(peers.malformed + front_->malformed());
  facts["overflown"] = std::to_string(peers.overflown);
  facts["refused"] = std::to_string(peers.refused);
  facts["denied"] = std::to_string(front_->denied());
  for (const auto& [name, limit] : std::map<std::string, std::uint64_t>{
           {"payload_bytes_max", limits.payload_bytes_max},
           {"result_bytes_max", limits.result_bytes_max},
           {"output_bytes_max", limits.output_bytes_max},
           {"unfinished_per_queue_max", limits.unfinished_per_queue_max},
           {"unfinished_max", limits.unfinished_max},
           {"queues_max", limits.queues_max},
           {"attempts_max", limits.attempts_max},
           {"batch_tasks_max", options_.sessions.batch_tasks_max},
           {"batch_bytes_max", options_.sessions.batch_bytes_max}}) {
    facts["limits." + name] = std::to_string(limit);
  }
  facts["limits.retention_ms"] = std::to_string(limits.retention.count());
  facts["limits.dedup_window_ms"] = std::to_string(limits.dedup_window.count());
  if (phase_ == Phase::stopped) facts["failure"] = to_string(failure_);
  wire::EngineInfo info;
  info.correlation = correlation;
  for (const auto& [name, value] : facts) info.facts.emplace_back(name, value);
  return wire::encode(info);
}

void Loop::send() {
  sessions_.send(out_.frames);
  out_.frames.clear();
  for (const SessionId session : out_.forgotten) {
    sessions_.forget(session);
    reads_waiting_.drop(session);
  }
  out_.forgotten.clear();
}

void Loop::log(LogLevel level, const std::string& line) const {
  if (options_.log) options_.log(level, line);
}

}  // namespace jack

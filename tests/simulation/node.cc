#include "tests/simulation/node.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace jack::test {
namespace {

using namespace std::chrono_literals;

// The world begins on a day in 2026.
constexpr Duration kWorldBegins{1'790'000'000'000};

constexpr Duration kLongestSleep{1000};

}  // namespace

WallTime HostClock::wall_now() const {
  return WallTime{kWorldBegins + wall_ + std::chrono::duration_cast<Duration>(timeline_.now())};
}

WorldTime HostClock::when(SteadyTime at) const {
  const std::int64_t ns = at.ns - start_.count();
  // As long as the world lasts, a drift is too little to matter twice.
  return WorldTime{ns - ns / 1'000'000 * drift_ppm_};
}

Node::Node(Timeline& timeline, SimJournal& journal, Dice dice, NodeOptions options, Mail mail)
    : timeline_(timeline),
      journal_(journal),
      dice_(dice),
      options_(std::move(options)),
      name_("engine " + std::to_string(options_.number)),
      mail_(std::move(mail)),
      clock_(timeline, options_.clock_start, options_.drift_ppm),
      store_faults_(options_.store) {}

void Node::start() {
  if (is_up()) return;
  ++life_;
  leaves_ = false;
  frozen_until_ = WorldTime{0};
  flushes_seen_ = 0;
  transport_ = std::make_unique<SimTransport>(journal_, [this] { wake(timeline_.now()); });
  store_ = std::make_unique<testing::FaultyStore>(std::make_unique<MemoryStore>(tables_));
  store_->hold_flushes();
  LoopOptions options;
  options.engine.fill(options_.number);
  options.new_incarnation = [this] {
    Id128 id{};
    for (std::uint8_t& byte : id) byte = static_cast<std::uint8_t>(dice_.below(256));
    return id;
  };
  options.sessions = options_.sessions;
  options.limits = options_.limits;
  options.longest_sleep = kLongestSleep;
  options.log = [this](LogLevel, std::string_view line) { log_.emplace_back(line); };
  loop_ =
      std::make_unique<Loop>(Loop::Parts{clock_, *transport_, *store_, *this}, std::move(options));
  if (Result<void> started = loop_->start(); !started) {
    const Error error = started.error();
    kill();
    if (on_stopped) on_stopped(error);
    return;
  }
  wake(timeline_.now());
}

void Node::kill() {
  if (!is_up()) return;
  ++life_;
  loop_.reset();
  transport_.reset();
  // A flush that was under way is in the file whole, or not at all.
  if (dice_.coin()) {
    store_->end_flush({});
    store_->flushed();
  }
  store_.reset();
  woken_at_.reset();
  arriving_.clear();
  gone_.clear();
  sessions_.clear();
  mail_.died();
}

void Node::leave() {
  if (!is_up() || leaves_) return;
  leaves_ = true;
  loop_->leave();
  wake(timeline_.now());
}

void Node::freeze(WorldTime by) { frozen_until_ = timeline_.now() + by; }

void Node::cut_off(WorldTime by) {
  if (!is_up()) return;
  transport_->cut();
  timeline_.in(by, [this, life = life_] {
    if (life == life_ && is_up()) transport_->mend();
  });
}

void Node::fill_disk(WorldTime by) {
  if (!is_up()) return;
  store_->set_room_bytes(0);
  timeline_.in(by, [this, life = life_] {
    if (life == life_ && is_up()) store_->set_room_bytes(std::nullopt);
  });
}

void Node::heal() {
  store_faults_ = {};
  frozen_until_ = WorldTime{0};
  if (!is_up()) return;
  store_->set_room_bytes(std::nullopt);
  transport_->mend();
  wake(timeline_.now());
}

void Node::wake(WorldTime when) {
  when = std::max({when, timeline_.now(), frozen_until_});
  if (woken_at_ && *woken_at_ <= when) return;
  woken_at_ = when;
  timeline_.at(when, [this, life = life_, wake = ++wakes_] {
    if (life != life_ || wake != wakes_) return;
    woken_at_.reset();
    if (timeline_.now() < frozen_until_) {
      this->wake(frozen_until_);
    } else {
      turn();
    }
  });
}

void Node::turn() {
  const bool goes_on = loop_->turn();
  look_at_store();
  if (on_turn) on_turn();
  if (loop_->phase() == Loop::Phase::stopped && !leaves_) {
    // Whoever runs it starts it again some time.
    leaves_ = true;
    const Error failure = loop_->failure();
    if (on_stopped) on_stopped(failure);
    return;
  }
  if (loop_->phase() == Loop::Phase::left) {
    kill();
    return;
  }
  const bool at_once = goes_on || transport_ == nullptr || store_->has_news();
  // A turn takes a little time.
  const WorldTime next = timeline_.now() + std::chrono::microseconds{dice_.between(5, 100)};
  wake(at_once ? next : std::max(next, clock_.when(loop_->wait_until()) + 1us));
}

// A flush takes its time.
void Node::look_at_store() {
  if (store_->flushes_begun() == flushes_seen_ || !store_->is_holding()) return;
  flushes_seen_ = store_->flushes_begun();
  const bool slow = dice_.once_in(store_faults_.slow);
  const auto takes = std::chrono::microseconds{dice_.between(100, 20'000)} * (slow ? 200 : 1);
  timeline_.in(takes, [this, life = life_] {
    if (life == life_ && is_up()) end_flush();
  });
}

void Node::end_flush() {
  std::optional<Error> fault;
  if (dice_.once_in(store_faults_.full)) {
    fault = Error{Code::storage_full, "the simulated disk is full"};
  } else if (dice_.once_in(store_faults_.busy)) {
    fault = Error{Code::unavailable, "the simulated file is locked"};
  } else if (dice_.once_in(store_faults_.broken)) {
    fault = Error{Code::stopped, "the simulated disk is broken"};
  }
  store_->end_flush(fault);
  wake(timeline_.now());
}

SessionId Node::connect(bool in_process) {
  sessions_[++last_session_] = in_process;
  return last_session_;
}

void Node::arrive(SessionId session, std::string frame) {
  const auto known = sessions_.find(session);
  if (known == sessions_.end()) return;
  arriving_.push_back({session, known->second, {}, std::move(frame)});
  wake(timeline_.now());
}

void Node::disconnect(SessionId session) {
  if (sessions_.erase(session) == 0) return;
  gone_.push_back(session);
  wake(timeline_.now());
}

void Node::drain(std::size_t frames_max, std::vector<Inbound>& arrived,
                 std::vector<SessionId>& gone) {
  const auto count = static_cast<std::ptrdiff_t>(std::min(frames_max, arriving_.size()));
  std::move(arriving_.begin(), arriving_.begin() + count, std::back_inserter(arrived));
  arriving_.erase(arriving_.begin(), arriving_.begin() + count);
  gone.insert(gone.end(), gone_.begin(), gone_.end());
  gone_.clear();
}

void Node::send(std::vector<Outbound>& messages) {
  for (Outbound& message : messages) mail_.deliver(message.session, std::move(message.frame));
  messages.clear();
}

}  // namespace jack::test

#include "transports/testing/rig.h"

#include <algorithm>
#include <utility>

#include <poll.h>

#include "engine/assert.h"
#include "storage/task_store.h"
#include "transports/local/local_transport.h"

namespace jack::testing {
namespace {

// A loop that is busy for this many turns without the clock moving will be so for ever.
constexpr int kTurnsMax = 1'000'000;

// What a disk is given to write; only a broken one takes longer.
constexpr int kDiskMs = 30'000;

}  // namespace

void VirtualClock::advance(std::chrono::nanoseconds by) {
  steady_ = steady_ + by;
  rest_ += by;
  const auto whole = std::chrono::duration_cast<std::chrono::milliseconds>(rest_);
  wall_ += whole;
  rest_ -= whole;
}

SessionId Mailboxes::connect(bool in_process, std::string user) {
  peers_[++last_] = {in_process, std::move(user), {}};
  return last_;
}

void Mailboxes::send_to_engine(SessionId session, std::string frame) {
  const Peer& peer = peers_.at(session);
  arriving_.push_back({session, peer.in_process, peer.user, std::move(frame)});
}

std::optional<std::string> Mailboxes::take(SessionId session) {
  std::deque<std::string>& mail = peers_.at(session).mail;
  if (mail.empty()) return std::nullopt;
  std::string frame = std::move(mail.front());
  mail.pop_front();
  return frame;
}

bool Mailboxes::has_mail(SessionId session) const { return !peers_.at(session).mail.empty(); }

void Mailboxes::drain(std::size_t frames_max, std::vector<Inbound>& arrived,
                      std::vector<SessionId>& gone) {
  for (; frames_max > 0 && !arriving_.empty(); --frames_max) {
    arrived.push_back(std::move(arriving_.front()));
    arriving_.pop_front();
  }
  gone.insert(gone.end(), gone_.begin(), gone_.end());
  gone_.clear();
}

void Mailboxes::send(std::vector<Outbound>& messages) {
  for (Outbound& message : messages) {
    peers_.at(message.session).mail.push_back(std::move(message.frame));
  }
  messages.clear();
}

Rig::Rig(RigOptions options) : options_(std::move(options)), clock_(options_.start) {}

Rig::~Rig() { crash(); }

Result<void> Rig::open() {
  JACK_ASSERT(loop_ == nullptr);
  if (Result<void> parts = open_parts(); !parts) return parts;
  LoopOptions options;
  options.engine.fill(1);
  options.new_incarnation = [this] {
    Id128 id{};
    id[0] = ++incarnations_;
    return id;
  };
  options.sessions = options_.sessions;
  options.limits = options_.limits;
  options.rights = [this] { return rights_ ? rights_() : nullptr; };
  options.facts["transport"] = options_.transport;
  options.log = [this](LogLevel, std::string_view line) { log_.emplace_back(line); };
  loop_ =
      std::make_unique<Loop>(Loop::Parts{clock_, *transport_, *store_, mail_}, std::move(options));
  if (Result<void> started = loop_->start(); !started) return started;
  while (loop_->phase() == Loop::Phase::catching_up || loop_->phase() == Loop::Phase::joining) {
    if (!loop_->turn()) wait_for_disk();
  }
  if (loop_->phase() == Loop::Phase::stopped) return loop_->failure();
  return directory_ ? directory_->begin_run() : Result<void>();
}

Result<void> Rig::open_parts() {
  if (options_.transport == "memory") {
    transport_ = std::make_unique<FaultyTransport>(
        std::make_unique<MemoryTransport>(memory_journal_), journal_);
    store_ = std::make_unique<FaultyStore>(std::make_unique<MemoryStore>(memory_tables_));
    return {};
  }
  if (options_.transport != "local") {
    return Error{Code::unsupported, "there is no transport " + options_.transport};
  }
  auto directory =
      DataDirectory::open({.path = options_.data_dir, .reserve_bytes = 1 << 20}, clock_);
  if (!directory) return directory.error();
  directory_ = *std::move(directory);
  TaskStoreOptions store_options;
  store_options.path = directory_->tasks_path();
  store_options.directory = directory_.get();
  auto store = TaskStore::open(store_options);
  if (!store) return store.error();
  store_ = std::make_unique<FaultyStore>(*std::move(store));
  LocalTransportOptions transport_options;
  transport_options.path = directory_->journal_path();
  transport_options.directory = directory_.get();
  auto transport = LocalTransport::open(transport_options);
  if (!transport) return transport.error();
  transport_ = std::make_unique<FaultyTransport>(*std::move(transport), journal_);
  return {};
}

void Rig::crash() {
  loop_.reset();
  transport_.reset();
  store_.reset();
  directory_.reset();
  mail_.clear();
}

Result<void> Rig::stop() {
  loop_->leave();
  run();
  const Loop::Phase phase = loop_->phase();
  const Error failure = loop_->failure();
  loop_.reset();
  transport_.reset();
  store_.reset();
  if (phase == Loop::Phase::stopped) return failure;
  JACK_ASSERT(phase == Loop::Phase::left);
  Result<void> marked = directory_ ? directory_->stop_cleanly() : Result<void>();
  directory_.reset();
  mail_.clear();
  return marked;
}

void Rig::append_foreign(std::string entry) {
  MemoryTransport other(memory_journal_);
  other.append(std::make_shared<const std::string>(std::move(entry)));
}

void Rig::run() {
  for (int turns = 0; turns < kTurnsMax; ++turns) {
    if (loop_->turn() || transport_->has_news() || store_->has_news()) continue;
    const bool waits = (loop_->is_appending() && !transport_->is_holding()) ||
                       (loop_->is_flushing() && !store_->is_holding());
    if (!waits || transport_->descriptor() < 0) return;
    wait_for_disk();
  }
  const bool comes_to_rest = false;
  JACK_ASSERT(comes_to_rest);
}

void Rig::wait_for_disk() {
  pollfd descriptors[] = {{transport_->descriptor(), POLLIN, 0}, {store_->descriptor(), POLLIN, 0}};
  const int ready = ::poll(descriptors, 2, kDiskMs);
  JACK_ASSERT(ready != 0);
}

void Rig::advance(Duration by) {
  run();
  const SteadyTime end = clock_.now() + by;
  while (clock_.now() < end) {
    const SteadyTime wake = std::max(loop_->wait_until(), clock_.now() + Duration{1});
    clock_.advance(std::min(wake, end) - clock_.now());
    run();
  }
}

bool Rig::advance_to_next(Duration limit) {
  run();
  const SteadyTime wake = std::max(loop_->wait_until(), clock_.now() + Duration{1});
  if (wake == kNoDeadline || wake > clock_.now() + limit) return false;
  clock_.advance(wake - clock_.now());
  run();
  return true;
}

Result<std::uint64_t> Rig::replay(std::size_t flush_every) const {
  class StoreArchive final : public Archive {
   public:
    explicit StoreArchive(Store& store) : store_(store) {}
    Result<std::optional<StoredTask>> find(const TaskId& id) override { return store_.find(id); }

   private:
    Store& store_;
  };
  MemoryStore store(std::make_shared<MemoryTables>());
  StoreArchive archive(store);
  State state(archive);
  Outcomes outcomes;
  std::size_t applied = 0;
  for (const JournalEntry& entry : journal_) {
    if (Result<void> ok = state.apply(entry.index, entry.bytes, outcomes); !ok) return ok.error();
    if (flush_every == 0 || ++applied % flush_every != 0) continue;
    store.begin_flush(state.cut({}, state.entries()));
    if (Result<void> ok = store.flushed().value(); !ok) return ok.error();
    state.flushed();
  }
  return state.hash();
}

}  // namespace jack::testing

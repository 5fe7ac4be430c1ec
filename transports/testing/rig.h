// An engine's loop with everything around it made by hand: a clock that stands still until it is
// moved, sessions that are queues in memory, faults on demand. No threads of its own. What the
// Harness is made of.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/limits.h>
#include <jack_engine/time.h>

#include "engine/runtime/loop.h"
#include "engine/runtime/sessions.h"
#include "storage/data_directory.h"
#include "transports/memory/memory_store.h"
#include "transports/memory/memory_transport.h"
#include "transports/testing/faults.h"

namespace jack::testing {

class VirtualClock final : public Clock {
 public:
  explicit VirtualClock(WallTime start) : wall_(start) {}
  SteadyTime now() const override { return steady_; }
  WallTime wall_now() const override { return wall_; }

  void advance(std::chrono::nanoseconds by);
  void jump_wall(Duration by) { wall_ += by; }

 private:
  SteadyTime steady_{1'000'000'000};
  WallTime wall_;
  std::chrono::nanoseconds rest_{0};  // less than a millisecond that wall_ does not show
};

// What clients and workers have sent, and what came back.
class Mailboxes final : public Sessions {
 public:
  SessionId connect(bool in_process, std::string user);
  void send_to_engine(SessionId session, std::string frame);
  void disconnect(SessionId session) { gone_.push_back(session); }
  // The oldest frame for this session.
  std::optional<std::string> take(SessionId session);
  bool has_mail(SessionId session) const;
  // The engine is gone, and with it what it had not read.
  void clear() { arriving_.clear(); }

  void drain(std::size_t frames_max, std::vector<Inbound>& arrived,
             std::vector<SessionId>& gone) override;
  void send(std::vector<Outbound>& messages) override;
  void forget(SessionId) override {}

 private:
  struct Peer {
    bool in_process = false;
    std::string user;
    std::deque<std::string> mail;
  };
  std::map<SessionId, Peer> peers_;
  std::deque<Inbound> arriving_;
  std::vector<SessionId> gone_;
  SessionId last_ = 0;
};

struct RigOptions {
  std::string transport = "memory";  // or "local"
  std::string data_dir;              // of local; must exist
  std::optional<Limits> limits;
  SessionLimits sessions;
  WallTime start{std::chrono::milliseconds{1'767'225'600'000}};  // 2026-01-01
};

class Rig {
 public:
  explicit Rig(RigOptions options);
  ~Rig();

  // Opens the engine, on what an earlier one has left behind.
  Result<void> open();
  // The engine is gone from one moment to the next.
  void crash();
  // It stops in order.
  Result<void> stop();

  VirtualClock& clock() { return clock_; }
  Mailboxes& mail() { return mail_; }
  Loop& loop() { return *loop_; }
  bool is_open() const { return loop_ != nullptr; }
  FaultyTransport& transport() { return *transport_; }
  FaultyStore& store() { return *store_; }
  // What keys allow; until then none is let in.
  void set_rights(std::function<std::shared_ptr<const RightsTable>()> rights) {
    rights_ = std::move(rights);
  }
  const std::vector<std::string>& log() const { return log_; }
  const std::vector<JournalEntry>& journal() const { return journal_; }
  // Another engine's entry, on the memory transport.
  void append_foreign(std::string entry);

  // Turns until nothing happens any more without the clock.
  void run();
  // Moves the clock, stopping wherever the loop wants to be woken.
  void advance(Duration by);
  // To the next time at which something happens, at most `limit` away. False: there is none.
  bool advance_to_next(Duration limit);
  // The clock moves and the engine does not run.
  void freeze(Duration by) { clock_.advance(by); }

  // The hash of a state to which all entries so far have been applied one by one, with a flush
  // after each `flush_every` of them (0: none).
  Result<std::uint64_t> replay(std::size_t flush_every) const;

 private:
  Result<void> open_parts();
  void wait_for_disk();

  const RigOptions options_;
  VirtualClock clock_;
  Mailboxes mail_;
  std::vector<JournalEntry> journal_;
  std::vector<std::string> log_;
  std::function<std::shared_ptr<const RightsTable>()> rights_;
  std::uint8_t incarnations_ = 0;

  // Of the memory transport: what a crash leaves.
  std::shared_ptr<MemoryJournal> memory_journal_ = std::make_shared<MemoryJournal>();
  std::shared_ptr<MemoryTables> memory_tables_ = std::make_shared<MemoryTables>();

  std::unique_ptr<DataDirectory> directory_;
  std::unique_ptr<FaultyStore> store_;
  std::unique_ptr<FaultyTransport> transport_;
  std::unique_ptr<Loop> loop_;
};

}  // namespace jack::testing

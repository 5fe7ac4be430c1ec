// An engine in a simulated world: the real loop, front and state, with a clock, a store and
// sessions that are made by hand. It can be killed, stopped, frozen and cut off.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/runtime/loop.h"
#include "engine/runtime/sessions.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/journal.h"
#include "tests/simulation/timeline.h"
#include "transports/memory/memory_store.h"
#include "transports/testing/faults.h"

namespace jack::test {

// The clock of one host.
class HostClock final : public Clock {
 public:
  HostClock(const Timeline& timeline, WorldTime start, std::int64_t drift_ppm)
      : timeline_(timeline), start_(start), drift_ppm_(drift_ppm) {}

  SteadyTime now() const override {
    const std::int64_t ns = timeline_.now().count();
    return {start_.count() + ns + ns / 1'000'000 * drift_ppm_};
  }
  WallTime wall_now() const override;
  void jump(Duration by) { wall_ += by; }

  // The world's time at which this clock shows `at`, or a little later.
  WorldTime when(SteadyTime at) const;

 private:
  const Timeline& timeline_;
  const WorldTime start_;
  const std::int64_t drift_ppm_;
  Duration wall_{0};  // away from the world's
};

// How often a store meets what; one flush in so many, 0 for never.
struct StoreFaults {
  std::uint64_t full = 0;
  std::uint64_t busy = 0;    // another process holds the file
  std::uint64_t broken = 0;  // an I/O error: the engine stops
  std::uint64_t slow = 0;
};

struct NodeOptions {
  std::uint8_t number = 1;
  Limits limits;
  SessionLimits sessions;
  StoreFaults store;
  WorldTime clock_start{0};
  std::int64_t drift_ppm = 0;
};

class Node final : public Sessions {
 public:
  // Where what the engine says goes.
  struct Mail {
    std::function<void(SessionId, std::string frame)> deliver;
    std::function<void()> died;  // all sessions are broken
  };
  Node(Timeline& timeline, SimJournal& journal, Dice dice, NodeOptions options, Mail mail);

  const std::string& name() const { return name_; }
  bool is_up() const { return loop_ != nullptr; }
  bool is_leaving() const { return is_up() && leaves_; }
  bool is_running() const { return is_up() && loop_->phase() == Loop::Phase::running; }
  Loop& loop() { return *loop_; }
  HostClock& clock() { return clock_; }

  // --- What can be done to it ---

  void start();
  void kill();                 // what it had not made durable is gone
  void leave();                // stops in order; it is down some time later
  void freeze(WorldTime by);   // it does nothing at all meanwhile
  void cut_off(WorldTime by);  // from the journal
  void fill_disk(WorldTime by);
  // Faults come no more, and those that last end.
  void heal();

  // After every turn.
  std::function<void()> on_turn;
  // It has stopped by itself, and why.
  std::function<void(const Error&)> on_stopped;

  // --- Its sessions ---

  SessionId connect(bool in_process);
  void arrive(SessionId session, std::string frame);
  void disconnect(SessionId session);

  void drain(std::size_t frames_max, std::vector<Inbound>& arrived,
             std::vector<SessionId>& gone) override;
  void send(std::vector<Outbound>& messages) override;
  void forget(SessionId) override {}

  // Its last lines.
  const std::vector<std::string>& log() const { return log_; }

 private:
  void wake(WorldTime when);
  void turn();
  void look_at_store();
  void end_flush();

  Timeline& timeline_;
  SimJournal& journal_;
  Dice dice_;
  const NodeOptions options_;
  const std::string name_;
  const Mail mail_;
  HostClock clock_;
  StoreFaults store_faults_;

  // What is on its disk.
  std::shared_ptr<MemoryTables> tables_ = std::make_shared<MemoryTables>();

  // Of the present life.
  std::uint64_t life_ = 0;
  std::unique_ptr<SimTransport> transport_;
  std::unique_ptr<testing::FaultyStore> store_;
  std::unique_ptr<Loop> loop_;
  std::optional<WorldTime> woken_at_;
  std::uint64_t wakes_ = 0;
  WorldTime frozen_until_{0};
  std::uint64_t flushes_seen_ = 0;
  bool leaves_ = false;
  std::vector<Inbound> arriving_;
  std::vector<SessionId> gone_;
  std::map<SessionId, bool> sessions_;  // those that are connected: whether in its own process
  SessionId last_session_ = 0;
  std::vector<std::string> log_;
};

}  // namespace jack::test

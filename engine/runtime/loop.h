// The loop of an engine: takes what has arrived, lets the pure parts decide, carries out what they
// decided. It has no opinions of its own but when to write.
//
//             messages            commands           entry
//  Sessions ───────────► Front ─────────────► Batch ───────► Transport ─┐
//     ▲                    ▲                                            │ one order of entries
//     └── answers ─────────┤ outcomes                                   ▼
//                          └──────────────────────── State ◄── apply ◄──┘
//                                                      └── changes ──► Store
//
// turn() never blocks, and reads no clock but the one it was given, so that the same loop runs in
// an engine's thread and, by hand, in tests. Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/engine.h>
#include <jack_engine/error.h>
#include <jack_engine/limits.h>
#include <jack_engine/time.h>

#include "engine/front/event_log.h"
#include "engine/front/front.h"
#include "engine/runtime/flusher.h"
#include "engine/runtime/journal_clock.h"
#include "engine/runtime/journal_writer.h"
#include "engine/runtime/read_queue.h"
#include "engine/runtime/reads.h"
#include "engine/runtime/sessions.h"
#include "engine/state/state.h"
#include "engine/store.h"
#include "engine/transport.h"

namespace jack {

struct LoopOptions {
  Id128 engine{};                          // for ever
  std::function<Id128()> new_incarnation;  // 128 random bits
  SessionLimits sessions;
  std::optional<Limits> limits;  // set in the journal where they differ
  bool keep_journal = false;
  // Whoever drives the loop sleeps no longer than this at a time, so that it can tell when it was
  // frozen; nothing: it never is.
  std::optional<Duration> longest_sleep;
  // The list of keys as it is now, the same pointer while it has not changed. Asked at most once a
  // turn, and only where somebody acts for a key; nothing: no key is let in.
  std::function<std::shared_ptr<const RightsTable>()> rights;
  // What `info` says besides what the loop knows: "transport", "endpoints", …
  std::map<std::string, std::string> facts;
  std::function<void(LogLevel, std::string_view)> log;
};

class Loop {
 public:
  // What it works with; all of it outlives the loop. `transport`, `store` and `sessions` are used
  // by nobody else meanwhile.
  struct Parts {
    const Clock& clock;
    Transport& transport;
    Store& store;
    Sessions& sessions;
  };
  Loop(const Parts& parts, LoopOptions options);
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  enum class Phase : std::uint8_t {
    starting,     // start() has not been called
    catching_up,  // applies what the journal holds beyond the store
    joining,      // waits for its own first entry
    running,
    leaving,  // takes nothing more, writes what is due
    left,     // all is written; nothing is left to recover
    stopped,  // failed: reads go on, changes are refused with failure()
  };
  Phase phase() const { return phase_; }

  // Why it stopped, or could not start.
  const Error& failure() const { return failure_; }

  // Takes over what the store holds and begins to read the journal behind it. The turns that
  // follow catch up and join.
  // Errors: corruption, unsupported, position_gone (the journal begins behind the store)
  Result<void> start();

  // One turn. True: the next one has something to do at once.
  bool turn();

  // The next turn is needed at this time at the latest, even if nothing arrives. To be asked before
  // sleeping: what is slept beyond it counts for nobody's silence.
  SteadyTime wait_until();

  // To the end: what was taken so far is answered, then `left`.
  void leave();

  State& state() { return *state_; }
  const Front& front() const { return *front_; }
  Index flushed() const { return flusher_->flushed(); }
  // Something is on its way into the journal, or the store; turn() goes on when it is there.
  bool is_appending() const { return writer_.is_under_way(); }
  bool is_flushing() const { return flusher_->is_under_way(); }

 private:
  // Finds finished tasks in the store, for the state, and their queues, for the front.
  class StoreArchive final : public Archive, public TaskQueues {
   public:
    explicit StoreArchive(Store& store) : store_(store) {}
    Result<std::optional<StoredTask>> find(const TaskId& id) override { return store_.find(id); }
    Result<std::optional<std::string>> queue_of(const TaskId& task) override;
    Result<std::optional<TaskId>> find_number(std::uint64_t number) override {
      return store_.find_number(number);
    }

   private:
    Store& store_;
  };

  bool takes_messages() const {
    return phase_ == Phase::running || phase_ == Phase::leaving || phase_ == Phase::stopped;
  }
  bool appends() const {
    return phase_ == Phase::joining || phase_ == Phase::running || phase_ == Phase::leaving;
  }

  void read_clocks();
  void judge_time();
  void take_messages();
  void look_at_keys();
  void give(Inbound& message);
  void give_held();
  bool must_hold() const;
  void close_full_batch();
  void look_at_room();
  void tick_if_due();
  bool is_alive_due() const;
  bool is_current() const;
  void write();
  void poll_transport();
  bool apply(const JournalEntry& entry);
  void take_own(const Batch& batch);
  void on_fate(const AppendFate& fate);
  void join();
  void begin_incarnation();
  void rejoin();
  void flush();
  void carry_out_reads();
  void carry_out(ReadQueue::Item& item);
  std::string answer_info(wire::Correlation correlation) const;
  void send();
  void stop(Error error);
  void set_full(bool full);
  void log(LogLevel level, const std::string& line) const;

  const Clock& clock_;
  Transport& transport_;
  Store& store_;
  Sessions& sessions_;
  const LoopOptions options_;

  Phase phase_ = Phase::starting;
  Error failure_;
  bool is_torn_ = false;  // the state has taken a part of an entry: it must never be written down
  StoreArchive archive_;
  std::unique_ptr<State> state_;
  EventLog events_;
  std::unique_ptr<Front> front_;
  std::unique_ptr<Flusher> flusher_;
  std::unique_ptr<Reads> reads_;
  JournalWriter writer_;
  JournalClock journal_clock_;

  Now now_;
  SteadyTime started_at_;
  SteadyTime last_turn_;
  SteadyTime planned_wake_;
  bool took_all_ = true;    // no message waits at the sessions
  SteadyTime took_all_at_;  // when that was so last
  SteadyTime judged_at_;    // when the front was last told the time
  bool tick_under_way_ = false;
  bool wrote_leave_ = false;
  Index told_flushed_ = 0;  // to the others
  bool rejoin_wanted_ = false;
  bool full_ = false;
  SteadyTime full_until_{};  // an append found no room: not before this is it tried with more
  SteadyTime look_at_room_at_{};
  std::size_t recovered_ = 0;  // entries applied while catching up

  Output out_;
  Outcomes outcomes_;
  Polled polled_;
  std::vector<Inbound> arrived_;
  std::vector<SessionId> gone_;
  std::deque<Inbound> held_;  // messages that wait for the store or the journal, in order
  std::size_t held_bytes_ = 0;
  ReadQueue reads_waiting_;
  bool progress_ = false;
};

}  // namespace jack

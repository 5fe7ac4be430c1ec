// A journal on a broker, as several engines see it over connections that lose, delay and repeat.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "engine/transport.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/timeline.h"

namespace jack::test {

// How often appends meet what; one in so many, 0 for never.
struct JournalFaults {
  std::uint64_t lost = 0;     // it is not written, and nobody says so
  std::uint64_t unsaid = 0;   // it is written, and nobody says so
  std::uint64_t late = 0;     // nobody says so, and it is written long after, maybe by the dead
  std::uint64_t refused = 0;  // surely not written
  std::uint64_t full = 0;     // the same, for want of room
  std::uint64_t slow = 0;     // takes hundreds of times longer
};

class SimJournal {
 public:
  SimJournal(Timeline& timeline, Dice dice) : timeline_(timeline), dice_(dice) {}

  JournalFaults faults;

  // Told of each entry as it comes to be in the journal.
  std::function<void(const JournalEntry&)> on_entry;

  Index last() const { return last_; }
  // Everything up to this index is gone.
  Index trimmed() const { return trimmed_; }
  void trim(Index index);

 private:
  friend class SimTransport;

  Index write(const Buffer& entry);
  WorldTime latency();

  Timeline& timeline_;
  Dice dice_;
  Index last_ = 0;
  Index trimmed_ = 0;
  std::deque<JournalEntry> entries_;
  std::vector<class SimTransport*> readers_;
};

// One engine's connection. What it had under way goes on when it is gone, as frames in a socket do.
class SimTransport final : public Transport {
 public:
  // `poke` is called when poll() has something new.
  SimTransport(SimJournal& journal, std::function<void()> poke);
  ~SimTransport() override;

  // Nothing comes through any more, in either direction, until it is mended.
  void cut() { is_cut_ = true; }
  void mend();

  Result<void> read_from(Index after) override;
  Index head() const override { return journal_.last_; }
  AppendTicket append(Buffer entry) override;
  void poll(Polled& out) override;
  int descriptor() const override { return -1; }
  void trim(Index index) override { journal_.trim(index); }
  Capabilities capabilities() const override { return {.shared = true}; }
  std::string guarantee() const override { return "simulated"; }

 private:
  friend class SimJournal;

  // Runs later, unless this connection is gone by then.
  void later(WorldTime pause, std::function<void()> action);
  void show(Index index);
  void end(const AppendFate& fate);

  SimJournal& journal_;
  const std::function<void()> poke_;
  const std::shared_ptr<bool> lives_ = std::make_shared<bool>(true);
  bool is_cut_ = false;
  Index read_ = 0;     // what poll() has yielded
  Index visible_ = 0;  // what has reached this engine
  WorldTime shown_at_{0};
  std::deque<AppendFate> fates_;
  AppendTicket last_ticket_ = 0;
};

}  // namespace jack::test

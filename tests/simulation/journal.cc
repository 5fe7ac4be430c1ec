#include "tests/simulation/journal.h"

#include <algorithm>
#include <utility>

namespace jack::test {
namespace {

using namespace std::chrono_literals;

// When whoever waits for an answer no longer does.
constexpr WorldTime kTimeout = 2s;

AppendFate failed(AppendTicket ticket, Code code, bool certain) {
  return {ticket, Error{code, "the simulated journal says so"}, certain};
}

}  // namespace

WorldTime SimJournal::latency() {
  const WorldTime usual = std::chrono::microseconds{dice_.between(50, 2000)};
  return dice_.once_in(faults.slow) ? 300 * usual : usual;
}

Index SimJournal::write(const Buffer& entry) {
  // The indices of brokers grow, and leave some out.
  last_ += dice_.once_in(5) ? 1 + dice_.below(1000) : 1;
  entries_.push_back({last_, entry});
  if (on_entry) on_entry(entries_.back());
  const Index index = last_;
  for (SimTransport* reader : readers_) {
    const WorldTime reached = std::max(reader->shown_at_, timeline_.now() + latency());
    reader->shown_at_ = reached;
    reader->later(reached - timeline_.now(), [reader, index] { reader->show(index); });
  }
  return index;
}

void SimJournal::trim(Index index) {
  for (; !entries_.empty() && entries_.front().index <= index; entries_.pop_front()) {
    trimmed_ = entries_.front().index;
  }
}

SimTransport::SimTransport(SimJournal& journal, std::function<void()> poke)
    : journal_(journal), poke_(std::move(poke)), visible_(journal.last_) {
  journal_.readers_.push_back(this);
}

SimTransport::~SimTransport() {
  *lives_ = false;
  std::erase(journal_.readers_, this);
}

void SimTransport::later(WorldTime pause, std::function<void()> action) {
  journal_.timeline_.in(pause, [lives = std::weak_ptr(lives_), action = std::move(action)] {
    if (!lives.expired()) action();
  });
}

void SimTransport::show(Index index) {
  if (is_cut_) return;
  visible_ = std::max(visible_, index);
  poke_();
}

void SimTransport::mend() {
  is_cut_ = false;
  show(journal_.last_);
}

Result<void> SimTransport::read_from(Index after) {
  if (after < journal_.trimmed_) return Error{Code::position_gone, "it has been trimmed"};
  read_ = after;
  visible_ = journal_.last_;
  return {};
}

AppendTicket SimTransport::append(Buffer entry) {
  const AppendTicket ticket = ++last_ticket_;
  SimJournal& journal = journal_;
  Dice& dice = journal.dice_;
  const WorldTime there = journal.latency();
  const auto write_in = [&journal](WorldTime pause, Buffer bytes) {
    journal.timeline_.in(pause, [&journal, bytes] { journal.write(bytes); });
  };
  const auto end_in = [this](WorldTime pause, AppendFate fate) {
    later(pause, [this, fate] { end(fate); });
  };
  const JournalFaults& faults = journal.faults;
  if (is_cut_ || dice.once_in(faults.lost)) {
    end_in(kTimeout, failed(ticket, Code::unavailable, false));
  } else if (dice.once_in(faults.unsaid)) {
    write_in(there, std::move(entry));
    end_in(kTimeout, failed(ticket, Code::unavailable, false));
  } else if (dice.once_in(faults.late)) {
    write_in(kTimeout + std::chrono::milliseconds{dice.between(0, 20'000)}, std::move(entry));
    end_in(kTimeout, failed(ticket, Code::unavailable, false));
  } else if (dice.once_in(faults.refused)) {
    end_in(there, failed(ticket, Code::unavailable, true));
  } else if (dice.once_in(faults.full)) {
    end_in(there, failed(ticket, Code::storage_full, true));
  } else {
    const WorldTime back = journal.latency();
    journal.timeline_.in(there, [&journal, entry = std::move(entry), back, ticket, this,
                                 lives = std::weak_ptr(lives_)] {
      const Index index = journal.write(entry);
      if (lives.expired()) return;
      later(back, [this, index, ticket] {
        if (is_cut_) {
          later(kTimeout, [this, ticket] { end(failed(ticket, Code::unavailable, false)); });
          return;
        }
        visible_ = std::max(visible_, index);
        end({ticket, {}, true});
      });
    });
  }
  return ticket;
}

void SimTransport::end(const AppendFate& fate) {
  fates_.push_back(fate);
  poke_();
}

void SimTransport::poll(Polled& out) {
  for (const JournalEntry& entry : journal_.entries_) {
    if (entry.index > visible_) break;
    if (entry.index > read_) out.entries.push_back(entry);
  }
  read_ = std::max(read_, visible_);
  out.fates.insert(out.fates.end(), fates_.begin(), fates_.end());
  fates_.clear();
}

}  // namespace jack::test

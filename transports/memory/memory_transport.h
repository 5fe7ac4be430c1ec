// A journal in memory that several transports may share: for tests, with faults, and for embedding
// without persistence.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/guarded_by.h"
#include "engine/transport.h"

namespace jack {

// What an append shall meet instead of success.
struct AppendFault {
  Error error{Code::unavailable, "a fault of the test"};
  bool certain = true;   // as in AppendFate
  bool written = false;  // the entry is in the journal all the same; only with certain = false
};

// Any thread: engines on several threads may share one.
class MemoryJournal {
 public:
  // The next append of any transport meets `fault`; asked for twice, the one after it too.
  void fail_next_append(AppendFault fault);

  // From now on appends wait: they are not in the journal, and have no fate. release_appends() lets
  // those that wait in, in their order, and the later ones too.
  void hold_appends();
  void release_appends();

  // Forgets every entry above `index`, as a broker does that fails over to a replica which is
  // behind. What is appended next takes their indices again.
  void lose_tail(Index index);

  void trim(Index index);

  Index first() const;  // of what is retained; last() + 1 where nothing is
  Index last() const;

  // Entries after `after`, in order. Nothing where entries after it have been trimmed.
  std::optional<std::vector<JournalEntry>> read(Index after) const;

 private:
  friend class MemoryTransport;

  // An append on its way. The transport and the journal share it; guarded by the journal's mutex.
  struct Append {
    Buffer entry;
    std::optional<AppendFate> fate;
  };

  void append(const std::shared_ptr<Append>& append);
  std::optional<AppendFate> fate_of(const Append& append) const;
  void settle(Append& append);  // with mutex_ held

  mutable std::mutex mutex_;  // a Harness runs several engines on several threads
  std::deque<JournalEntry> entries_ JACK_GUARDED_BY(mutex_);
  Index last_ JACK_GUARDED_BY(mutex_) = 0;
  std::deque<AppendFault> faults_ JACK_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<Append>> held_ JACK_GUARDED_BY(mutex_);
  bool hold_ JACK_GUARDED_BY(mutex_) = false;
};

class MemoryTransport final : public Transport {
 public:
  explicit MemoryTransport(std::shared_ptr<MemoryJournal> journal);

  Result<void> read_from(Index after) override;
  Index head() const override { return journal_->last(); }
  AppendTicket append(Buffer entry) override;
  void poll(Polled& out) override;
  int descriptor() const override { return -1; }
  void trim(Index index) override { journal_->trim(index); }
  Capabilities capabilities() const override;
  std::string guarantee() const override;

 private:
  const std::shared_ptr<MemoryJournal> journal_;
  Index read_ = 0;  // what poll() has yielded
  AppendTicket last_ticket_ = 0;
  std::shared_ptr<MemoryJournal::Append> under_way_;
};

}  // namespace jack

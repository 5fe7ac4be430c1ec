// When the state's changes go to the store, and the journal behind them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <jack_engine/error.h>
#include <jack_engine/time.h>

#include "engine/front/deadlines.h"
#include "engine/front/event_log.h"
#include "engine/state/state.h"
#include "engine/store.h"
#include "engine/transport.h"

namespace jack {

// A flush is due when much has changed, when the first change is a second old, or when somebody
// wants to read what it would write. One is under way at a time; what changes meanwhile is the
// next. A task that is done by the time of its flush is written once.
//
// Not thread-safe. The loop owns it.
class Flusher {
 public:
  Flusher(State& state, EventLog& events, Store& store, Transport& transport, bool keep_journal)
      : state_(state),
        events_(events),
        store_(store),
        transport_(transport),
        keep_journal_(keep_journal),
        flushed_(state.index()) {}

  // Of a store that has just been loaded.
  void begin_at(Index index) { flushed_ = index; }

  void on_applied(SteadyTime now);

  // Takes the end of the flush under way, and begins the next if it is due.
  // Errors: stopped, corruption  the store takes no more
  Result<void> work(SteadyTime now);

  // Everything up to the present index is to be in the store soon.
  void want_all() { wanted_ = state_.index(); }

  // Everything up to this index is in the store.
  Index flushed() const { return flushed_; }

  // Changes pile up faster than the store takes them: what can wait should.
  bool is_behind() const;

  // The store had no room at the last try.
  bool is_full() const { return full_; }

  bool is_under_way() const { return under_way_; }
  // Since when what is to be flushed next waits for the store; nothing where nothing does.
  std::optional<SteadyTime> waiting_since() const;

  SteadyTime next_deadline() const;

 private:
  bool is_due(SteadyTime now) const;
  std::size_t unflushed_bytes() const;
  Result<void> take_result(SteadyTime now);

  State& state_;
  EventLog& events_;
  Store& store_;
  Transport& transport_;
  const bool keep_journal_;

  std::shared_ptr<const Flush> flush_;  // cut and not in the store yet
  bool under_way_ = false;              // else to be begun again at try_at_
  SteadyTime try_at_{};
  SteadyTime cut_at_{};
  std::optional<SteadyTime> changed_at_;  // the first change since the last cut
  Index flushed_ = 0;
  Index wanted_ = 0;
  bool full_ = false;
  bool failed_ = false;  // the store takes no more
};

}  // namespace jack

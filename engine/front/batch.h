// The commands of one entry to come, and who gets the answers. Answers come in the order of the
// commands, so a list is all it takes: there is no look-up per command.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/id.h>

#include "engine/format/command.h"
#include "engine/format/entry.h"
#include "engine/runtime/sessions.h"
#include "engine/wire/messages.h"

namespace jack {

// What one message, or the front itself, asked for.
struct Pending {
  enum class Kind : std::uint8_t {
    submit,  // answered item by item
    settle,  // the same; each has a LeaseRef
    resume,  // the same
    take,    // the same; their leases have no token yet
    change,  // answered item by item: cancel, retry, pause, output, progress
    pool,    // open, want, close: one answer, if a session asked
    end,     // the front's own settles, each with a LeaseRef; no answer
    engine,  // the loop's own: tick, join, leave, limits; no answer
  };
  Kind kind = Kind::engine;
  SessionId session = 0;  // 0: nobody
  wire::Correlation correlation = 0;
  PoolNumber pool = 0;         // kind pool: which one
  bool opens = false;          // its first command opens that pool
  std::uint32_t commands = 0;  // how many of the entry's are its
  std::uint32_t bytes = 0;     // that they take
  std::uint32_t refusals = 0;  // items that were refused without a command
  std::uint32_t items = 0;     // of the answer
  std::uint32_t leases = 0;    // its LeaseRefs
  std::uint32_t agains = 0;    // its settles that want one more task
};

// Which lease a settle or resume is about.
struct LeaseRef {
  TaskId task;
  LeaseToken token;
  std::uint32_t subscription = 0;  // of a resume
};

struct Refusal {
  std::uint32_t item = 0;
  Error error;
};

// Pure, not thread-safe.
class Batch {
 public:
  bool empty() const { return commands_.empty(); }
  std::size_t bytes() const { return commands_.bytes(); }

  // Opens a request; its commands and refusals follow, then end(). One after the other.
  void begin(Pending::Kind kind, SessionId session = 0, wire::Correlation correlation = 0);

  // One command, which answers the next item.
  template <typename C>
  void add(const C& command) {
    commands_.add(command);
    ++pending_.back().commands;
    ++pending_.back().items;
  }
  // One command that takes part in the answer to the item before it.
  template <typename C>
  void add_to_item(const C& command) {
    commands_.add(command);
    ++pending_.back().commands;
  }
  // Of the settle or resume just added.
  void add(const LeaseRef& lease) {
    leases_.push_back(lease);
    ++pending_.back().leases;
  }
  // The answer has so many items, whatever the commands are.
  void set_items(std::uint32_t count) { pending_.back().items = count; }
  // The next item is refused, or done, without a command.
  void refuse(Error error);
  void accept() { refuse({Code::ok, {}}); }
  // The settle just added wants one more task for `pool`.
  void count_again(PoolNumber pool) {
    agains_.push_back(pool);
    ++pending_.back().agains;
  }
  // The request is about this pool, which its first command opens.
  void name_pool(PoolNumber pool, bool opens) {
    pending_.back().pool = pool;
    pending_.back().opens = opens;
  }

  // Of the request that is open: the bytes of its commands, and the pools of its agains.
  std::size_t request_bytes() const { return commands_.bytes() - begun_.bytes; }
  std::span<const PoolNumber> request_agains() const {
    return std::span(agains_).last(pending_.back().agains);
  }
  // Takes the request that is open back, as if it had not been begun.
  void undo();

  // True: the request waits for its entry. False: it has no command, and is taken back; `done` gets
  // the answer that can be given at once, its texts valid until the next end().
  bool end(wire::Done& done);

  // A request of one command that nobody waits for.
  template <typename C>
  void add_own(Pending::Kind kind, const C& command) {
    begin(kind);
    add(command);
    close_request();
  }
  void add_tick() {
    add_own(Pending::Kind::engine, TickCommand{});
    has_tick_ = true;
  }
  bool has_tick() const { return has_tick_; }
  void add_own_settle(const SettleCommand& command) {
    begin(Pending::Kind::end);
    add(command);
    add(LeaseRef{command.task, command.token, 0});
    close_request();
  }
  void add_own_resume(const ResumeCommand& command, std::uint32_t subscription) {
    begin(Pending::Kind::resume);
    add(command);
    add(LeaseRef{command.task, command.token, subscription});
    close_request();
  }

  const std::vector<Pending>& pending() const { return pending_; }
  const std::vector<LeaseRef>& leases() const { return leases_; }
  const std::vector<Refusal>& refusals() const { return refusals_; }
  const std::vector<PoolNumber>& agains() const { return agains_; }

  // Takes the requests of one kind out, with their commands, and tells which they were. The kind
  // must be one without LeaseRefs.
  std::vector<Pending> drop(Pending::Kind kind);

  // The same requests in batches of at most `bytes_max`, in order; a request that is larger has one
  // of its own. The batch is empty after it.
  std::vector<Batch> split(std::size_t bytes_max);

  // The entry of these commands. The batch stays as it is, so that it can be closed once more
  // under another number.
  std::string entry(const EntryHeader& header) const { return commands_.entry(header); }

 private:
  void close_request();

  // What there was before the request that is open.
  struct Begun {
    std::size_t bytes = 0;
    std::uint32_t commands = 0;
  };

  EntryBuilder commands_;
  Begun begun_;
  bool has_tick_ = false;
  std::vector<Pending> pending_;
  std::vector<LeaseRef> leases_;
  std::vector<Refusal> refusals_;
  std::vector<Refusal> told_;  // of the last request that was answered at once
  std::vector<PoolNumber> agains_;
};

}  // namespace jack

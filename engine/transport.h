// What keeps the journal and carries it to every engine. A transport orders and keeps entries; it
// knows nothing of tasks.
//
// What every transport keeps (tests/conformance runs these on each):
//   - one order for all engines; indices only grow, and need not be consecutive;
//   - what was acknowledged is there for ever (until trimmed), at the same index;
//   - nothing is skipped; after a reconnect reading goes on where it stopped;
//   - an append whose fate is unknown is in the journal once or not at all.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <jack_engine/error.h>

namespace jack {

// Bytes that several owners read and nobody changes.
using Buffer = std::shared_ptr<const std::string>;

// The transport's own name of a place in its order. 0 is before the first entry.
using Index = std::uint64_t;

// Names one append among those of one Transport object.
using AppendTicket = std::uint64_t;

struct JournalEntry {
  Index index = 0;
  Buffer bytes;
};

// What became of an append. Without error the entry is durable, and the same poll or an earlier
// one yielded it. With an error, `certain` says that the entry is surely not in the journal.
//   storage_full   certain; the journal is as before and may be tried again
//   unavailable    the transport is out of reach; repeat the same bytes once it is back
//   stopped        an I/O or sync error: nothing more is taken until the transport is reopened
struct AppendFate {
  AppendTicket ticket = 0;
  Result<void> result;
  bool certain = true;
};

struct Polled {
  std::vector<JournalEntry> entries;  // in order, of every engine
  std::vector<AppendFate> fates;
  // Reading cannot go on: what comes after the last entry yielded is damaged, gone or unreadable.
  // Told once; read_from() may be tried again. Codes as for read_from(), and stopped.
  std::optional<Error> failed;

  void clear() {
    entries.clear();
    fates.clear();
    failed.reset();
  }
};

struct Capabilities {
  bool shared = false;        // several engines may append
  bool repairs_tail = false;  // lost entries can be put back under their own index
  std::uint64_t entry_bytes_max = 12u << 20;
};

// One thread, the loop's, calls all of it.
class Transport {
 public:
  virtual ~Transport() = default;

  // Begins to read: poll() will yield every retained entry with an index above `after`.
  // Errors: position_gone  entries above `after` have been trimmed already
  //         corruption     the journal's own bytes are damaged
  virtual Result<void> read_from(Index after) = 0;

  // The last index known to be in the journal: what there is to catch up with after read_from().
  virtual Index head() const = 0;

  // Begins to append; never blocks. The fate comes by poll(). One append may be under way at a
  // time: the next is begun when the fate of the last has been polled.
  virtual AppendTicket append(Buffer entry) = 0;

  // Yields what has come since the last call; never blocks. Adds to `out`.
  virtual void poll(Polled& out) = 0;

  // Readable when poll() has something to yield; -1 where poll() is only worth calling after
  // append() or read_from() (memory).
  virtual int descriptor() const = 0;

  // Entries up to `index` are no longer needed. Done in the background; may do less.
  virtual void trim(Index index) = 0;

  virtual Capabilities capabilities() const = 0;

  // What an acknowledged append survives, in one sentence for people.
  virtual std::string guarantee() const = 0;
};

}  // namespace jack

// Damage in SQLite's write-ahead file (WAL) that SQLite itself would take for the file's end.
//
// A WAL is a header of 32 bytes and then frames: 24 bytes and a page each
// (sqlite.org/fileformat2.html#the_write_ahead_log). A frame is checked by a sum over itself and
// all before it, and belongs to the present use of the file by two salts, which change each time it
// is written anew from its start. The last frame of a transaction carries a commit mark. After a
// crash SQLite reads up to the first frame that does not fit, and drops what is behind it. That is
// right for a transaction that was being written when the process died or power was lost. It is
// wrong for bytes that changed on the disk: acknowledged transactions behind them vanish.
//
// The two can be told apart where each commit is synced before the next one begins: then the end is
// torn in one transaction at most, in whatever way. It reaches to the first commit mark at or
// behind the frame that does not fit. Another commit mark behind that one, in a frame that goes on
// from the sum of the frame before it, is of a transaction that was complete: the frame is damaged.
// (A commit that failed for want of room leaves a mark behind the end as well, but its frame is not
// whole. SQLite repeats commit frames only on file systems where a write can harm what is beside
// it, which none of Linux is said to be.)
//
// The header is written when a use begins, and synced before the first frame. One that is none is
// damage, unless what is behind it is of the use before: all of that is in the database by then.
//
// Not told apart from a torn end: damage in the last transaction, or in the commit mark of the one
// before it.
#pragma once

#include <cstdint>
#include <optional>

#include <jack_engine/error.h>

namespace jack {

struct WalDamage {
  std::uint64_t frame = 0;    // the first that does not fit, counted from 1; 0: the header
  std::uint64_t offset = 0;   // where it begins
  std::uint64_t commits = 0;  // transactions that can be seen behind it; with the header, unknown
};

// Reads the WAL behind the descriptor, a frame at a time; nobody writes to it meanwhile. Nothing
// where it ends as a crash or power loss leaves it, or is empty.
//
// Errors: unavailable  it cannot be read
Result<std::optional<WalDamage>> check_wal(int file);

}  // namespace jack

// The journal of one engine as rows of an SQLite file. Every entry is a commit of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/durability.h>
#include <jack_engine/error.h>

#include "engine/transport.h"
#include "storage/sqlite.h"

namespace jack {

struct JournalTableOptions {
  std::string path;
  Durability durability = Durability::full;
  std::uint64_t entry_bytes_max = 12 << 20;
  // The WAL is copied into the file when it has grown to this, and then written anew from its
  // start, because overwriting costs half of growing. It begins with an eighth of this and is made
  // longer in steps once entries are large.
  std::int64_t wal_bytes = 8 << 20;
  std::string vfs;
};

// One thread. Indices are consecutive, begin with 1, and none is ever given twice, even when all
// rows have been trimmed.
class JournalTable {
 public:
  // Errors: as Database::open
  static Result<std::unique_ptr<JournalTable>> open(const JournalTableOptions& options);

  // The first index that is retained (last() + 1 where none is), and the last that was given.
  Index first() const { return first_; }
  Index last() const { return last_; }

  // Writes an entry as last() + 1 and returns once it is as safe as the durability says. The first
  // one survives power loss whatever the durability: it tells who appends from now on, and tokens
  // that were given before are not given again behind it.
  //   storage_full, unavailable   it was not written and may be tried again
  //   any other                   whether it was written is unknown until the file is reopened
  Result<void> append(std::string_view bytes);

  // Adds entries after `after` to `out`, in order, about `bytes_max` in all but at least one if
  // there is one.
  // Errors: corruption  a row is missing or damaged
  //         stopped     the file cannot be read
  Result<void> read(Index after, std::uint64_t bytes_max, std::vector<JournalEntry>& out);

  // Entries up to `index` may go. Most do so in the transactions of later appends, a few at a time.
  void trim_to(Index index);

  // Removes some of them now, in about the time of one append; never the last one, which tells what
  // index was given. True: there are more.
  Result<bool> trim_some();
  bool has_to_trim() const;

  // Goes on after `index` although entries up to it are not here: after power loss a journal of
  // durability normal may end before what the store holds. Removes the entries there are.
  Result<void> skip_to(Index index);

  // Copies the WAL into the file if it is as long as it should get. To be called between appends.
  Result<void> checkpoint_if_due();

  Database& database() { return *database_; }

 private:
  JournalTable(std::unique_ptr<Database> database, const JournalTableOptions& options);

  Result<void> prepare();
  Result<void> load_bounds();
  Result<void> write(std::string_view bytes, std::optional<Index> trimmed);
  Result<void> write_first(std::string_view bytes, std::optional<Index> trimmed);
  Index trim_end() const;
  Result<Index> end_of_chunk();
  Result<void> remove_up_to(Index index);
  Result<void> lengthen_wal();

  std::unique_ptr<Database> database_;
  const Sync sync_;
  const std::int64_t wal_bytes_max_;
  std::int64_t wal_bytes_;        // what the WAL may grow to for now
  std::int64_t wal_commits_ = 0;  // since it was last begun anew
  bool wal_lengthened_ = false;   // its file is as long as wal_bytes_
  bool has_appended_ = false;
  Index trim_to_ = 0;
  Index first_ = 1;
  Index last_ = 0;
  Statement insert_;
  Statement select_;
  Statement sizes_;
  Statement delete_;
};

}  // namespace jack

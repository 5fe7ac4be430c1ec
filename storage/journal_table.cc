#include "storage/journal_table.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/assert.h"

namespace jack {
namespace {

// Part of the file format.
constexpr std::int32_t kApplicationId = 0x4a4b4a4e;  // "JKJN"

// `base`: indices up to this one were given already, whatever rows there are.
constexpr std::array<const char*, 1> kSteps{
    "CREATE TABLE entry(idx INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
    "CREATE TABLE base(one INTEGER PRIMARY KEY CHECK(one = 1), idx INTEGER NOT NULL);"
    "INSERT INTO base VALUES(1, 0);"};

// Entries trimmed in one transaction: many at once cost less each, but make one append slower.
constexpr Index kTrimRows = 16;
constexpr std::uint64_t kTrimBytes = 4 << 20;

// From this average length of what a commit writes on, a longer WAL is worth its disk space.
constexpr std::int64_t kLargeCommitBytes = 128 << 10;

std::int64_t to_column(Index index) { return static_cast<std::int64_t>(index); }
Index to_index(std::int64_t column) { return static_cast<Index>(column); }

}  // namespace

Result<std::unique_ptr<JournalTable>> JournalTable::open(const JournalTableOptions& options) {
  DatabaseOptions file;
  file.path = options.path;
  file.schema = {"journal", kApplicationId, kSteps};
  file.sync = options.durability == Durability::full ? Sync::full : Sync::normal;
  file.row_bytes_max = static_cast<std::int64_t>(options.entry_bytes_max) + 4096;
  file.exclusive = true;
  file.cache_bytes = 16 << 20;
  file.wal_kept_bytes = 2 * options.wal_bytes;
  file.vfs = options.vfs;
  Result<std::unique_ptr<Database>> database = Database::open(file);
  if (!database) return database.error();

  std::unique_ptr<JournalTable> table(new JournalTable(std::move(*database), options));
  if (Result<void> done = table->prepare(); !done) return done.error();
  if (Result<void> done = table->load_bounds(); !done) return done.error();
  return table;
}

JournalTable::JournalTable(std::unique_ptr<Database> database, const JournalTableOptions& options)
    : database_(std::move(database)),
      sync_(options.durability == Durability::full ? Sync::full : Sync::normal),
      wal_bytes_max_(options.wal_bytes),
      wal_bytes_(std::max<std::int64_t>(options.wal_bytes / 8, 1)) {}

Result<void> JournalTable::prepare() {
  const std::array<std::pair<Statement*, const char*>, 4> statements{{
      {&insert_, "INSERT INTO entry(idx, bytes) VALUES(?1, ?2)"},
      {&select_, "SELECT idx, bytes FROM entry WHERE idx > ?1 ORDER BY idx"},
      {&sizes_, "SELECT idx, length(bytes) FROM entry WHERE idx <= ?1 ORDER BY idx LIMIT ?2"},
      {&delete_, "DELETE FROM entry WHERE idx <= ?1"},
  }};
  for (const auto& [statement, sql] : statements) {
    Result<Statement> prepared = database_->prepare(sql);
    if (!prepared) return prepared.error();
    *statement = std::move(*prepared);
  }
  return {};
}

Result<void> JournalTable::load_bounds() {
  Result<Statement> bounds = database_->prepare(
      "SELECT (SELECT idx FROM base), (SELECT min(idx) FROM entry), (SELECT max(idx) FROM entry)");
  if (!bounds) return bounds.error();
  const Result<bool> row = bounds->step();
  if (!row) return row.error();
  const Index base = to_index(bounds->integer(0));
  if (bounds->is_null(1)) {
    last_ = base;
    first_ = base + 1;
    return {};
  }
  first_ = to_index(bounds->integer(1));
  last_ = to_index(bounds->integer(2));
  if (first_ > base && first_ > 0 && last_ < to_index(INT64_MAX)) return {};
  return Error{Code::corruption, "the journal holds entries below its own base"};
}

Result<void> JournalTable::append(std::string_view bytes) {
  std::optional<Index> trimmed;
  if (has_to_trim() && trim_end() - first_ + 1 >= kTrimRows) {
    const Result<Index> end = end_of_chunk();
    if (!end) return end.error();
    trimmed = *end;
  }
  Result<void> written = has_appended_ ? write(bytes, trimmed) : write_first(bytes, trimmed);
  if (!written) return written;
  has_appended_ = true;
  ++last_;
  if (trimmed) first_ = *trimmed + 1;
  ++wal_commits_;
  return {};
}

Result<void> JournalTable::write(std::string_view bytes, std::optional<Index> trimmed) {
  Result<Transaction> transaction = Transaction::begin(*database_);
  if (!transaction) return transaction.error();
  Result<void> done;
  if (trimmed) {
    delete_.bind(1, to_column(*trimmed));
    done = delete_.run();
  }
  if (done) {
    insert_.bind(1, to_column(last_ + 1)).bind_bytes(2, bytes);
    done = insert_.run();
  }
  if (!done) return std::move(*transaction).abandon(done.error());
  return std::move(*transaction).commit();
}

Result<void> JournalTable::write_first(std::string_view bytes, std::optional<Index> trimmed) {
  if (Result<void> strict = database_->set_sync(Sync::full); !strict) return strict;
  Result<void> written = write(bytes, trimmed);
  if (Result<void> usual = database_->set_sync(sync_); !usual) return usual;
  return written;
}

Result<void> JournalTable::read(Index after, std::uint64_t bytes_max,
                                std::vector<JournalEntry>& out) {
  const Reading reading(select_);
  select_.bind(1, to_column(after));
  std::uint64_t bytes = 0;
  for (Index expected = after + 1; expected <= last_ && bytes < bytes_max; ++expected) {
    const Result<bool> row = select_.step();
    if (!row) return row.error();
    if (!*row || to_index(select_.integer(0)) != expected) {
      return Error{Code::corruption,
                   "entry " + std::to_string(expected) + " is missing from the journal"};
    }
    const std::string_view entry = select_.bytes(1);
    bytes += entry.size();
    out.push_back({expected, std::make_shared<const std::string>(entry)});
  }
  return {};
}

void JournalTable::trim_to(Index index) { trim_to_ = std::max(trim_to_, index); }

bool JournalTable::has_to_trim() const { return first_ <= trim_end(); }

// The last row stays: it is what tells the last index given.
Index JournalTable::trim_end() const { return std::min(trim_to_, last_ == 0 ? 0 : last_ - 1); }

Result<bool> JournalTable::trim_some() {
  if (!has_to_trim()) return false;
  const Result<Index> end = end_of_chunk();
  if (!end) return end.error();

  if (Result<void> removed = remove_up_to(*end); !removed) return removed.error();
  first_ = *end + 1;
  return has_to_trim();
}

Result<Index> JournalTable::end_of_chunk() {
  const Reading reading(sizes_);
  sizes_.bind(1, to_column(trim_end())).bind(2, to_column(kTrimRows));
  Index end = first_ - 1;
  for (std::uint64_t bytes = 0; bytes < kTrimBytes;) {
    const Result<bool> row = sizes_.step();
    if (!row) return row.error();
    if (!*row) break;
    end = to_index(sizes_.integer(0));
    bytes += static_cast<std::uint64_t>(sizes_.integer(1));
  }
  return end;
}

Result<void> JournalTable::remove_up_to(Index index) {
  Result<Transaction> transaction = Transaction::begin(*database_);
  if (!transaction) return transaction.error();
  delete_.bind(1, to_column(index));
  if (Result<void> removed = delete_.run(); !removed) {
    return std::move(*transaction).abandon(removed.error());
  }
  return std::move(*transaction).commit();
}

Result<void> JournalTable::skip_to(Index index) {
  JACK_ASSERT(index > last_);
  Result<Transaction> transaction = Transaction::begin(*database_);
  if (!transaction) return transaction.error();
  Result<Statement> base = database_->prepare("UPDATE base SET idx = ?1");
  if (!base) return std::move(*transaction).abandon(base.error());
  base->bind(1, to_column(index));
  if (Result<void> set = base->run(); !set) return std::move(*transaction).abandon(set.error());
  delete_.bind(1, to_column(last_));
  if (Result<void> removed = delete_.run(); !removed) {
    return std::move(*transaction).abandon(removed.error());
  }
  if (Result<void> committed = std::move(*transaction).commit(); !committed) return committed;
  last_ = index;
  first_ = index + 1;
  return {};
}

Result<void> JournalTable::checkpoint_if_due() {
  if (!wal_lengthened_) return lengthen_wal();
  const std::int64_t written = database_->wal_bytes();
  if (written < wal_bytes_) return {};
  const Result<Checkpoint> copied = database_->checkpoint(Database::Mode::passive);
  if (!copied) return copied.error();

  const bool large = written >= wal_commits_ * kLargeCommitBytes;
  wal_commits_ = 0;
  if (!large || wal_bytes_ >= wal_bytes_max_) return {};
  wal_bytes_ = std::min(2 * wal_bytes_, wal_bytes_max_);
  return lengthen_wal();
}

// Where there is no room for it, commits are slower and nothing else is different.
Result<void> JournalTable::lengthen_wal() {
  wal_lengthened_ = true;
  const Result<void> done = database_->lengthen_wal(wal_bytes_);
  if (!done && done.error().code == Code::stopped) return done.error();
  return {};
}

}  // namespace jack

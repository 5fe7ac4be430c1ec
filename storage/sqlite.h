// SQLite as this project uses it: connections, statements and transactions that close themselves,
// every connection with the same settings, and SQLite's result codes as our errors.
//
// An object is used by one thread at a time; two connections are independent of each other.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <jack_engine/error.h>

#include "storage/schema.h"
#include "storage/statement.h"

struct sqlite3;

namespace jack {

// full:   a commit returns once its rows are on stable storage. Every one, so that damage amid the
//         WAL can be told from an end that power loss has torn (storage/wal_check.h).
// normal: a commit returns once the operating system has its rows; a checkpoint syncs. Such damage
//         looks like the tail that power loss may take.
enum class Sync { normal, full };

struct DatabaseOptions {
  std::string path;        // absolute
  Schema schema;           // what the file must be, or becomes
  bool read_only = false;  // beside a connection that writes; makes and migrates nothing
  // The only connection there will be: spares it the memory and the locks it would share.
  bool exclusive = false;
  Sync sync = Sync::full;
  // Of a file made now; a file keeps what it has. Large pages take rows of some 600 bytes, and
  // entries of up to a MiB, 1.5 times as fast as SQLite's own 4 KiB.
  std::int64_t page_bytes = 32 << 10;
  std::int64_t cache_bytes = 4 << 20;
  std::int64_t row_bytes_max = 16 << 20;   // of one row; more is refused with internal
  std::int64_t wal_kept_bytes = 64 << 20;  // a longer WAL is cut to this when it starts anew
  std::string vfs;                         // how SQLite reaches the disk; empty: its default
};

// How far a checkpoint came. One that others hold up is no error: the next one does the rest.
struct Checkpoint {
  bool complete = false;  // all of the WAL is in the file now; the next write starts it anew
};

class Database {
 public:
  // Opens or makes the file (mode 0600), applies the settings, checks that it is what the schema
  // says, and brings an older version up to date. What a crash left in the WAL moves to the file.
  //
  // Errors: unsupported   written by a newer version; the file is as it was
  //         corruption    not a database, or not one of this kind, or (Sync::full) its WAL is
  //                       damaged so that committed transactions would be lost; all is as it was
  //         unavailable   the file cannot be opened, or another process holds it
  //         storage_full, stopped   while making or migrating it
  static Result<std::unique_ptr<Database>> open(const DatabaseOptions& options);

  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();  // all its statements must be gone

  // `sql` is constant text, or constant but for numbers; values are bound.
  Result<Statement> prepare(std::string_view sql);
  Result<void> execute(const std::string& sql);

  // Begins (once), so that all reads until end_read() see the same moment.
  Result<void> begin_read();
  void end_read();

  // Copies the WAL into the file. passive waits for nobody; restart lets the next write start the
  // WAL anew; truncate also cuts it to nothing.
  enum class Mode { passive, restart, truncate };
  Result<Checkpoint> checkpoint(Mode mode);

  // That transactions of the WAL were dropped, by power loss or damage (Sync::normal); or empty.
  const std::string& warning() const { return warning_; }

  // The WAL as of the last commit of this connection; 0 once a checkpoint has copied all of it.
  std::int64_t wal_bytes() const;

  // Makes the file of the WAL at least this long, by writing zeros behind what it holds: a commit
  // that overwrites blocks costs half of one that makes the file grow, and less than a quarter
  // where it is large. Only for an exclusive connection.
  Result<void> lengthen_wal(std::int64_t bytes);

  // What later commits wait for. Between transactions only.
  Result<void> set_sync(Sync sync);

  // Reads the whole file and checks its structure; seconds per GiB. Errors: corruption.
  Result<void> quick_check();

 private:
  friend class Transaction;
  explicit Database(sqlite3* handle, std::string path);

  Result<void> guard(const DatabaseOptions& options);
  Result<void> configure(const DatabaseOptions& options);
  Result<void> set(const std::string& pragma, std::string_view expected);
  Result<void> begin_wal_anew();
  Result<void> prepare_transactions();

  sqlite3* handle_ = nullptr;
  std::string path_;
  std::string warning_;
  bool exclusive_ = false;
  std::int64_t page_bytes_ = 0;
  std::int64_t wal_frames_ = 0;
  Statement begin_;
  Statement begin_read_;
  Statement commit_;
  Statement rollback_;
};

// Rolls back unless commit() succeeded. The destructor stays silent because a rollback that fails
// leaves the same state: nothing of this transaction is durable.
class Transaction {
 public:
  // Errors: unavailable  another process writes; nothing has begun
  static Result<Transaction> begin(Database& database);

  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  // Returns once the rows are as safe as Sync says.
  //   storage_full  nothing was written; the same may be tried again
  //   stopped       the outcome is unknown until the file is reopened
  Result<void> commit() &&;

  // Rolls back after `error`. storage_full stays so only if the rollback was clean.
  Error abandon(Error error) &&;

 private:
  explicit Transaction(Database& database) : database_(&database) {}

  Database* database_;
};

}  // namespace jack

#include "storage/sqlite.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <vector>

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "engine/assert.h"
#include "storage/system_error.h"
#include "storage/wal_check.h"

namespace jack {
namespace {

// How long a lock of another process is waited for. Engines keep each other out by the lock file,
// so this is somebody's sqlite3 shell or backup.
constexpr int kBusyTimeoutMs = 2000;

// Our statements are short and few. What a statement cannot need, a damaged or hostile file cannot
// make it use.
constexpr std::array<std::pair<int, int>, 10> kLimits{{
    {SQLITE_LIMIT_SQL_LENGTH, 16 << 10},
    {SQLITE_LIMIT_COLUMN, 32},
    {SQLITE_LIMIT_EXPR_DEPTH, 32},
    {SQLITE_LIMIT_COMPOUND_SELECT, 4},
    {SQLITE_LIMIT_FUNCTION_ARG, 8},
    {SQLITE_LIMIT_ATTACHED, 0},
    {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 64},
    {SQLITE_LIMIT_VARIABLE_NUMBER, 32},
    {SQLITE_LIMIT_TRIGGER_DEPTH, 1},
    {SQLITE_LIMIT_WORKER_THREADS, 0},
}};

Result<void> sync_directory_of(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path().string();
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return system_error("cannot open " + directory);
  const int synced = ::fsync(fd);
  Result<void> result;
  if (synced != 0) result = system_error("cannot sync " + directory);
  ::close(fd);
  return result;
}

// SQLite would take the umask's mode; the WAL inherits the file's.
Result<void> make_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) {
    if (errno == EEXIST) return {};
    return system_error("cannot make " + path);
  }
  ::close(fd);
  return sync_directory_of(path);
}

// SQLite removes a WAL whose file is missing or empty, and no crash leaves one so: the file has its
// header before there is a WAL.
Result<void> check_for_lone_wal(const std::string& path) {
  const std::string wal = path + "-wal";
  std::error_code no_file;
  const std::uintmax_t bytes = std::filesystem::file_size(path, no_file);
  if (no_file ? no_file != std::errc::no_such_file_or_directory : bytes > 0) return {};
  std::error_code no_wal;
  if (std::filesystem::file_size(wal, no_wal) == 0 || no_wal) return {};
  return Error{Code::corruption, path + " is " + (no_file ? "missing" : "empty") + " beside " +
                                     wal +
                                     ", whose transactions would be lost. Nothing was changed: "
                                     "restore the file, or a backup"};
}

// Nothing where SQLite may open the WAL of this file, or there is none.
Result<std::optional<WalDamage>> check_wal_of(const std::string& path) {
  const std::string wal = path + "-wal";
  const int fd = ::open(wal.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return std::optional<WalDamage>();
    return system_error("cannot open " + wal);
  }
  Result<std::optional<WalDamage>> damage = check_wal(fd);
  ::close(fd);
  if (!damage) damage.error().message += " of " + path;
  return damage;
}

// "… at least 3 committed transactions", for a sentence that says what becomes of them.
std::string text_of(const std::string& path, const WalDamage& damage) {
  const std::string wal = path + "-wal";
  if (damage.frame == 0) return wal + " is damaged in its header: all transactions in it";
  return wal + " is damaged at byte " + std::to_string(damage.offset) + " (frame " +
         std::to_string(damage.frame) + "): what is behind it, at least " +
         std::to_string(damage.commits) + " committed transactions,";
}

// Before SQLite opens the file, which may already change it. Gives what warning() tells.
Result<std::string> check_files(const DatabaseOptions& options) {
  if (Result<void> ours = check_header(options.path, options.schema); !ours) return ours.error();
  if (Result<void> alone = check_for_lone_wal(options.path); !alone) return alone.error();
  if (Result<void> made = make_file(options.path); !made) return made.error();
  const Result<std::optional<WalDamage>> damage = check_wal_of(options.path);
  if (!damage) return damage.error();
  if (!*damage) return std::string();
  const std::string lost = text_of(options.path, **damage);
  const bool may_be_torn = options.sync == Sync::normal && (*damage)->frame > 0;
  if (may_be_torn) return lost + " are lost, by power loss or by damage";
  return Error{Code::corruption, lost + " would be lost. Nothing was changed: restore a backup"};
}

}  // namespace

Database::Database(sqlite3* handle, std::string path) : handle_(handle), path_(std::move(path)) {}

Database::~Database() {
  begin_ = {};
  begin_read_ = {};
  commit_ = {};
  rollback_ = {};
  const int closed = sqlite3_close(handle_);
  JACK_ASSERT(closed == SQLITE_OK);  // otherwise a statement has outlived its connection
}

Result<std::unique_ptr<Database>> Database::open(const DatabaseOptions& options) {
  // Counting memory costs SQLite a lock at every allocation. Without effect, and without harm,
  // where the embedding program uses SQLite already.
  [[maybe_unused]] static const int configured = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);

  Result<std::string> warning = std::string();
  // Not beside a connection of this process that writes: closing any descriptor of a file gives up
  // all locks that the process has on it, and another process would take the WAL for left behind.
  if (!options.read_only) warning = check_files(options);
  if (!warning) return warning.error();

  const int access = options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  sqlite3* handle = nullptr;
  const int opened = sqlite3_open_v2(options.path.c_str(), &handle,
                                     access | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                                     options.vfs.empty() ? nullptr : options.vfs.c_str());
  std::unique_ptr<Database> database(new Database(handle, options.path));
  if (opened != SQLITE_OK) return sqlite_error(handle, "open " + options.path, opened);
  database->warning_ = *std::move(warning);

  if (Result<void> guarded = database->guard(options); !guarded) return guarded.error();
  const Result<std::int64_t> version = check_version(*database, options.schema);
  if (!version) return version.error();
  if (Result<void> done = database->configure(options); !done) return done.error();
  if (options.read_only) return database;

  sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
  if (Result<void> done = migrate(*database, options.schema, *version); !done) return done.error();
  if (Result<void> done = database->begin_wal_anew(); !done) return done.error();
  return database;
}

// What a crash left behind the WAL's end is of the same salts as what will be written over it, and
// would look like damage to the check after the next crash. Also brings a new version into the
// file's own header, where check_header() looks for it.
Result<void> Database::begin_wal_anew() {
  const Result<Checkpoint> copied = checkpoint(Mode::truncate);
  // An engine also starts on a full disk, and beside somebody's sqlite3 shell.
  if (copied || copied.error().code == Code::storage_full) return {};
  return copied.error();
}

// What holds before the file is known to be ours: it stays untouched, also by closing it again.
Result<void> Database::guard(const DatabaseOptions& options) {
  sqlite3_busy_timeout(handle_, kBusyTimeoutMs);
  for (const auto& [limit, value] : kLimits) sqlite3_limit(handle_, limit, value);
  sqlite3_limit(handle_, SQLITE_LIMIT_LENGTH, static_cast<int>(options.row_bytes_max));
  const std::array<std::pair<int, int>, 7> switches{{
      {SQLITE_DBCONFIG_DEFENSIVE, 1},
      {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
      {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
      {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
      {SQLITE_DBCONFIG_DQS_DML, 0},
      {SQLITE_DBCONFIG_DQS_DDL, 0},
      {SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1},
  }};
  for (const auto& [name, value] : switches) {
    if (const int code = sqlite3_db_config(handle_, name, value, nullptr); code != SQLITE_OK) {
      return sqlite_error(handle_, "configure", code);
    }
  }
  if (Result<void> done = set("trusted_schema = OFF", ""); !done) return done;
  if (Result<void> done = set("mmap_size = 0", "0"); !done) return done;
  // Now or never: once the WAL was looked at, it uses shared memory.
  if (options.exclusive) {
    if (Result<void> done = set("locking_mode = EXCLUSIVE", "exclusive"); !done) return done;
  }
  return set("cell_size_check = ON", "");
}

Result<void> Database::configure(const DatabaseOptions& options) {
  std::vector<std::pair<std::string, std::string>> pragmas{
      {"foreign_keys = ON", ""},
      {"temp_store = MEMORY", ""},
  };
  if (!options.read_only) {
    const std::string kept = std::to_string(options.wal_kept_bytes);
    // The page size takes effect only while the file is empty, and only before the WAL.
    pragmas.emplace_back("page_size = " + std::to_string(options.page_bytes), "");
    pragmas.emplace_back("journal_mode = WAL", "wal");
    pragmas.emplace_back("wal_autocheckpoint = 0", "0");
    pragmas.emplace_back("journal_size_limit = " + kept, kept);
    pragmas.emplace_back("secure_delete = OFF", "0");
  }
  // Behind the page size: SQLite turns bytes into pages when this is set, and does not look again.
  pragmas.emplace_back("cache_size = -" + std::to_string(options.cache_bytes >> 10), "");
  for (const auto& [pragma, expected] : pragmas) {
    if (Result<void> done = set(pragma, expected); !done) return done;
  }
  if (Result<void> done = set_sync(options.sync); !done) return done;
  exclusive_ = options.exclusive;

  Result<Statement> page = prepare("PRAGMA page_size");
  if (!page) return page.error();
  if (Result<bool> row = page->step(); !row) return row.error();
  page_bytes_ = page->integer(0);
  return prepare_transactions();
}

// Some settings answer with their new value: an answer other than expected is a setting that did
// not take, which SQLite does not call an error.
Result<void> Database::set(const std::string& pragma, std::string_view expected) {
  Result<Statement> statement = prepare("PRAGMA " + pragma);
  if (!statement) return statement.error();
  const Result<bool> row = statement->step();
  if (!row) return row.error();
  if (expected.empty() || (*row && statement->bytes(0) == expected)) return {};
  return Error{Code::unavailable, "SQLite does not accept the setting \"" + pragma + "\" for " +
                                      path_ + ": is it on a network file system?"};
}

Result<void> Database::set_sync(Sync sync) {
  const bool full = sync == Sync::full;
  if (Result<void> done =
          execute(full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
      !done) {
    return done;
  }
  return set("synchronous", full ? "2" : "1");
}

Result<void> Database::prepare_transactions() {
  const std::array<std::pair<Statement*, const char*>, 4> statements{{
      {&begin_, "BEGIN IMMEDIATE"},
      {&begin_read_, "BEGIN"},
      {&commit_, "COMMIT"},
      {&rollback_, "ROLLBACK"},
  }};
  for (const auto& [statement, sql] : statements) {
    Result<Statement> prepared = prepare(sql);
    if (!prepared) return prepared.error();
    *statement = std::move(*prepared);
  }
  sqlite3_wal_hook(
      handle_,
      [](void* database, sqlite3*, const char*, int frames) {
        static_cast<Database*>(database)->wal_frames_ = frames;
        return SQLITE_OK;
      },
      this);
  return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return sqlite_error(handle_, sql, code);
  return Statement(statement);
}

Result<void> Database::execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return sqlite_error(handle_, sql, code);
  return {};
}

Result<void> Database::begin_read() { return begin_read_.run(); }

// Ending a transaction that has only read cannot lose anything.
void Database::end_read() {
  if (Result<void> ended = commit_.run(); !ended) static_cast<void>(rollback_.run());
}

Result<Checkpoint> Database::checkpoint(Mode mode) {
  const int how = mode == Mode::passive   ? SQLITE_CHECKPOINT_PASSIVE
                  : mode == Mode::restart ? SQLITE_CHECKPOINT_RESTART
                                          : SQLITE_CHECKPOINT_TRUNCATE;
  int in_wal = 0;
  int copied = 0;
  const int code = sqlite3_wal_checkpoint_v2(handle_, nullptr, how, &in_wal, &copied);
  if (code == SQLITE_BUSY) return Checkpoint{};
  if (code != SQLITE_OK) return sqlite_error(handle_, "checkpoint", code, Written::file);
  const bool complete = in_wal == copied;
  if (complete) wal_frames_ = 0;
  return Checkpoint{complete};
}

std::int64_t Database::wal_bytes() const { return wal_frames_ * (page_bytes_ + 24); }

Result<void> Database::lengthen_wal(std::int64_t bytes) {
  JACK_ASSERT(exclusive_);
  const std::string path = path_ + "-wal";
  const int wal = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (wal < 0) return system_error("cannot open " + path);
  // Zeros are no frame, so SQLite ignores them until it has written over them.
  const std::string zeros(1 << 20, '\0');
  Result<void> result;
  for (off_t end = ::lseek(wal, 0, SEEK_END); end < bytes && result;) {
    const auto length = static_cast<std::size_t>(bytes - end);
    const ssize_t written = ::pwrite(wal, zeros.data(), std::min(length, zeros.size()), end);
    if (written <= 0) result = system_error("cannot lengthen " + path);
    end += written;
  }
  if (result && ::fdatasync(wal) != 0) result = Error{Code::stopped, "cannot sync " + path};
  ::close(wal);
  return result;
}

Result<void> Database::quick_check() {
  Result<Statement> check = prepare("PRAGMA quick_check(1)");
  if (!check) return check.error();
  const Result<bool> row = check->step();
  if (!row) return row.error();
  if (*row && check->bytes(0) == "ok") return {};
  return Error{Code::corruption, path_ + " is damaged: " + std::string(check->bytes(0)) +
                                     "; restore it from a backup"};
}

Result<Transaction> Transaction::begin(Database& database) {
  if (Result<void> begun = database.begin_.run(); !begun) return begun.error();
  return Transaction(database);
}

Transaction::~Transaction() {
  if (database_ != nullptr) static_cast<void>(database_->rollback_.run());
}

Result<void> Transaction::commit() && {
  if (Result<void> committed = database_->commit_.run(); !committed) {
    return std::move(*this).abandon(committed.error());
  }
  database_ = nullptr;
  return {};
}

Error Transaction::abandon(Error error) && {
  Database& database = *std::exchange(database_, nullptr);
  // Some errors have rolled back already.
  const bool open = sqlite3_get_autocommit(database.handle_) == 0;
  if (open) static_cast<void>(database.rollback_.run());
  const bool clean = sqlite3_get_autocommit(database.handle_) != 0;
  if (!clean) error.code = Code::stopped;
  return error;
}

}  // namespace jack

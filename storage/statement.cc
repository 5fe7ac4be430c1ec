#include "storage/statement.h"

#include <cerrno>
#include <string>
#include <utility>

#include <sqlite3.h>

#include "engine/assert.h"

namespace jack {
namespace {

// Only a refused *write* leaves the WAL without a commit mark. A sync that fails for want of room
// may come after one, so it stays an I/O error. The index of the WAL is made longer before anything
// is written. EFBIG is a file-size limit set for the process.
bool is_no_space(int sqlite_code, int system_error) {
  if ((sqlite_code & 0xff) == SQLITE_FULL) return true;
  return (sqlite_code == SQLITE_IOERR_WRITE || sqlite_code == SQLITE_IOERR_SHMSIZE) &&
         (system_error == ENOSPC || system_error == EDQUOT || system_error == EFBIG);
}

// Why the last write failed. sqlite3_system_errno() does not know it after a COMMIT.
int write_error(sqlite3* handle, Written written) {
  int error = 0;
  if (written == Written::file) {
    sqlite3_file_control(handle, nullptr, SQLITE_FCNTL_LAST_ERRNO, &error);
    return error;
  }
  sqlite3_file* wal = nullptr;
  sqlite3_file_control(handle, nullptr, SQLITE_FCNTL_JOURNAL_POINTER, &wal);
  if (wal == nullptr || wal->pMethods == nullptr) return 0;
  wal->pMethods->xFileControl(wal, SQLITE_FCNTL_LAST_ERRNO, &error);
  return error;
}

Code code_of(int sqlite_code, int system_error) {
  if (is_no_space(sqlite_code, system_error)) return Code::storage_full;
  switch (sqlite_code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      return system_error == EACCES || system_error == EPERM ? Code::permission_denied
                                                             : Code::unavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return Code::corruption;
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
    case SQLITE_READONLY:
    case SQLITE_PROTOCOL:
    case SQLITE_NOLFS: return Code::stopped;
    default: return Code::internal;
  }
}

}  // namespace

Error sqlite_error(sqlite3* handle, std::string_view doing, int sqlite_code, Written written) {
  const int system_error = sqlite_code == SQLITE_IOERR_WRITE ? write_error(handle, written)
                                                             : sqlite3_system_errno(handle);
  std::string message = "the database failed at \"" + std::string(doing) + "\": ";
  // errmsg speaks of the last call on the connection, which may have been another.
  const bool last = sqlite3_extended_errcode(handle) == sqlite_code;
  message += last ? sqlite3_errmsg(handle) : sqlite3_errstr(sqlite_code);
  message += " (SQLite " + std::to_string(sqlite_code);
  if (system_error != 0) message += ", errno " + std::to_string(system_error);
  message += ")";
  return {code_of(sqlite_code, system_error), std::move(message)};
}

Statement::Statement(Statement&& other) noexcept
    : statement_(std::exchange(other.statement_, nullptr)), bind_code_(other.bind_code_) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(statement_, other.statement_);
  std::swap(bind_code_, other.bind_code_);
  return *this;
}

Statement::~Statement() { sqlite3_finalize(statement_); }

Statement& Statement::bind(int place, std::int64_t value) {
  const int code = sqlite3_bind_int64(statement_, place, value);
  if (code != SQLITE_OK && bind_code_ == SQLITE_OK) bind_code_ = code;
  return *this;
}

Statement& Statement::bind_bytes(int place, std::string_view bytes) {
  // A null pointer would bind NULL where an empty blob is meant.
  const char* data = bytes.data() != nullptr ? bytes.data() : "";
  const int code = sqlite3_bind_blob64(statement_, place, data, bytes.size(), SQLITE_STATIC);
  if (code != SQLITE_OK && bind_code_ == SQLITE_OK) bind_code_ = code;
  return *this;
}

Statement& Statement::bind_text(int place, std::string_view text) {
  const char* data = text.data() != nullptr ? text.data() : "";
  const int code =
      sqlite3_bind_text64(statement_, place, data, text.size(), SQLITE_STATIC, SQLITE_UTF8);
  if (code != SQLITE_OK && bind_code_ == SQLITE_OK) bind_code_ = code;
  return *this;
}

Statement& Statement::bind_null(int place) {
  const int code = sqlite3_bind_null(statement_, place);
  if (code != SQLITE_OK && bind_code_ == SQLITE_OK) bind_code_ = code;
  return *this;
}

Result<bool> Statement::step() {
  JACK_ASSERT(statement_ != nullptr);
  const int code = bind_code_ != SQLITE_OK ? bind_code_ : sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    reset();
    return false;
  }
  Error error = sqlite_error(sqlite3_db_handle(statement_), sqlite3_sql(statement_), code);
  reset();
  return error;
}

Result<void> Statement::run() {
  for (;;) {
    Result<bool> row = step();
    if (!row) return row.error();
    if (!*row) return {};
  }
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string_view Statement::bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  if (data == nullptr) return {};
  return {static_cast<const char*>(data), static_cast<std::size_t>(size)};
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

void Statement::reset() {
  sqlite3_reset(statement_);  // repeats the error of the last step, which was told already
  bind_code_ = SQLITE_OK;
}

}  // namespace jack

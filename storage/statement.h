// A prepared SQLite statement, and what SQLite's result codes mean to us.
#pragma once

#include <cstdint>
#include <string_view>

#include <jack_engine/error.h>

struct sqlite3;
struct sqlite3_stmt;

namespace jack {

// Which of a database's files a call wrote to.
enum class Written { wal, file };

// The error of the last call on `handle`, which gave `sqlite_code`:
//   storage_full  no room; whether nothing was written is for the transaction to say
//   unavailable   another process holds the lock, or the file cannot be opened; nothing was written
//   corruption    the file is damaged or not a database
//   stopped       any other failure of the disk or of memory
//   internal      our SQL is wrong
Error sqlite_error(sqlite3* handle, std::string_view doing, int sqlite_code,
                   Written written = Written::wal);

// A prepared statement. Bytes and text are bound without a copy: they live until reset().
class Statement {
 public:
  Statement() = default;  // refuses to step
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  ~Statement();

  // Places count from 1. A value that cannot be bound makes the next step fail.
  Statement& bind(int place, std::int64_t value);
  Statement& bind_bytes(int place, std::string_view bytes);
  Statement& bind_text(int place, std::string_view text);
  Statement& bind_null(int place);

  // True: there is a row to read. False: done, and reset. Errors as in sqlite_error();
  // the statement is reset then, too.
  Result<bool> step();

  // Steps through to the end, ignoring rows.
  Result<void> run();

  // Of the row stepped to; columns count from 0. Views are valid until the next step or reset.
  std::int64_t integer(int column) const;
  std::string_view bytes(int column) const;
  bool is_null(int column) const;

  void reset();

 private:
  friend class Database;
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  sqlite3_stmt* statement_ = nullptr;
  int bind_code_ = 0;  // the first bind that failed since the last reset
};

// Resets a statement at the end of a scope: one left half-read holds its snapshot, and with it the
// WAL, which then cannot start anew.
class Reading {
 public:
  explicit Reading(Statement& statement) : statement_(statement) {}
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  ~Reading() { statement_.reset(); }

 private:
  Statement& statement_;
};

}  // namespace jack

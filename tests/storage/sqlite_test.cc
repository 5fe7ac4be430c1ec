#include "storage/sqlite.h"

#include <array>
#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/storage/fixtures.h"
#include "tests/support/fault_vfs.h"

namespace jack::test {
namespace {

constexpr std::array<const char*, 2> kSteps{
    "CREATE TABLE thing(n INTEGER PRIMARY KEY, text TEXT NOT NULL); INSERT INTO thing VALUES(1, "
    "'a');",
    "ALTER TABLE thing ADD COLUMN size INTEGER; UPDATE thing SET size = length(text);"};

DatabaseOptions at(const std::string& path, std::size_t version = 2) {
  DatabaseOptions options;
  options.path = path;
  options.schema = {"thing store", 0x4a54, std::span(kSteps).first(version)};
  return options;
}

std::unique_ptr<Database> opened(const DatabaseOptions& options) {
  Result<std::unique_ptr<Database>> database = Database::open(options);
  if (!database) FAIL(to_string(database.error()));
  return std::move(*database);
}

std::string value_of(Database& database, const char* sql) {
  Result<Statement> statement = database.prepare(sql);
  REQUIRE(statement);
  const Result<bool> row = statement->step();
  REQUIRE(row);
  return *row ? std::string(statement->bytes(0)) : "none";
}

Code refused(const DatabaseOptions& options) {
  const Result<std::unique_ptr<Database>> database = Database::open(options);
  REQUIRE_FALSE(database);
  return database.error().code;
}

// One more row in a transaction of its own.
Result<void> add_row(Database& database, const std::string& text = "x") {
  Result<Transaction> transaction = Transaction::begin(database);
  if (!transaction) return transaction.error();
  Result<void> done = database.execute("INSERT INTO thing(text) VALUES('" + text + "')");
  if (!done) return std::move(*transaction).abandon(done.error());
  return std::move(*transaction).commit();
}

}  // namespace

TEST_CASE("a new database has the settings that durability and safety rest on") {
  const TemporaryDirectory directory;
  const std::unique_ptr<Database> database = opened(at(directory.file("t.db")));

  const auto [pragma, value] =
      GENERATE(table<const char*, const char*>({{"PRAGMA journal_mode", "wal"},
                                                {"PRAGMA synchronous", "2"},
                                                {"PRAGMA foreign_keys", "1"},
                                                {"PRAGMA trusted_schema", "0"},
                                                {"PRAGMA cell_size_check", "1"},
                                                {"PRAGMA mmap_size", "0"},
                                                {"PRAGMA secure_delete", "0"},
                                                {"PRAGMA wal_autocheckpoint", "0"},
                                                {"PRAGMA page_size", "32768"},
                                                {"PRAGMA journal_size_limit", "67108864"},
                                                {"PRAGMA application_id", "19028"},
                                                {"PRAGMA user_version", "2"}}));

  CAPTURE(pragma);
  CHECK(value_of(*database, pragma) == value);
}

// The limit was once counted in pages of 4 KiB, because it was set before the page size: a cache of
// 16 MiB grew to 128.
TEST_CASE("a transaction larger than the cache goes to the WAL before its commit") {
  const TemporaryDirectory directory;
  DatabaseOptions options = at(directory.file("t.db"));
  options.cache_bytes = 1 << 20;
  const std::unique_ptr<Database> database = opened(options);

  Result<Transaction> transaction = Transaction::begin(*database);
  REQUIRE(transaction);
  Result<Statement> insert = database->prepare("INSERT INTO thing(text) VALUES(zeroblob(10000))");
  REQUIRE(insert);
  for (int i = 0; i < 400; ++i) REQUIRE(insert->run());

  CHECK(std::filesystem::file_size(directory.file("t.db-wal")) > 2'000'000);
}

TEST_CASE("a database and its WAL are the owner's alone") {
  const TemporaryDirectory directory;
  const mode_t mask = ::umask(0);
  const std::unique_ptr<Database> database = opened(at(directory.file("t.db")));
  REQUIRE(add_row(*database));
  ::umask(mask);

  for (const char* name : {"t.db", "t.db-wal"}) {
    struct stat found {};
    REQUIRE(::stat(directory.file(name).c_str(), &found) == 0);
    CHECK((found.st_mode & 0777) == 0600);
  }
}

TEST_CASE("attaching another file or writing the schema by hand is refused") {
  const TemporaryDirectory directory;
  const std::unique_ptr<Database> database = opened(at(directory.file("t.db")));

  CHECK_FALSE(database->execute("ATTACH '" + directory.file("other.db") + "' AS other"));
  CHECK_FALSE(database->execute("PRAGMA writable_schema = ON; DELETE FROM sqlite_schema"));
  CHECK_FALSE(database->execute("SELECT \"no such column\" FROM thing"));
}

TEST_CASE("an older file is brought up to date and keeps its rows") {
  const TemporaryDirectory directory;
  opened(at(directory.file("t.db"), 1));

  const std::unique_ptr<Database> database = opened(at(directory.file("t.db")));

  CHECK(value_of(*database, "PRAGMA user_version") == "2");
  CHECK(value_of(*database, "SELECT text || size FROM thing") == "a1");
}

TEST_CASE("a newer file is refused untouched, and both versions are named") {
  const TemporaryDirectory directory;
  opened(at(directory.file("t.db"), 2));
  const std::string before = content_of(directory.file("t.db"));

  const Result<std::unique_ptr<Database>> older = Database::open(at(directory.file("t.db"), 1));

  REQUIRE_FALSE(older);
  CHECK(older.error().code == Code::unsupported);
  CHECK_THAT(older.error().message, ::test::ContainsSubstring("version 2"));
  CHECK_THAT(older.error().message, ::test::ContainsSubstring("up to 1"));
  CHECK(content_of(directory.file("t.db")) == before);
  CHECK_FALSE(std::filesystem::exists(directory.file("t.db-wal")));
}

TEST_CASE("a version that only the WAL knows of is newer all the same") {
  const TemporaryDirectory directory;
  const TemporaryDirectory crashed;
  const std::unique_ptr<Database> database = opened(at(directory.file("t.db"), 1));
  REQUIRE(database->execute("PRAGMA user_version = 2"));
  copy_files(directory.path(), crashed.path());
  const std::string file = content_of(crashed.file("t.db"));
  const std::string wal = content_of(crashed.file("t.db-wal"));

  CHECK(refused(at(crashed.file("t.db"), 1)) == Code::unsupported);

  CHECK(content_of(crashed.file("t.db")) == file);
  CHECK(content_of(crashed.file("t.db-wal")) == wal);
}

TEST_CASE("another kind of database is refused untouched, also one without an id") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("t.db");
  DatabaseOptions other = at(path);
  other.schema.application_id = GENERATE(7, 0);
  REQUIRE(opened(other)->execute("PRAGMA user_version = 0"));
  const std::string before = content_of(path);

  CHECK(refused(at(path)) == Code::corruption);

  CHECK(content_of(path) == before);
}

TEST_CASE("what is no database is refused untouched") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("t.db");
  const std::string content = GENERATE(std::string(5000, 'x'), std::string("SQLite format 3"));
  write_file(path, content);

  CHECK(refused(at(path)) == Code::corruption);

  CHECK(content_of(path) == content);
}

TEST_CASE("a file that cannot be opened is unavailable") {
  const TemporaryDirectory directory;
  std::filesystem::create_directory(directory.file("t.db"));

  CHECK(refused(at(directory.file("t.db"))) == Code::unavailable);
  CHECK(refused(at(directory.file("missing/t.db"))) == Code::unavailable);
}

TEST_CASE("an empty file, as a crash right after its making leaves it, becomes a database") {
  const TemporaryDirectory directory;
  write_file(directory.file("t.db"), "");

  CHECK(value_of(*opened(at(directory.file("t.db"))), "PRAGMA user_version") == "2");
}

// SQLite removed the WAL, and with it what had been acknowledged.
TEST_CASE("a WAL whose file is missing or empty is refused untouched") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("t.db");
  const std::unique_ptr<Database> database = opened(at(path));
  REQUIRE(add_row(*database));
  const TemporaryDirectory crashed;
  copy_files(directory.path(), crashed.path());
  const std::string wal = content_of(crashed.file("t.db-wal"));
  REQUIRE_FALSE(wal.empty());
  const bool missing = GENERATE(false, true);
  write_file(crashed.file("t.db"), "");
  if (missing) std::filesystem::remove(crashed.file("t.db"));

  const Result<std::unique_ptr<Database>> refused = Database::open(at(crashed.file("t.db")));

  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::corruption);
  CHECK_THAT(refused.error().message, ::test::ContainsSubstring(missing ? "missing" : "empty"));
  CHECK(content_of(crashed.file("t.db-wal")) == wal);
  CHECK(std::filesystem::exists(crashed.file("t.db")) != missing);
}

TEST_CASE("a transaction that is not committed leaves nothing") {
  const TemporaryDirectory directory;
  const std::unique_ptr<Database> database = opened(at(directory.file("t.db")));
  {
    Result<Transaction> transaction = Transaction::begin(*database);
    REQUIRE(transaction);
    REQUIRE(database->execute("DELETE FROM thing"));
  }
  CHECK(value_of(*database, "SELECT count(*) FROM thing") == "1");
  CHECK(add_row(*database));
}

TEST_CASE("while another process writes it is not now, and nothing is lost") {
  const TemporaryDirectory directory;
  const std::unique_ptr<Database> ours = opened(at(directory.file("t.db")));
  const std::unique_ptr<Database> theirs = opened(at(directory.file("t.db")));
  {
    const Result<Transaction> writing = Transaction::begin(*theirs);
    REQUIRE(writing);
    const Result<void> refused = add_row(*ours);  // waits for its time-out first
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::unavailable);
  }
  CHECK(add_row(*ours));
}

TEST_CASE("what cannot be bound makes the statement fail, not the process") {
  const TemporaryDirectory directory;
  DatabaseOptions options = at(directory.file("t.db"));
  options.row_bytes_max = 100'000;
  const std::unique_ptr<Database> database = opened(options);
  Result<Statement> insert = database->prepare("INSERT INTO thing(text) VALUES(?1)");
  REQUIRE(insert);

  const std::string large(100'001, 'x');
  insert->bind_text(1, large);
  CHECK(insert->run().error().code == Code::internal);
  insert->bind(7, 1);
  CHECK(insert->run().error().code == Code::internal);
  insert->bind_null(1);
  CHECK(insert->run().error().code == Code::internal);  // NOT NULL
  insert->bind_text(1, "fits");
  CHECK(insert->run());
}

TEST_CASE("bytes come back as they were bound, also none at all") {
  const TemporaryDirectory directory;
  const std::unique_ptr<Database> database = opened(at(directory.file("t.db")));
  Result<Statement> echo = database->prepare("SELECT ?1, ?1 IS NULL");
  REQUIRE(echo);

  for (const std::string_view bytes : {std::string_view("a\0b", 3), std::string_view()}) {
    const Reading reading(*echo);
    echo->bind_bytes(1, bytes);
    REQUIRE(*echo->step());
    CHECK(echo->bytes(0) == bytes);
    CHECK(echo->integer(1) == 0);
  }
}

TEST_CASE("no room is a clean refusal, a failed sync or write stops") {
  const TemporaryDirectory directory;
  FaultVfs vfs;
  DatabaseOptions options = at(directory.file("t.db"));
  options.vfs = vfs.name();
  const std::unique_ptr<Database> database = opened(options);
  using Operation = FaultVfs::Operation;
  const auto [operation, error, code] =
      GENERATE(table<Operation, int, Code>({{Operation::write, ENOSPC, Code::storage_full},
                                            {Operation::write, EDQUOT, Code::storage_full},
                                            {Operation::write, EFBIG, Code::storage_full},
                                            {Operation::write, EIO, Code::stopped},
                                            {Operation::sync, EIO, Code::stopped},
                                            {Operation::sync, ENOSPC, Code::stopped}}));
  CAPTURE(operation, error);

  vfs.fail({operation, 1, error, false});
  const Result<void> failed = add_row(*database);
  vfs.heal();

  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == code);
  if (code == Code::storage_full) {
    CHECK(value_of(*database, "SELECT count(*) FROM thing") == "1");
    CHECK(add_row(*database));
  }
}

TEST_CASE("a damaged file is found by the check, or by reading it") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("t.db");
  {
    const std::unique_ptr<Database> database = opened(at(path));
    for (int i = 0; i < 200; ++i) REQUIRE(add_row(*database, std::string(1000, 'x')));
    CHECK(database->quick_check());
  }
  const int file = ::open(path.c_str(), O_WRONLY);
  const std::string garbage(20'000, '\x5a');
  REQUIRE(::pwrite(file, garbage.data(), garbage.size(), 3 * 32768) ==
          static_cast<ssize_t>(garbage.size()));
  ::close(file);

  const std::unique_ptr<Database> database = opened(at(path));

  CHECK(database->quick_check().error().code == Code::corruption);
  Result<Statement> sum = database->prepare("SELECT sum(length(text)) FROM thing");
  REQUIRE(sum);
  CHECK(sum->run().error().code == Code::corruption);
}

TEST_CASE("a reader sees one moment until it ends, and holds up no writer") {
  const TemporaryDirectory directory;
  const std::unique_ptr<Database> writer = opened(at(directory.file("t.db")));
  DatabaseOptions options = at(directory.file("t.db"));
  options.read_only = true;
  const std::unique_ptr<Database> reader = opened(options);
  REQUIRE(reader->begin_read());
  CHECK(value_of(*reader, "SELECT count(*) FROM thing") == "1");

  CHECK(add_row(*writer));
  CHECK_FALSE(writer->checkpoint(Database::Mode::passive)->complete);

  CHECK(value_of(*reader, "SELECT count(*) FROM thing") == "1");
  reader->end_read();
  CHECK(value_of(*reader, "SELECT count(*) FROM thing") == "2");
  CHECK(writer->checkpoint(Database::Mode::passive)->complete);
  CHECK(writer->wal_bytes() == 0);
  CHECK_FALSE(reader->execute("DELETE FROM thing"));
}

// History: the reader looked at the file's header by itself. Closing it again gave up the locks,
// and a sqlite3 shell that came and went took the WAL away under the engine.
TEST_CASE("a reader beside the writer leaves the file locked against other processes") {
  const TemporaryDirectory directory;
  const std::unique_ptr<Database> writer = opened(at(directory.file("t.db")));
  REQUIRE(add_row(*writer));
  DatabaseOptions options = at(directory.file("t.db"));
  options.read_only = true;
  const std::unique_ptr<Database> reader = opened(options);
  CHECK(value_of(*reader, "SELECT count(*) FROM thing") == "2");

  // A process does not see its own locks.
  const pid_t other = ::fork();
  if (other == 0) {
    const int file = ::open(directory.file("t.db").c_str(), O_RDWR);
    struct flock whole {};
    whole.l_type = F_WRLCK;
    const bool asked = ::fcntl(file, F_GETLK, &whole) == 0;
    ::_exit(asked && whole.l_type != F_UNLCK ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(other, &status, 0) == other);

  CHECK(status == 0);
}

}  // namespace jack::test

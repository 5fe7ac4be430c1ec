#include "storage/schema.h"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "storage/sqlite.h"
#include "storage/system_error.h"

namespace jack {
namespace {

// Places in the first page of every SQLite file (sqlite.org/fileformat2.html), big-endian.
constexpr std::string_view kMagic{"SQLite format 3\0", 16};
constexpr std::size_t kUserVersionAt = 60;
constexpr std::size_t kApplicationIdAt = 68;
constexpr std::size_t kHeaderBytes = 100;

std::uint32_t big_endian_32(const char* at) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(at[i]);
  return value;
}

Error foreign(const Schema& schema) {
  return {Code::corruption,
          "the file of the " + std::string(schema.name) + " was not written by JACK"};
}

// `tables` tells a file that was only just begun from one of another program without an id.
Result<void> check_identity(const Schema& schema, std::int64_t id, std::int64_t version,
                            bool tables) {
  const bool ours = id == schema.application_id;
  const bool blank = id == 0 && version == 0 && !tables;
  if (!ours && !blank) return foreign(schema);
  if (version < 0) return foreign(schema);
  if (version > schema.version()) {
    return Error{Code::unsupported, "the " + std::string(schema.name) + " has version " +
                                        std::to_string(version) + ", this JACK knows up to " +
                                        std::to_string(schema.version()) +
                                        ": use the newer JACK; nothing was changed"};
  }
  return {};
}

Result<std::int64_t> read_number(Database& database, std::string_view sql) {
  Result<Statement> statement = database.prepare(sql);
  if (!statement) return statement.error();
  const Result<bool> row = statement->step();
  if (!row) return row.error();
  return *row ? statement->integer(0) : 0;
}

Result<void> take_step(Database& database, const Schema& schema, std::int64_t version) {
  Result<Transaction> transaction = Transaction::begin(database);
  if (!transaction) return transaction.error();
  const std::string marks = "PRAGMA application_id = " + std::to_string(schema.application_id) +
                            "; PRAGMA user_version = " + std::to_string(version + 1);
  for (const std::string& sql :
       {std::string(schema.steps[static_cast<std::size_t>(version)]), marks}) {
    if (Result<void> done = database.execute(sql); !done) {
      return std::move(*transaction).abandon(done.error());
    }
  }
  return std::move(*transaction).commit();
}

}  // namespace

Result<void> check_header(const std::string& path, const Schema& schema) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    if (errno == ENOENT) return {};
    return system_error("cannot read " + path);
  }
  std::array<char, kHeaderBytes> header{};
  const ssize_t got = ::pread(file, header.data(), header.size(), 0);
  const int failed_with = errno;
  ::close(file);
  if (got < 0) return system_error("cannot read " + path, failed_with);
  if (got == 0) return {};
  if (static_cast<std::size_t>(got) < kHeaderBytes ||
      std::string_view(header.data(), kMagic.size()) != kMagic) {
    return foreign(schema);
  }
  // Whether there are tables is seen later, by SQL.
  return check_identity(schema, big_endian_32(header.data() + kApplicationIdAt),
                        big_endian_32(header.data() + kUserVersionAt), false);
}

Result<std::int64_t> check_version(Database& database, const Schema& schema) {
  const Result<std::int64_t> id = read_number(database, "PRAGMA application_id");
  if (!id) return id.error();
  const Result<std::int64_t> version = read_number(database, "PRAGMA user_version");
  if (!version) return version.error();
  const Result<std::int64_t> tables = read_number(database, "SELECT count(*) FROM sqlite_schema");
  if (!tables) return tables.error();
  if (Result<void> ours = check_identity(schema, *id, *version, *tables > 0); !ours) {
    return ours.error();
  }
  return *version;
}

Result<void> migrate(Database& database, const Schema& schema, std::int64_t found) {
  for (std::int64_t version = found; version < schema.version(); ++version) {
    if (Result<void> taken = take_step(database, schema, version); !taken) return taken;
  }
  return {};
}

}  // namespace jack

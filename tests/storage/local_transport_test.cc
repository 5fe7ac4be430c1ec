#include "transports/local/local_transport.h"

#include <cerrno>

#include <sqlite3.h>

#include "tests/storage/fixtures.h"
#include "tests/support/fault_vfs.h"

namespace jack::test {
namespace {

using Operation = FaultVfs::Operation;

LocalTransportOptions at(const std::string& directory) {
  LocalTransportOptions options;
  options.path = directory + "/journal.db";
  return options;
}

std::unique_ptr<LocalTransport> opened(const LocalTransportOptions& options) {
  Result<std::unique_ptr<LocalTransport>> transport = LocalTransport::open(options);
  if (!transport) FAIL(transport.error().message);
  return std::move(*transport);
}

void append_some(Transport& transport, int count, std::size_t bytes = 10) {
  for (int i = 0; i < count; ++i) {
    REQUIRE(append(transport, buffer(std::string(bytes, 'x'))).result);
  }
}

// SQL on a journal that nobody has open.
void execute(const std::string& path, const char* sql) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
  REQUIRE(sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(database);
}

}  // namespace

TEST_CASE("indices are consecutive from 1 and go on after all was trimmed and reopened") {
  const TemporaryDirectory directory;
  std::unique_ptr<LocalTransport> transport = opened(at(directory.path()));
  append_some(*transport, 50);
  CHECK(transport->head() == 50);
  transport->trim(50);
  append_some(*transport, 50);
  transport->trim(100);
  transport.reset();

  transport = opened(at(directory.path()));
  append_some(*transport, 1);

  CHECK(transport->head() == 101);
}

TEST_CASE("with keep_all nothing is trimmed") {
  const TemporaryDirectory directory;
  LocalTransportOptions options = at(directory.path());
  options.keep_all = true;
  std::unique_ptr<LocalTransport> transport = opened(options);
  append_some(*transport, 40);
  transport->trim(40);
  append_some(*transport, 40);
  transport.reset();

  CHECK(read_all(*opened(options), 0).size() == 80);
}

TEST_CASE("a crash at any moment keeps every entry that was acknowledged") {
  const TemporaryDirectory directory;
  const std::unique_ptr<LocalTransport> transport = opened(at(directory.path()));
  for (int i = 1; i <= 30; ++i) {
    append_some(*transport, 1, 5000);
    if (i == 20) transport->trim(5);
    const TemporaryDirectory crashed;
    copy_files(directory.path(), crashed.path());

    const std::unique_ptr<LocalTransport> recovered = opened(at(crashed.path()));

    CHECK(recovered->head() == static_cast<Index>(i));
    CHECK(read_all(*recovered, 5).size() == static_cast<std::size_t>(std::max(0, i - 5)));
  }
}

TEST_CASE("a power cut keeps every entry that was acknowledged under full durability") {
  const TemporaryDirectory directory;
  FaultVfs vfs;
  LocalTransportOptions options = at(directory.path());
  options.vfs = vfs.name();
  options.wal_bytes = 1 << 20;  // so that checkpoints fall among the cuts
  const std::unique_ptr<LocalTransport> transport = opened(options);
  for (int i = 1; i <= 40; ++i) {
    append_some(*transport, 1, 40'000);
    if (i == 20) transport->trim(15);
    const TemporaryDirectory cut;
    vfs.cut_power(directory.path(), cut.path());

    const std::unique_ptr<LocalTransport> recovered = opened(at(cut.path()));

    CHECK(recovered->head() >= static_cast<Index>(i));
    CHECK(read_all(*recovered, 15).size() >= static_cast<std::size_t>(std::max(0, i - 15)));
  }
}

TEST_CASE(
    "under normal durability a power cut loses a tail, and the journal goes on behind the store") {
  const TemporaryDirectory directory;
  FaultVfs vfs;
  LocalTransportOptions options = at(directory.path());
  options.vfs = vfs.name();
  options.durability = Durability::normal;
  const std::unique_ptr<LocalTransport> transport = opened(options);
  append_some(*transport, 20);
  const TemporaryDirectory cut;
  vfs.cut_power(directory.path(), cut.path());

  LocalTransportOptions after = at(cut.path());
  after.durability = Durability::normal;
  std::unique_ptr<LocalTransport> recovered = opened(after);
  CHECK(recovered->head() < 20);
  REQUIRE(recovered->read_from(18));  // what the store holds

  CHECK(recovered->head() == 18);
  std::vector<JournalEntry> entries;
  CHECK(append(*recovered, buffer("next"), &entries).result);
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].index == 19);
  recovered.reset();
  recovered = opened(after);
  CHECK(bytes_of(read_all(*recovered, 18)) == std::vector<std::string>{"next"});
}

TEST_CASE("an append without room is refused for certain and can be tried again") {
  const TemporaryDirectory directory;
  FaultVfs vfs;
  LocalTransportOptions options = at(directory.path());
  options.vfs = vfs.name();
  const std::unique_ptr<LocalTransport> transport = opened(options);
  append_some(*transport, 3);

  vfs.fail({Operation::write, 1, ENOSPC, true});
  const AppendFate refused = append(*transport, buffer("no room"));
  vfs.heal();

  REQUIRE_FALSE(refused.result);
  CHECK(refused.result.error().code == Code::storage_full);
  CHECK(refused.certain);
  append_some(*transport, 1);
  CHECK(transport->head() == 4);
  CHECK(read_all(*transport, 0).size() == 4);
}

TEST_CASE("the reserve is given back for an append without room") {
  const TemporaryDirectory directory;
  const TestClock clock;
  DataDirectoryOptions folder;
  folder.path = directory.path();
  folder.reserve_bytes = 1 << 20;
  const Result<std::unique_ptr<DataDirectory>> data = DataDirectory::open(folder, clock);
  REQUIRE(data);
  FaultVfs vfs;
  LocalTransportOptions options = at(directory.path());
  options.vfs = vfs.name();
  options.directory = data->get();
  const std::unique_ptr<LocalTransport> transport = opened(options);
  append_some(*transport, 1);

  vfs.fail({Operation::write, 1, ENOSPC, false});
  const AppendFate fate = append(*transport, buffer("a settle"));

  CHECK(fate.result);
  CHECK(vfs.has_failed());
  CHECK_FALSE((*data)->reserve().held());
  CHECK((*data)->room_bytes() == 0);
}

TEST_CASE("after a failed write or sync nothing is taken until the journal is reopened") {
  const TemporaryDirectory directory;
  FaultVfs vfs;
  LocalTransportOptions options = at(directory.path());
  options.vfs = vfs.name();
  std::unique_ptr<LocalTransport> transport = opened(options);
  append_some(*transport, 3);
  const Operation operation = GENERATE(Operation::write, Operation::sync);
  CAPTURE(operation);

  vfs.fail({operation, 1, EIO, false});
  const AppendFate failed = append(*transport, buffer("unknown"));

  REQUIRE_FALSE(failed.result);
  CHECK(failed.result.error().code == Code::stopped);
  CHECK_FALSE(failed.certain);
  const AppendFate later = append(*transport, buffer("not tried"));
  CHECK(later.result.error() == failed.result.error());
  CHECK(later.certain);
  CHECK(transport->read_from(0).error().code == Code::stopped);
  transport.reset();
  vfs.heal();

  transport = opened(at(directory.path()));
  const std::vector<JournalEntry> entries = read_all(*transport, 0);
  CHECK((entries.size() == 3 || entries.size() == 4));
  append_some(*transport, 1);
}

TEST_CASE("whichever write or sync fails, what was acknowledged is there after reopening") {
  const auto operation = GENERATE(Operation::write, Operation::sync);
  const int error = GENERATE(EIO, ENOSPC);
  const bool for_ever = GENERATE(false, true);
  CAPTURE(operation, error, for_ever);
  bool failed = true;
  for (int at_call = 1; failed && at_call < 400; at_call += 1 + at_call / 4) {
    const TemporaryDirectory directory;
    FaultVfs vfs;
    LocalTransportOptions options = at(directory.path());
    options.vfs = vfs.name();
    options.wal_bytes = 1 << 20;
    std::unique_ptr<LocalTransport> transport = opened(options);
    vfs.fail({operation, at_call, error, for_ever});
    std::vector<Index> acknowledged;
    Index number = 0;
    for (int i = 0; i < 24; ++i) {
      if (i == 12) transport->trim(4);
      const AppendFate fate = append(*transport, buffer(std::string(30'000, 'x')));
      if (fate.result) acknowledged.push_back(transport->head());
      number = transport->head();
    }
    transport.reset();
    failed = vfs.has_failed();
    vfs.heal();

    transport = opened(at(directory.path()));

    CAPTURE(at_call);
    CHECK(transport->head() >= number);
    const std::vector<JournalEntry> entries = read_all(*transport, 4);
    for (const Index index : acknowledged) {
      if (index > 4) CHECK(entries.at(index - 5).index == index);
    }
  }
  CHECK_FALSE(failed);  // the sweep came to an end
}

TEST_CASE("a journal with an entry missing yields those before it and then says so") {
  const TemporaryDirectory directory;
  append_some(*opened(at(directory.path())), 10);
  execute(directory.file("journal.db"), "DELETE FROM entry WHERE idx = 6");

  const std::unique_ptr<LocalTransport> transport = opened(at(directory.path()));
  REQUIRE(transport->read_from(0));
  Polled polled;
  while (!polled.failed) {
    await(transport->descriptor());
    transport->poll(polled);
  }

  CHECK(polled.failed->code == Code::corruption);
  CHECK(polled.entries.size() == 5);
  CHECK(append(*transport, buffer("more")).result.error().code == Code::corruption);
}

TEST_CASE("a newer journal is refused untouched") {
  const TemporaryDirectory directory;
  append_some(*opened(at(directory.path())), 1);
  execute(directory.file("journal.db"), "PRAGMA user_version = 2");
  const std::string before = content_of(directory.file("journal.db"));

  const Result<std::unique_ptr<LocalTransport>> refused =
      LocalTransport::open(at(directory.path()));

  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::unsupported);
  CHECK(content_of(directory.file("journal.db")) == before);
}

TEST_CASE("file and WAL of a journal stay bounded while it is trimmed") {
  const TemporaryDirectory directory;
  LocalTransportOptions options = at(directory.path());
  options.wal_bytes = 4 << 20;
  const std::unique_ptr<LocalTransport> transport = opened(options);

  for (int i = 1; i <= 300; ++i) {
    append_some(*transport, 1, 200'000);
    if (i % 10 == 0) transport->trim(static_cast<Index>(i));
  }

  CHECK(std::filesystem::file_size(directory.file("journal.db-wal")) < 8 << 20);
  CHECK(std::filesystem::file_size(directory.file("journal.db")) < 24 << 20);
}

}  // namespace jack::test

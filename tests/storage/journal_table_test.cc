#include "storage/journal_table.h"

#include "tests/storage/fixtures.h"
#include "tests/support/fault_vfs.h"

namespace jack::test {
namespace {

std::unique_ptr<JournalTable> opened(const std::string& directory) {
  JournalTableOptions options;
  options.path = directory + "/journal.db";
  options.wal_bytes = 8 << 20;
  Result<std::unique_ptr<JournalTable>> table = JournalTable::open(options);
  if (!table) FAIL(table.error().message);
  return std::move(*table);
}

}  // namespace

TEST_CASE("a journal of which all was trimmed keeps its last index") {
  const TemporaryDirectory directory;
  std::unique_ptr<JournalTable> table = opened(directory.path());
  for (int i = 0; i < 50; ++i) REQUIRE(table->append("entry"));
  table->trim_to(50);
  while (table->has_to_trim()) REQUIRE(table->trim_some());
  CHECK_FALSE(*table->trim_some());
  CHECK(table->first() == 50);
  table.reset();

  table = opened(directory.path());

  CHECK(table->last() == 50);
  CHECK(table->first() == 50);
}

TEST_CASE("appends keep pace with what may be trimmed") {
  const TemporaryDirectory directory;
  const std::unique_ptr<JournalTable> table = opened(directory.path());
  for (Index i = 1; i <= 100; ++i) {
    REQUIRE(table->append("entry"));
    table->trim_to(i);
    CHECK(table->last() - table->first() <= 16);
  }
}

TEST_CASE("under normal durability, too, the first entry after opening survives a power cut") {
  const TemporaryDirectory directory;
  const TemporaryDirectory cut;
  FaultVfs vfs;
  JournalTableOptions options;
  options.durability = Durability::normal;
  options.vfs = vfs.name();
  options.path = directory.file("journal.db");
  std::unique_ptr<JournalTable> table = JournalTable::open(options).value();
  REQUIRE(table->append("first"));
  REQUIRE(table->append("second"));
  table.reset();
  table = JournalTable::open(options).value();
  REQUIRE(table->append("third"));
  for (int i = 0; i < 5; ++i) REQUIRE(table->append("later"));

  vfs.cut_power(directory.path(), cut.path());

  options.vfs.clear();
  options.path = cut.file("journal.db");
  const std::unique_ptr<JournalTable> left = JournalTable::open(options).value();
  CHECK(left->last() >= 3);
  CHECK(left->last() < 8);
}

TEST_CASE("a journal skipped forward is empty and goes on behind") {
  const TemporaryDirectory directory;
  std::unique_ptr<JournalTable> table = opened(directory.path());
  for (int i = 0; i < 3; ++i) REQUIRE(table->append("entry"));
  REQUIRE(table->skip_to(10));
  table.reset();

  table = opened(directory.path());
  CHECK(table->last() == 10);
  CHECK(table->first() == 11);
  REQUIRE(table->append("next"));

  std::vector<JournalEntry> entries;
  REQUIRE(table->read(10, 1000, entries));
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].index == 11);
}

TEST_CASE("the WAL begins short, grows only for large entries, and is gone after a stop in order") {
  const TemporaryDirectory directory;
  const std::string wal = directory.file("journal.db-wal");
  std::unique_ptr<JournalTable> table = opened(directory.path());
  REQUIRE(table->append("entry"));
  REQUIRE(table->checkpoint_if_due());
  CHECK(std::filesystem::file_size(wal) == 1 << 20);

  for (int i = 0; i < 200; ++i) {
    REQUIRE(table->append("entry"));
    REQUIRE(table->checkpoint_if_due());
  }
  CHECK(std::filesystem::file_size(wal) < 2 << 20);

  const std::string large(500'000, 'x');
  for (int i = 0; i < 100; ++i) {
    REQUIRE(table->append(large));
    REQUIRE(table->checkpoint_if_due());
  }
  const auto grown = std::filesystem::file_size(wal);
  CHECK(grown >= 8 << 20);
  CHECK(grown < 10 << 20);
  table.reset();
  CHECK_FALSE(std::filesystem::exists(wal));
  CHECK(opened(directory.path())->last() == 301);
}

}  // namespace jack::test

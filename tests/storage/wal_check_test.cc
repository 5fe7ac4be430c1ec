#include "storage/wal_check.h"

#include <cerrno>
#include <cstring>
#include <random>

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "storage/journal_table.h"
#include "tests/storage/fixtures.h"
#include "tests/support/fault_vfs.h"

namespace jack::test {
namespace {

constexpr std::size_t kHeaderBytes = 32;
constexpr std::size_t kFrameHeaderBytes = 24;
constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kFrameBytes = kFrameHeaderBytes + kPageBytes;
constexpr std::size_t kSectorBytes = 512;

// What check_wal() says of a file with this content.
std::optional<WalDamage> checked(const std::string& wal) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("wal");
  write_file(path, wal);
  const int file = ::open(path.c_str(), O_RDONLY);
  const Result<std::optional<WalDamage>> damage = check_wal(file);
  ::close(file);
  REQUIRE(damage);
  CHECK(content_of(path) == wal);
  return *damage;
}

// A WAL that SQLite wrote: transactions of one frame and of many.
class RealWal {
 public:
  RealWal() {
    REQUIRE(sqlite3_open(directory_.file("t.db").c_str(), &database_) == SQLITE_OK);
    execute(
        "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;"
        "CREATE TABLE t(n INTEGER PRIMARY KEY, bytes BLOB)");
    checkpoint();
  }
  RealWal(const RealWal&) = delete;
  RealWal& operator=(const RealWal&) = delete;
  ~RealWal() { sqlite3_close(database_); }

  // A transaction that writes about as many frames.
  void add(std::size_t frames) {
    execute("INSERT INTO t(bytes) VALUES(randomblob(" + std::to_string(frames * 4000) + "))");
  }

  // The next transaction begins the file anew, with other salts.
  void checkpoint() { execute("PRAGMA wal_checkpoint(RESTART)"); }

  std::string content() const { return content_of(directory_.file("t.db-wal")); }

 private:
  void execute(const std::string& sql) const {
    REQUIRE(sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  }

  const TemporaryDirectory directory_;
  sqlite3* database_ = nullptr;
};

std::string wal_of(std::initializer_list<std::size_t> transactions) {
  RealWal wal;
  for (const std::size_t frames : transactions) wal.add(frames);
  return wal.content();
}

std::size_t frames_in(const std::string& wal) { return (wal.size() - kHeaderBytes) / kFrameBytes; }

// Frames count from 1.
std::size_t offset_of(std::size_t frame) { return kHeaderBytes + (frame - 1) * kFrameBytes; }

bool commits(const std::string& wal, std::size_t frame) {
  return wal.compare(offset_of(frame) + 4, 4, std::string(4, '\0')) != 0;
}

// Transactions that begin behind that of the frame.
std::size_t transactions_behind(const std::string& wal, std::size_t frame) {
  std::size_t ends = 0;
  for (std::size_t i = frame; i <= frames_in(wal); ++i) ends += commits(wal, i) ? 1 : 0;
  return ends - 1;
}

std::string flipped(std::string wal, std::size_t at) {
  wal[at] = static_cast<char>(wal[at] ^ 0x10);
  return wal;
}

// What power loss may leave of a write that was not synced: each sector as it was or as it became.
std::string torn(std::string before, const std::string& after, std::mt19937& dice) {
  before.resize(after.size());
  for (std::size_t at = 0; at < after.size(); at += kSectorBytes) {
    if (dice() % 2 == 0) before.replace(at, kSectorBytes, after, at, kSectorBytes);
  }
  return before;
}

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

// A WAL made by hand from SQLite's description: `transactions` of two frames, summed in one order
// of bytes or the other.
std::string made_wal(bool summed_big_endian, std::size_t page_bytes, int transactions) {
  std::uint32_t first = 0;
  std::uint32_t second = 0;
  const auto add = [&](const std::string& bytes) {
    const auto number = [&](std::size_t at) {
      std::uint32_t value = 0;
      for (std::size_t i = 0; i < 4; ++i) {
        const std::size_t place = summed_big_endian ? 3 - i : i;
        value |= std::uint32_t{static_cast<unsigned char>(bytes[at + i])} << (8 * place);
      }
      return value;
    };
    for (std::size_t at = 0; at < bytes.size(); at += 8) {
      first += number(at) + second;
      second += number(at + 4) + first;
    }
    return big_endian(first) + big_endian(second);
  };
  const std::string salts = "salt1234";
  std::string wal = big_endian(0x377f0682 + (summed_big_endian ? 1 : 0)) + big_endian(3007000) +
                    big_endian(static_cast<std::uint32_t>(page_bytes)) + big_endian(0) + salts;
  wal += add(wal);
  for (std::uint32_t frame = 1; frame <= 2 * static_cast<std::uint32_t>(transactions); ++frame) {
    const std::string numbers = big_endian(frame) + big_endian(frame % 2 == 0 ? frame : 0);
    const std::string page(page_bytes, static_cast<char>(frame));
    add(numbers);
    wal += numbers + salts + add(page) + page;
  }
  return wal;
}

}  // namespace

TEST_CASE("a WAL as SQLite writes it is whole, wherever it was cut off") {
  const std::string wal = wal_of({1, 5, 1, 2, 30, 1});

  CHECK_FALSE(checked(wal));
  for (std::size_t size = 0; size < wal.size(); size += 997) {
    CAPTURE(size);
    CHECK_FALSE(checked(wal.substr(0, size)));
  }
}

TEST_CASE("what holds no frames is an empty WAL") {
  const std::string header = wal_of({1}).substr(0, kHeaderBytes);

  CHECK_FALSE(checked(""));
  CHECK_FALSE(checked(header.substr(0, 31)));
  CHECK_FALSE(checked(header));
  CHECK_FALSE(checked(flipped(header, 3)));
  CHECK_FALSE(checked(std::string(100'000, '\0')));
  CHECK_FALSE(checked(header + std::string(100'000, '\0')));
  CHECK_FALSE(checked(flipped(header, 3) + std::string(100'000, '\0')));
}

TEST_CASE("damage to the header of a WAL with frames is named") {
  const std::string wal = wal_of({1});
  for (std::size_t at = 0; at < kHeaderBytes; ++at) {
    CAPTURE(at);
    const std::optional<WalDamage> damage = checked(flipped(wal, at));
    REQUIRE(damage);
    CHECK(damage->frame == 0);
  }
  CHECK(checked(std::string(kHeaderBytes, '\0') + wal.substr(kHeaderBytes)));
}

// It was taken for damage: an engine that was killed within this write did not start again.
TEST_CASE("a header that was being written for the next use of the WAL is not damage") {
  RealWal file;
  const std::size_t uses = GENERATE(1u, 2u, 255u);
  CAPTURE(uses);
  for (std::size_t i = 1; i < uses; ++i) {
    file.add(1);
    file.checkpoint();
  }
  for (int i = 0; i < 3; ++i) file.add(2);
  file.checkpoint();
  const std::string before = file.content();
  file.add(1);
  const std::string after = file.content();

  for (std::size_t written = 0; written <= kHeaderBytes; ++written) {
    CAPTURE(written);
    // Within the number of the use, amid its carry: no system tears there.
    if (written == 15 && uses == 255) continue;
    CHECK_FALSE(checked(after.substr(0, written) + before.substr(written)));
  }
  // Frames of the use that the damaged header began are no earlier ones.
  CHECK(checked(flipped(after, 17)));
}

TEST_CASE("damage in any frame but those of the last transactions is named, with its place") {
  // Within a frame: the page number, the commit mark, salts, sums, the page.
  const std::size_t within = GENERATE(3u, 7u, 8u, 15u, 16u, 23u, 24u, 2000u, 4119u);
  const std::string behind = GENERATE(std::string(), std::string(50'000, '\0'));
  const std::string wal = wal_of({1, 5, 1, 1, 2, 12, 1, 3});
  CAPTURE(within);
  std::size_t named = 0;
  for (std::size_t frame = 1; frame <= frames_in(wal); ++frame) {
    CAPTURE(frame);
    if (within == 7 && !commits(wal, frame)) continue;  // it would become a mark
    const std::optional<WalDamage> damage =
        checked(flipped(wal, offset_of(frame) + within) + behind);
    const std::size_t transactions = transactions_behind(wal, frame);
    if (transactions == 0) CHECK_FALSE(damage);  // it may as well be torn
    if (transactions >= 2) REQUIRE(damage);
    if (transactions == 1 && within >= kFrameHeaderBytes) REQUIRE(damage);
    if (!damage) continue;
    ++named;
    CHECK(damage->frame == frame);
    CHECK(damage->offset == offset_of(frame));
    CHECK(damage->commits <= transactions);
  }
  CHECK(named >= 4);
}

TEST_CASE("several damaged frames are named as the first of them") {
  const std::string wal = wal_of({2, 2, 2, 2, 2, 2});

  const std::optional<WalDamage> damage =
      checked(flipped(flipped(wal, offset_of(3) + 100), offset_of(6) + 100));

  REQUIRE(damage);
  CHECK(damage->frame == 3);
}

TEST_CASE("a last transaction that power loss has torn in any way is not damage") {
  std::mt19937 dice(20261122);
  RealWal file;
  file.add(3);
  // What was under the frames before: nothing, zeros, or an earlier use of the file.
  const int under = GENERATE(0, 1, 2);
  CAPTURE(under);
  if (under == 2) {
    file.add(80);
    file.checkpoint();
    file.add(3);
  }
  for (int i = 0; i < 6; ++i) {
    std::string before = file.content();
    file.add(1 + dice() % 9);
    const std::string after = file.content();
    if (under == 1) before.resize(after.size() + 100'000);
    for (int cut = 0; cut < 30; ++cut) CHECK_FALSE(checked(torn(before, after, dice)));
  }
}

TEST_CASE("frames of an earlier use of the WAL are no commits behind damage") {
  RealWal file;
  for (int i = 0; i < 20; ++i) file.add(2);
  file.checkpoint();
  file.add(2);
  const std::string one = file.content();
  file.add(2);
  file.add(2);
  const std::string three = file.content();

  CHECK_FALSE(checked(one));
  CHECK_FALSE(checked(flipped(one, offset_of(1) + 100)));
  CHECK_FALSE(checked(three));
  CHECK(checked(flipped(three, offset_of(1) + 100)));
}

TEST_CASE("a WAL may be summed in either order of bytes, with any size of page") {
  const bool order = GENERATE(false, true);
  const std::size_t page_bytes = GENERATE(512u, 32768u, 65536u);
  const std::string wal = made_wal(order, page_bytes, 4);
  CAPTURE(order, page_bytes);

  CHECK_FALSE(checked(wal));
  const std::optional<WalDamage> damage = checked(flipped(wal, kHeaderBytes + 30));
  REQUIRE(damage);
  CHECK(damage->frame == 1);
  CHECK(damage->commits == 3);
}

TEST_CASE("a WAL that cannot be read is unavailable") {
  const Result<std::optional<WalDamage>> damage = check_wal(-1);

  REQUIRE_FALSE(damage);
  CHECK(damage.error().code == Code::unavailable);
}

// --- The journal and its WAL ---

namespace {

JournalTableOptions journal_at(const std::string& directory) {
  JournalTableOptions options;
  options.path = directory + "/journal.db";
  return options;
}

std::unique_ptr<JournalTable> opened(const JournalTableOptions& options) {
  Result<std::unique_ptr<JournalTable>> table = JournalTable::open(options);
  if (!table) FAIL(table.error().message);
  return std::move(*table);
}

void append_some(JournalTable& table, int count, std::size_t bytes = 10) {
  for (int i = 0; i < count; ++i) REQUIRE(table.append(std::string(bytes, 'x')));
}

}  // namespace

TEST_CASE("a journal with damage amid its WAL is refused untouched, and says where") {
  const TemporaryDirectory directory;
  const std::unique_ptr<JournalTable> table = opened(journal_at(directory.path()));
  append_some(*table, 8);
  const TemporaryDirectory crashed;
  copy_files(directory.path(), crashed.path());
  const std::string path = crashed.file("journal.db-wal");
  const std::string damaged = flipped(content_of(path), kHeaderBytes + 30'000);
  write_file(path, damaged);

  const Result<std::unique_ptr<JournalTable>> refused =
      JournalTable::open(journal_at(crashed.path()));

  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::corruption);
  CHECK_THAT(refused.error().message, ::test::ContainsSubstring(path));
  CHECK_THAT(refused.error().message, ::test::ContainsSubstring("frame 1"));
  CHECK(content_of(path) == damaged);
  CHECK(content_of(crashed.file("journal.db")) == content_of(directory.file("journal.db")));
}

TEST_CASE("under normal durability what is behind the damage counts as lost, and this is told") {
  const TemporaryDirectory directory;
  JournalTableOptions options = journal_at(directory.path());
  options.durability = Durability::normal;
  const std::unique_ptr<JournalTable> table = opened(options);
  append_some(*table, 8);
  const TemporaryDirectory crashed;
  copy_files(directory.path(), crashed.path());
  const std::string path = crashed.file("journal.db-wal");
  write_file(path, flipped(content_of(path), kHeaderBytes + 30'000));
  options.path = crashed.file("journal.db");

  std::unique_ptr<JournalTable> recovered = opened(options);
  CHECK(recovered->last() < 8);
  CHECK_THAT(recovered->database().warning(), ::test::ContainsSubstring("are lost"));
  recovered.reset();

  CHECK(opened(options)->database().warning().empty());
}

TEST_CASE("a journal that power loss has torn opens again and again, with all it acknowledged") {
  std::mt19937 dice(20261122);
  std::vector<std::unique_ptr<TemporaryDirectory>> lives;
  lives.push_back(std::make_unique<TemporaryDirectory>());
  Index acknowledged = 0;
  for (int life = 0; life < 20; ++life) {
    CAPTURE(life);
    const std::string living = lives.back()->path();
    FaultVfs vfs;
    JournalTableOptions options = journal_at(living);
    options.vfs = vfs.name();
    const std::unique_ptr<JournalTable> table = opened(options);
    REQUIRE(table->last() >= acknowledged);
    append_some(*table, 4, dice() % 200'000);
    acknowledged = table->last();
    table->trim_to(acknowledged);
    for (int i = 0; i < 2; ++i) REQUIRE(table->trim_some());
    append_some(*table, 20);
    table->trim_to(table->last());
    acknowledged = table->last();
    REQUIRE(table->trim_some());

    // The power fails before the next append is synced.
    vfs.fail({FaultVfs::Operation::sync, 1, EIO, false});
    CHECK_FALSE(table->append(std::string(dice() % 400'000, 'x')));
    lives.push_back(std::make_unique<TemporaryDirectory>());
    const std::string next = lives.back()->path();
    vfs.cut_power(living, next);
    const std::string synced = content_of(next + "/journal.db-wal");
    const std::string written = content_of(living + "/journal.db-wal");
    write_file(next + "/journal.db-wal", torn(synced, written, dice));
  }
}

TEST_CASE("appends that found no room leave nothing behind that looks like damage") {
  const TemporaryDirectory directory;
  FaultVfs vfs;
  JournalTableOptions options = journal_at(directory.path());
  options.vfs = vfs.name();
  const std::unique_ptr<JournalTable> table = opened(options);
  const std::string large(400'000, 'x');
  const std::string small(200'000, 'x');
  const auto writes_of = [&](const std::string& entry) {
    REQUIRE(table->append(entry));  // the first one also writes the header
    vfs.heal();
    REQUIRE(table->append(entry));
    return vfs.count(FaultVfs::Operation::write);
  };
  append_some(*table, 1);
  REQUIRE(table->checkpoint_if_due());  // its zeros fill frames that were not written whole
  const int writes_of_large = writes_of(large);
  const int writes_of_small = writes_of(small);
  // The last write is the page of the frame with the commit mark, the one before it the mark.
  for (int before_end = 0; before_end < 4; ++before_end) {
    CAPTURE(before_end);
    vfs.fail({FaultVfs::Operation::write, writes_of_large - before_end, ENOSPC, true});
    CHECK_FALSE(table->append(large));
    vfs.fail({FaultVfs::Operation::write, writes_of_small - before_end, ENOSPC, true});
    CHECK_FALSE(table->append(small));
    vfs.heal();
    append_some(*table, 1);
    const TemporaryDirectory crashed;
    copy_files(directory.path(), crashed.path());

    CHECK(opened(journal_at(crashed.path()))->last() == table->last());
  }
}

}  // namespace jack::test

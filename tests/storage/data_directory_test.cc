#include "storage/data_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include "tests/storage/fixtures.h"

namespace jack::test {
namespace {

DataDirectoryOptions at(const std::string& path) {
  DataDirectoryOptions options;
  options.path = path;
  options.reserve_bytes = 1 << 20;
  return options;
}

std::unique_ptr<DataDirectory> opened(const std::string& path, const Clock& clock) {
  Result<std::unique_ptr<DataDirectory>> directory = DataDirectory::open(at(path), clock);
  if (!directory) FAIL(directory.error().message);
  return std::move(*directory);
}

// As an engine that takes work.
std::unique_ptr<DataDirectory> running(const std::string& path, const Clock& clock) {
  std::unique_ptr<DataDirectory> directory = opened(path, clock);
  REQUIRE(directory->begin_run());
  return directory;
}

Code refusal_at(const std::string& path, const Clock& clock) {
  const Result<std::unique_ptr<DataDirectory>> directory = DataDirectory::open(at(path), clock);
  return directory ? Code::ok : directory.error().code;
}

unsigned mode_of(const std::string& path) {
  struct stat found {};
  REQUIRE(::stat(path.c_str(), &found) == 0);
  return found.st_mode & 0777;
}

}  // namespace

TEST_CASE("a data directory is made private, with its parents") {
  const TemporaryDirectory temporary;
  const TestClock clock;
  const std::string path = temporary.file("a/b/jack");

  const std::unique_ptr<DataDirectory> directory = opened(path, clock);

  CHECK(mode_of(path) == 0700);
  CHECK(mode_of(path + "/lock") == 0600);
  CHECK(mode_of(path + "/engine.id") == 0600);
  CHECK(directory->tasks_path() == path + "/tasks.db");
  CHECK(directory->journal_path() == path + "/journal.db");
}

TEST_CASE("a folder that others could read is made private if it is empty or an engine's") {
  const TemporaryDirectory temporary;
  const TestClock clock;
  for (const char* const before : {"nothing", "jack.toml", "an engine"}) {
    if (before == std::string("jack.toml")) write_file(temporary.file(before), "");
    REQUIRE(::chmod(temporary.path().c_str(), 0755) == 0);

    opened(temporary.path(), clock);

    INFO(before);
    CHECK(mode_of(temporary.path()) == 0700);
    if (before == std::string("nothing")) {
      for (const char* const made : {"engine.id", "lock", "reserve"}) {
        REQUIRE(::unlink(temporary.file(made).c_str()) == 0);
      }
    }
  }
}

// `jack serve --data-dir ~` closed a home to everybody else, without a word.
TEST_CASE("a folder that holds other things is not closed to others, but refused") {
  const TemporaryDirectory temporary;
  const TestClock clock;
  write_file(temporary.file("letter.txt"), "Dear reader");
  REQUIRE(::chmod(temporary.path().c_str(), 0755) == 0);

  CHECK(refusal_at(temporary.path(), clock) == Code::failed_precondition);

  CHECK(mode_of(temporary.path()) == 0755);
  CHECK(::access(temporary.file("lock").c_str(), F_OK) != 0);
  REQUIRE(::chmod(temporary.path().c_str(), 0700) == 0);
  CHECK(refusal_at(temporary.path(), clock) == Code::ok);
}

TEST_CASE("a second engine on a data directory is refused and hears who holds it") {
  const TemporaryDirectory temporary;
  const TestClock clock;
  std::unique_ptr<DataDirectory> first = opened(temporary.path(), clock);

  const Result<std::unique_ptr<DataDirectory>> second =
      DataDirectory::open(at(temporary.path()), clock);

  REQUIRE_FALSE(second);
  CHECK(second.error().code == Code::unavailable);
  CHECK_THAT(second.error().message,
             ::test::ContainsSubstring("process " + std::to_string(::getpid()) + ")"));
  first.reset();
  CHECK(DataDirectory::open(at(temporary.path()), clock));
}

TEST_CASE("an engine keeps its id, and no two have the same") {
  const TemporaryDirectory one;
  const TemporaryDirectory two;
  const TestClock clock;
  const EngineId id = opened(one.path(), clock)->engine_id();

  CHECK(opened(one.path(), clock)->engine_id() == id);
  CHECK(opened(two.path(), clock)->engine_id() != id);
}

TEST_CASE("the next start knows whether the last stop was clean, and when") {
  const TemporaryDirectory temporary;
  TestClock clock;
  const WallTime start = clock.wall;
  std::unique_ptr<DataDirectory> directory = running(temporary.path(), clock);
  CHECK(directory->last_stop().kind == LastStop::Kind::never_ran);

  SECTION("clean") {
    clock.wall += std::chrono::seconds{5};
    REQUIRE(directory->stop_cleanly());
    directory.reset();
    directory = opened(temporary.path(), clock);
    CHECK(directory->last_stop().kind == LastStop::Kind::clean);
    CHECK(directory->last_stop().at == start + std::chrono::seconds{5});
  }
  SECTION("unclean: the time is that of the start") {
    directory.reset();
    clock.wall += std::chrono::seconds{5};
    directory = opened(temporary.path(), clock);
    CHECK(directory->last_stop().kind == LastStop::Kind::unclean);
    CHECK(directory->last_stop().at == start);
  }
  // A start that was refused because of a port in use was told as a crash by the next one.
  SECTION("to open it does not count as a run") {
    REQUIRE(directory->stop_cleanly());
    directory.reset();
    opened(temporary.path(), clock);
    CHECK(DataDirectory::read_last_stop(temporary.path())->kind == LastStop::Kind::clean);
  }
}

TEST_CASE("small files that are not what was written are named") {
  const TemporaryDirectory temporary;
  const TestClock clock;
  opened(temporary.path(), clock);
  const auto [name, content] =
      GENERATE(table<const char*, const char*>({{"engine.id", "short\n"},
                                                {"engine.id", "zz23456789abcdef0123456789abcdef\n"},
                                                {"last-stop", ""},
                                                {"last-stop", "running\n"},
                                                {"last-stop", "dancing 12\n"},
                                                {"last-stop", "clean soon\n"}}));
  CAPTURE(name, content);
  write_file(temporary.file(name), content);

  const Result<std::unique_ptr<DataDirectory>> refused =
      DataDirectory::open(at(temporary.path()), clock);

  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::corruption);
  CHECK_THAT(refused.error().message, ::test::ContainsSubstring(name));
}

TEST_CASE("a path that cannot be a folder is refused") {
  const TemporaryDirectory temporary;
  const TestClock clock;
  write_file(temporary.file("file"), "");
  REQUIRE(::chmod(temporary.file("file").c_str(), 0644) == 0);

  CHECK(refusal_at(temporary.file("file"), clock) == Code::failed_precondition);
  CHECK(refusal_at(temporary.file("file/below"), clock) == Code::unavailable);

  CHECK(mode_of(temporary.file("file")) == 0644);  // it was made private first
}

TEST_CASE("the reserve takes room, gives it back once, and takes it again") {
  const TemporaryDirectory temporary;
  const TestClock clock;
  const std::unique_ptr<DataDirectory> directory = opened(temporary.path(), clock);
  Reserve& reserve = directory->reserve();
  CHECK(reserve.held());
  CHECK(std::filesystem::file_size(temporary.file("reserve")) == 1 << 20);

  CHECK(reserve.release());
  CHECK_FALSE(reserve.release());
  CHECK_FALSE(reserve.held());
  CHECK(std::filesystem::file_size(temporary.file("reserve")) == 0);

  CHECK(reserve.restore());
  CHECK(reserve.held());
  CHECK(std::filesystem::file_size(temporary.file("reserve")) == 1 << 20);
}

TEST_CASE("a reserve that the volume has no room for opens released") {
  const TemporaryDirectory temporary;
  const TestClock clock;
  DataDirectoryOptions options = at(temporary.path());
  options.reserve_bytes = std::uint64_t{1} << 62;

  const Result<std::unique_ptr<DataDirectory>> directory = DataDirectory::open(options, clock);

  REQUIRE(directory);
  CHECK_FALSE((*directory)->reserve().held());
  CHECK_FALSE((*directory)->reserve().restore());
  CHECK((*directory)->room_bytes() == 0);
  CHECK(std::filesystem::file_size(temporary.file("reserve")) == 0);
}

TEST_CASE("free space is asked for at most once a second") {
  const TemporaryDirectory temporary;
  TestClock clock;
  const std::unique_ptr<DataDirectory> directory = opened(temporary.path(), clock);
  const std::uint64_t room = directory->room_bytes();
  CHECK(room > 0);
  std::filesystem::remove_all(temporary.path());  // so that asking again would find nothing

  clock.steady = clock.steady + std::chrono::milliseconds{999};
  CHECK(directory->room_bytes() == room);
  clock.steady = clock.steady + std::chrono::milliseconds{1};
  CHECK(directory->room_bytes() == 0);
}

}  // namespace jack::test

// When keys were last used.
#include "engine/wire/last_used.h"

#include <filesystem>
#include <fstream>
#include <future>

#include "engine/date.h"
#include "tests/catch.hpp"
#include "tests/wire/folder.h"

using namespace std::chrono_literals;

namespace jack::wire {
namespace {

using test::Folder;

const WallTime kMorning = parse_date("2026-11-23T10:00:00.250Z").value();

}  // namespace

TEST_CASE("the last use of a key is written when told to, and the later date stays") {
  Folder folder;
  const std::string path = folder / "data/keys/used";
  LastUsed used(path);
  CHECK(used.flush().has_value());
  CHECK(read_use_times(path).error().code == Code::not_found);

  used.note("ada", kMorning);
  used.note("ci", kMorning + 2s);
  used.note("ci", kMorning + 1s);  // another thread was slower
  CHECK(used.flush().has_value());
  CHECK(read_use_times(path).value() == UseTimes{{"ada", kMorning}, {"ci", kMorning + 2s}});

  used.note("ada", kMorning + 1min);
  CHECK(used.flush().has_value());
  CHECK(read_use_times(path).value() == UseTimes{{"ada", kMorning + 1min}, {"ci", kMorning + 2s}});
}

TEST_CASE("what was noted is written at the end") {
  Folder folder;
  LastUsed(folder / "keys/used").note("ada", kMorning);

  CHECK(read_use_times(folder / "keys/used").value() == UseTimes{{"ada", kMorning}});
}

TEST_CASE("what was noted is written without being told to") {
  Folder folder;
  const std::string path = folder / "keys/used";
  LastUsed used(path, {}, 1ms);

  used.note("ada", kMorning);

  const auto end = std::chrono::steady_clock::now() + 20s;
  while (!std::filesystem::exists(path) && std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
  }
  CHECK(read_use_times(path).value() == UseTimes{{"ada", kMorning}});
}

TEST_CASE("several write the same file, and none takes away what another noted") {
  Folder folder;
  const std::string path = folder / "keys/used";
  LastUsed door(path);
  LastUsed other_door(path);

  door.note("ada", kMorning);
  other_door.note("ada", kMorning + 1h);
  other_door.note("ci", kMorning);
  CHECK(other_door.flush().has_value());
  CHECK(door.flush().has_value());

  CHECK(read_use_times(path).value() == UseTimes{{"ada", kMorning + 1h}, {"ci", kMorning}});
}

TEST_CASE("lines that say no date are left out, and gone with the next writing") {
  Folder folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_all);
  const std::string path = folder / "used";
  std::ofstream(path) << "ada 2026-11-23T10:00:00.250Z\nbob yesterday\nci\n\n";
  CHECK(read_use_times(path).value() == UseTimes{{"ada", kMorning}});

  LastUsed used(path);
  used.note("ci", kMorning);
  CHECK(used.flush().has_value());

  CHECK(read_use_times(path).value() == UseTimes{{"ada", kMorning}, {"ci", kMorning}});
}

TEST_CASE("a file that cannot be read begins anew") {
  Folder folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_all);
  const std::string path = folder / "used";
  std::ofstream(path) << std::string(2 << 20, 'x');
  LastUsed used(path);

  used.note("ada", kMorning);
  CHECK(used.flush().has_value());

  CHECK(read_use_times(path).value() == UseTimes{{"ada", kMorning}});
}

TEST_CASE("what cannot be written is told once, kept, and written when it can be") {
  Folder folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_all);
  const std::string path = folder / "used";
  std::filesystem::create_directory(path);  // where the file should be
  std::promise<Error> told;
  LastUsed used(
      path, [&](const Error& error) { told.set_value(error); }, 1ms);  // a second time would throw

  used.note("ada", kMorning);
  CHECK_THAT(told.get_future().get().message, ::test::ContainsSubstring(path));
  CHECK_FALSE(used.flush().has_value());
  std::filesystem::remove(path);

  const auto end = std::chrono::steady_clock::now() + 20s;
  while (!std::filesystem::exists(path) && std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
  }
  CHECK(read_use_times(path).value() == UseTimes{{"ada", kMorning}});
}

TEST_CASE("a folder that others may enter, and a lock that cannot be taken, are errors") {
  Folder folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms{0755});
  LastUsed open_to_all(folder / "used");
  open_to_all.note("ada", kMorning);
  CHECK(open_to_all.flush().error().code == Code::permission_denied);

  std::filesystem::create_directories(folder / "keys/used.lock");
  std::filesystem::permissions(folder / "keys", std::filesystem::perms::owner_all);
  LastUsed locked_out(folder / "keys/used");
  locked_out.note("ada", kMorning);
  CHECK(locked_out.flush().error().code == Code::invalid_argument);
}

}  // namespace jack::wire

#include <set>

#include <jack_engine/id.h>

#include "tests/catch.hpp"

namespace jack {

TEST_CASE("an id carries its time, its version and its random bits") {
  const TaskId id = TaskId::from(WallTime{Duration{0x0190'd4c2'7b1e}}, ~0ull, ~0ull);

  CHECK(to_string(id) == "0190d4c2-7b1e-7fff-bfff-ffffffffffff");
  CHECK(id.unix_ms() == 0x0190'd4c2'7b1e);
  CHECK(id.is_version_7());
}

TEST_CASE("an id is read in either case, and nothing else is") {
  const std::string text = "0190d4c2-7b1e-7fff-bfff-ffffffffffff";
  CHECK(to_string(*TaskId::parse(text)) == text);
  CHECK(to_string(*TaskId::parse("0190D4C2-7B1E-7FFF-BFFF-FFFFFFFFFFFF")) == text);
  for (const std::string_view wrong :
       {"", "0190d4c2", "0190d4c2-7b1e-7fff-bfff-fffffffffff",
        "0190d4c2-7b1e-7fff-bfff-fffffffffffff", "0190d4c27b1e7fffbfffffffffffffff",
        "0190d4c2-7b1e-7fff-bfff-fffffffffffg", "0190d4c2+7b1e-7fff-bfff-ffffffffffff"}) {
    CAPTURE(wrong);
    CHECK_FALSE(TaskId::parse(wrong));
  }
}

TEST_CASE("other versions of UUIDs are told apart") {
  CHECK_FALSE(TaskId::parse("0190d4c2-7b1e-4fff-bfff-ffffffffffff")->is_version_7());
  CHECK_FALSE(TaskId::parse("0190d4c2-7b1e-7fff-ffff-ffffffffffff")->is_version_7());
}

TEST_CASE("fresh ids of one thread are distinct and grow") {
  std::set<TaskId> ids;
  TaskId last;
  for (int i = 0; i < 20'000; ++i) {
    const TaskId id = new_task_id();
    CHECK(id > last);
    last = id;
    ids.insert(id);
  }
  CHECK(ids.size() == 20'000);
}

}  // namespace jack

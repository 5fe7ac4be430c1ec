// What shows that a value of tasks.db is still the one that was written: a digest that is stored
// beside it and checked whenever it is read. SQLite has none of its own.
//
// Each value has a seal, not each row: a result is read without the payload beside it, and an hour
// is emptied without being read. The seal is a column, not bytes behind the value: values are views
// of larger buffers, to which nothing can be appended without a copy. What the value belongs to and
// the short columns that go with it are under the same seal, so that it fits no other row.
//
// A value that moves to another table takes its seal along, unchecked: damage then stays what it
// is, and concerns nobody but who reads that value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <jack_engine/error.h>
#include <jack_engine/id.h>

namespace jack {

// Part of the file format: never renumber, never reuse a retired value.
enum class Sealed : std::uint8_t {
  meta = 1,    // of the entry it was written at
  queue = 2,   // by number
  hour = 3,    // what has become of the tasks that finished in it
  events = 4,  // by the first entry
  status = 5,  // the others: of a task
  spec = 6,
  result = 7,
  output = 8,
  numbers = 9,  // by the first of them
};

// Covers what is added, in that order. XXH3 (64 bits), each piece seeded with the digest before it.
class Seal {
 public:
  Seal(Sealed what, std::int64_t number);
  Seal(Sealed what, const TaskId& id);

  Seal& add(std::int64_t number);
  Seal& add(std::string_view bytes);

  // As it is stored.
  std::int64_t column() const { return static_cast<std::int64_t>(digest_); }

  // Errors: corruption  another seal was stored: value or seal are not what was written
  Result<void> check(std::int64_t stored) const;

  // "the result of task 018bcfe5-…"
  std::string name() const;

 private:
  std::uint64_t digest_;
  Sealed what_;
  std::int64_t number_ = 0;
  TaskId id_{};
};

}  // namespace jack

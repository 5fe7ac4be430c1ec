// Names of tasks and leases.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include <jack_engine/time.h>

namespace jack {

// A UUID of version 7 (RFC 9562): 48 bits of milliseconds since 1970, then random bits. Whoever
// submits a task makes its id, so that a repeated submit is the same task.
struct TaskId {
  std::array<std::uint8_t, 16> bytes{};

  friend auto operator<=>(const TaskId&, const TaskId&) = default;

  // All zero: "no task".
  bool empty() const { return *this == TaskId{}; }

  // The milliseconds since 1970 in its first 48 bits.
  std::int64_t unix_ms() const;

  // Version 7 and variant 10 where RFC 9562 puts them.
  bool is_version_7() const;

  std::string_view view() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  // An id with this time and these random bits (74 of the 128 are used). Pure.
  static TaskId from(WallTime time, std::uint64_t random_high, std::uint64_t random_low);

  // 16 raw bytes; nothing where the length differs.
  static std::optional<TaskId> from_bytes(std::string_view bytes);

  // The 36-character form, either case; nothing where it is not one.
  static std::optional<TaskId> parse(std::string_view text);
};

// "0190d4c2-7b1e-7c3a-9f00-1234567890ab"
std::string to_string(const TaskId& id);

// A fresh id from this host's wall clock and the system's random source. Ids made by one thread
// grow. Any thread.
TaskId new_task_id();

// The right to run one attempt. It only grows, over restarts too; its upper 16 bits are the
// journal's epoch. 0 is no lease.
struct LeaseToken {
  std::uint64_t value = 0;

  friend auto operator<=>(const LeaseToken&, const LeaseToken&) = default;
};

// Which no lease has.
inline constexpr LeaseToken kNoLease{};

// Where something stands in the journal: the number of the entry as every engine counts them, and
// the place within what that entry led to. A watcher resumes from the last position it has seen.
struct Position {
  std::uint64_t entry = 0;
  std::uint32_t ordinal = 0;

  friend auto operator<=>(const Position&, const Position&) = default;
};

}  // namespace jack

#include <random>

#include <jack_engine/id.h>

namespace jack {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr bool is_dash_at(std::size_t byte) {
  return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

}  // namespace

std::int64_t TaskId::unix_ms() const {
  std::int64_t ms = 0;
  for (std::size_t i = 0; i < 6; ++i) ms = ms << 8 | bytes[i];
  return ms;
}

bool TaskId::is_version_7() const { return bytes[6] >> 4 == 7 && bytes[8] >> 6 == 2; }

TaskId TaskId::from(WallTime time, std::uint64_t random_high, std::uint64_t random_low) {
  const auto ms = static_cast<std::uint64_t>(time.time_since_epoch().count());
  const std::uint64_t high = ms << 16 | 0x7000 | (random_high & 0x0fff);
  const std::uint64_t low = 2ull << 62 | (random_low & ~(3ull << 62));
  TaskId id;
  for (std::size_t i = 0; i < 8; ++i) {
    id.bytes[i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
    id.bytes[8 + i] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
  }
  return id;
}

std::optional<TaskId> TaskId::from_bytes(std::string_view bytes) {
  TaskId id;
  if (bytes.size() != id.bytes.size()) return std::nullopt;
  std::memcpy(id.bytes.data(), bytes.data(), bytes.size());
  return id;
}

std::optional<TaskId> TaskId::parse(std::string_view text) {
  TaskId id;
  std::size_t at = 0;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    if (is_dash_at(i) && (at >= text.size() || text[at++] != '-')) return std::nullopt;
    if (at + 2 > text.size()) return std::nullopt;
    const int high = hex_value(text[at]);
    const int low = hex_value(text[at + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    id.bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
    at += 2;
  }
  if (at != text.size()) return std::nullopt;
  return id;
}

std::string to_string(const TaskId& id) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(36);
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    if (is_dash_at(i)) text += '-';
    text += kDigits[id.bytes[i] >> 4];
    text += kDigits[id.bytes[i] & 15];
  }
  return text;
}

TaskId new_task_id() {
  // A generator per thread, seeded by the system. Within a millisecond ids of a thread grow by the
  // 12 bits behind the time, as RFC 9562 (6.2, method 1) describes.
  thread_local std::mt19937_64 random{[] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }()};
  thread_local std::int64_t last_ms = 0;
  thread_local std::uint64_t counter = 0;

  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const std::int64_t ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  if (ms > last_ms) {
    last_ms = ms;
    counter = 0;
  } else if (++counter > 0x0fff) {
    ++last_ms;  // a millisecond ahead of the clock rather than out of order
    counter = 0;
  }
  return TaskId::from(WallTime{std::chrono::milliseconds{last_ms}}, counter, random());
}

}  // namespace jack

#include "engine/date.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace jack {
namespace {

using std::chrono::floor;

// Takes what a date is made of from the front of a text, one part after the other. After a part
// that is not there nothing more is taken, and `failed` stays true.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  // A number of exactly `digits` digits, from `low` to `high`.
  int number(std::size_t digits, int low, int high) {
    int value = 0;
    for (std::size_t i = 0; i < digits && !failed_; ++i) value = 10 * value + digit();
    failed_ = failed_ || value < low || value > high;
    return value;
  }

  // One of these characters.
  char one_of(std::string_view characters) {
    failed_ = failed_ || rest_.empty() || characters.find(rest_.front()) == std::string_view::npos;
    if (failed_) return '\0';
    const char found = rest_.front();
    rest_.remove_prefix(1);
    return found;
  }

  // Thousandths of a second, where there is a fraction.
  int milliseconds() {
    if (failed_ || rest_.empty() || rest_.front() != '.') return 0;
    rest_.remove_prefix(1);
    int value = 0;
    int weight = 100;
    do {
      value += weight * digit();
      weight /= 10;
    } while (!failed_ && !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9');
    return value;
  }

  bool failed() const { return failed_; }
  bool at_end() const { return rest_.empty(); }

 private:
  int digit() {
    const char found = one_of("0123456789");
    return failed_ ? 0 : found - '0';
  }

  std::string_view rest_;
  bool failed_ = false;
};

std::chrono::minutes read_offset(Reader& reader) {
  const char sign = reader.one_of("Zz+-");
  if (sign != '+' && sign != '-') return std::chrono::minutes{0};
  const int hours = reader.number(2, 0, 23);
  reader.one_of(":");
  const std::chrono::minutes offset{60 * hours + reader.number(2, 0, 59)};
  return sign == '+' ? offset : -offset;
}

std::optional<WallTime> read_date(std::string_view text) {
  Reader reader(text);
  const std::chrono::year year{reader.number(4, 0, 9999)};
  reader.one_of("-");
  const auto month = static_cast<unsigned>(reader.number(2, 1, 12));
  reader.one_of("-");
  const auto day = static_cast<unsigned>(reader.number(2, 1, 31));
  reader.one_of("Tt ");
  const std::chrono::hours hours{reader.number(2, 0, 23)};
  reader.one_of(":");
  const std::chrono::minutes minutes{reader.number(2, 0, 59)};
  reader.one_of(":");
  const std::chrono::seconds seconds{reader.number(2, 0, 60)};
  const Duration fraction{reader.milliseconds()};
  const std::chrono::minutes offset = read_offset(reader);

  const std::chrono::year_month_day date{year, std::chrono::month{month}, std::chrono::day{day}};
  if (reader.failed() || !reader.at_end() || !date.ok()) return std::nullopt;
  return WallTime{std::chrono::sys_days{date}} + hours + minutes + seconds + fraction - offset;
}

// With at least so many digits.
void append_number(std::string& text, std::int64_t number, std::size_t digits) {
  const std::string shortest = std::to_string(number < 0 ? -number : number);
  if (number < 0) text += '-';
  text.append(digits - std::min(digits, shortest.size() + (number < 0 ? 1 : 0)), '0') += shortest;
}

}  // namespace

Result<WallTime> parse_date(std::string_view text) {
  if (const std::optional<WallTime> date = read_date(text)) return *date;
  return Error{
      Code::invalid_argument,
      "'" + std::string(text) + "' is no date; write 2026-01-31T12:00:00Z, or +01:00 for the Z"};
}

std::string date_text(WallTime at) {
  const auto day = floor<std::chrono::days>(at);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss time{at - day};
  std::string text;
  append_number(text, static_cast<int>(date.year()), 4);
  append_number(text += '-', static_cast<unsigned>(date.month()), 2);
  append_number(text += '-', static_cast<unsigned>(date.day()), 2);
  append_number(text += 'T', time.hours().count(), 2);
  append_number(text += ':', time.minutes().count(), 2);
  append_number(text += ':', time.seconds().count(), 2);
  append_number(text += '.', time.subseconds().count(), 3);
  return text += 'Z';
}

}  // namespace jack

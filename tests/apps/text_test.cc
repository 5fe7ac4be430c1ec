// What people write and read: durations, dates, names nearly right, tables, hostile text.
#include <string>
#include <vector>

#include "apps/text/base64.h"
#include "apps/text/date.h"
#include "apps/text/duration.h"
#include "apps/text/escape.h"
#include "apps/text/nearest.h"
#include "apps/text/table.h"
#include "tests/catch.hpp"

namespace jack::app {
namespace {

using namespace std::chrono_literals;

TEST_CASE("a duration is whole numbers with units, added up") {
  CHECK(parse_duration("500ms").value() == 500ms);
  CHECK(parse_duration("10s").value() == 10s);
  CHECK(parse_duration("5m").value() == 5min);
  CHECK(parse_duration("2h").value() == 2h);
  CHECK(parse_duration("3d").value() == 72h);
  CHECK(parse_duration("1h30m").value() == 90min);
  CHECK(parse_duration("0").value() == 0ms);
  CHECK(parse_duration("0s").value() == 0ms);
}

TEST_CASE("what is no duration is refused with an example of one") {
  const std::string text = GENERATE("", "10", "s", "-1s", "1.5s", "1 s", "10S", "5x", "1sm", "ms",
                                    "99999999999999999999s");
  CAPTURE(text);

  const Result<Duration> parsed = parse_duration(text);

  REQUIRE(!parsed.has_value());
  CHECK(parsed.error().code == Code::invalid_argument);
  CHECK_THAT(parsed.error().message, test::ContainsSubstring("500ms"));
}

TEST_CASE("a duration beyond a hundred years is refused, also where its parts are not") {
  CHECK(parse_duration("36600d").has_value());
  CHECK(!parse_duration("36601d").has_value());
  CHECK(!parse_duration("36600d1ms").has_value());
  CHECK(!parse_duration("9223372036854775807d").has_value());
}

TEST_CASE("the exact text of a duration is read back as the same") {
  const Duration duration =
      GENERATE(Duration{0}, Duration{1}, Duration{90'000}, Duration{3'600'000},
               Duration{604'800'000}, Duration{86'400'123});
  CAPTURE(duration.count());

  CHECK(parse_duration(exact_text(duration)).value() == duration);
}

TEST_CASE("the short text of a duration has its two largest units") {
  CHECK(short_text(15ms) == "15ms");
  CHECK(short_text(1s) == "1s");
  CHECK(short_text(1250ms) == "1.2s");
  CHECK(short_text(65s) == "1m 5s");
  CHECK(short_text(2h) == "2h");
  CHECK(short_text(76h) == "3d 4h");
  CHECK(short_text(-5s) == "-5s");
}

TEST_CASE("a date is read as RFC 3339 writes it, in any time zone") {
  const WallTime noon = parse_date("2026-01-31T12:00:00Z").value();

  CHECK(noon.time_since_epoch() == 1'769'860'800s);
  CHECK(parse_date("2026-01-31t12:00:00z").value() == noon);
  CHECK(parse_date("2026-01-31 12:00:00Z").value() == noon);
  CHECK(parse_date("2026-01-31T13:30:00+01:30").value() == noon);
  CHECK(parse_date("2026-01-30T23:00:00-13:00").value() == noon);
  CHECK(parse_date("2026-01-31T12:00:00.25Z").value() == noon + 250ms);
  CHECK(parse_date("2026-01-31T12:00:00.1239999Z").value() == noon + 123ms);
  CHECK(parse_date("2024-02-29T00:00:00Z").has_value());
  CHECK(parse_date("2016-12-31T23:59:60Z").value() == parse_date("2017-01-01T00:00:00Z").value());
}

TEST_CASE("what is no date is refused") {
  const std::string text =
      GENERATE("", "tomorrow", "2026-01-31", "2026-01-31T12:00:00", "2026-13-01T00:00:00Z",
               "2026-02-29T00:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31T12:00:00.Z",
               "2026-01-31T12:00:00+1:00", "2026-01-31T12:00:00Zx", "26-1-1");
  CAPTURE(text);

  CHECK(!parse_date(text).has_value());
}

TEST_CASE("the text of a date is read back as the same") {
  const WallTime at{
      Duration{GENERATE(as<std::int64_t>(), 0, 1, 1'769'860'800'123, 253'402'300'799'999)}};

  CHECK(parse_date(date_text(at)).value() == at);
}

TEST_CASE("the nearest name is that with the fewest changes, if there are few") {
  const std::vector<std::string> known = {"durability", "data_dir", "listen", "log.format"};

  CHECK(nearest("durabilty", known) == "durability");
  CHECK(nearest("dtaa_dir", known) == "data_dir");
  CHECK(nearest("Listen", known) == "listen");
  CHECK(nearest("log_format", known) == "log.format");
  CHECK(nearest("colour", known) == std::nullopt);
  CHECK(nearest("", known) == std::nullopt);
  CHECK(nearest(std::string(100'000, 'x'), known) == std::nullopt);
}

TEST_CASE("the columns of a table are aligned, and no line ends in blanks") {
  Table table({{"NAME"}, {"COUNT", Align::right}, {"NOTE"}});
  table.add({"mail", "7", ""});
  table.add({"köln", "12345", "busy"});

  CHECK(table.text() ==
        "NAME  COUNT  NOTE\n"
        "mail      7\n"
        "köln  12345  busy\n");
}

TEST_CASE("a table without rows is its titles") { CHECK(Table({{"A"}, {"B"}}).text() == "A  B\n"); }

TEST_CASE("a table that is too wide cuts the widest of the columns that may be cut") {
  Table table({{"ID"}, {"QUEUE", Align::left, true}, {"NOTE", Align::left, true}});
  table.add({"0190d4c2", "mail", "the quick brown fox jumps"});

  CHECK(table.text({.width_max = 28, .colour = false}) ==
        "ID        QUEUE  NOTE\n"
        "0190d4c2  mail   the quick …\n");
  CHECK(table.text({.width_max = 5, .colour = false}) ==
        "ID        QUEUE  NOTE\n"
        "0190d4c2  mail   the…\n");
}

TEST_CASE("colours change what is seen and not where it stands") {
  Table table({{"STATE"}, {"N"}});
  table.add({Cell("failed", Tone::bad), "1"});

  CHECK(table.text({.width_max = 0, .colour = true}) ==
        "\x1b[1mSTATE\x1b[0m   \x1b[1mN\x1b[0m\n"
        "\x1b[31mfailed\x1b[0m  1\n");
}

TEST_CASE("text of unknown origin cannot control a terminal") {
  CHECK(escaped("plain, ü and 🙂") == "plain, ü and 🙂");
  CHECK(escaped("\x1b]0;title\x07") == "\\x1b]0;title\\x07");
  CHECK(escaped("a\nb\tc\r") == "a\\nb\\tc\\r");
  CHECK(escaped("\xc2\x9b") == "\\xc2\\x9b");
  CHECK(escaped("\xff\xc3") == "\\xff\\xc3");
  CHECK(escaped(std::string_view("\0", 1)) == "\\x00");
  CHECK(escaped_lines("a\nb\tc\x7f") == "a\nb\tc\\x7f");
}

TEST_CASE("UTF-8 is what RFC 3629 says and no more") {
  CHECK(is_utf8(""));
  CHECK(is_utf8("aü€🙂"));
  CHECK(!is_utf8("\xc0\x80"));
  CHECK(!is_utf8("\xed\xa0\x80"));
  CHECK(!is_utf8("\xf4\x90\x80\x80"));
  CHECK(!is_utf8("\xe2\x82"));
}

TEST_CASE("a text is cut between characters") {
  CHECK(cut_to("Grüße", 5) == "Grüße");
  CHECK(cut_to("Grüße", 4) == "Grü…");
  CHECK(cut_to("Grüße", 1) == "…");
  CHECK(cut_to("Grüße", 0).empty());
}

TEST_CASE("base64 is that of RFC 4648") {
  CHECK(base64("").empty());
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(base64("\xff\xfe") == "//4=");
}

}  // namespace
}  // namespace jack::app

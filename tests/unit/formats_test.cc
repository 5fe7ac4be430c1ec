// The formats that rest on disk and travel: what goes in comes out, and what is not of the format
// is refused.
#include <random>

#include "engine/format/command.h"
#include "engine/format/entry.h"
#include "engine/format/pack.h"
#include "engine/format/spec.h"
#include "engine/format/unpack.h"
#include "engine/state/stored.h"
#include "tests/catch.hpp"
#include "tests/unit/samples.h"

namespace jack {
namespace {

std::string encoded(const TaskSpec& spec) {
  std::string bytes;
  encode(spec, bytes);
  return bytes;
}

Code code_of_check(const TaskSpec& spec, const Limits& limits = {}) {
  const std::string bytes = encoded(spec);
  Unpacker unpacker;
  const Result<SpecView> view = decode_spec(unpacker, bytes);
  if (!view) return view.error().code;
  const Result<void> checked = check(*view, limits);
  return checked ? Code::ok : checked.error().code;
}

}  // namespace

TEST_CASE("a spec with every field survives encoding") {
  const TaskSpec spec = full_spec();
  const std::string bytes = encoded(spec);

  Unpacker unpacker;
  const Result<SpecView> view = decode_spec(unpacker, bytes);

  REQUIRE(view);
  CHECK(to_spec(*view) == spec);
}

TEST_CASE("a spec of defaults is small") {
  TaskSpec spec;
  spec.id = full_spec().id;
  spec.queue = "q";
  spec.payload = "p";

  CHECK(encoded(spec).size() == 1 + 18 + 2 + 3 + 1);
  CHECK(code_of_check(spec) == Code::ok);
}

TEST_CASE("a spec cut off anywhere is refused") {
  const std::string bytes = encoded(full_spec());
  Unpacker unpacker;
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    CAPTURE(length);
    CHECK_FALSE(decode_spec(unpacker, std::string_view(bytes).substr(0, length)));
  }
  CHECK_FALSE(decode_spec(unpacker, bytes + "x"));
}

TEST_CASE("a spec with a field of a newer version is refused as unsupported") {
  std::string bytes;
  Packer(bytes).array(4).id(full_spec().id).text("q").bytes("p").map(1).u64(99).u64(1);
  Unpacker unpacker;

  const Result<SpecView> view = decode_spec(unpacker, bytes);

  REQUIRE_FALSE(view);
  CHECK(view.error().code == Code::unsupported);
}

TEST_CASE("fields of a spec must come in growing order, each once") {
  const auto with_fields = [](std::uint64_t first, std::uint64_t second) {
    std::string bytes;
    Packer packer(bytes);
    packer.array(4).id(full_spec().id).text("q").bytes("p").map(2);
    packer.u64(first).text("a").u64(second).text("b");
    return bytes;
  };
  Unpacker unpacker;
  CHECK(decode_spec(unpacker, with_fields(1, 2)));
  CHECK_FALSE(decode_spec(unpacker, with_fields(2, 1)));
  CHECK_FALSE(decode_spec(unpacker, with_fields(1, 1)));
}

TEST_CASE("each bound of a spec is kept at its edge and refused beyond it") {
  const auto changed = [](auto change) {
    TaskSpec spec = full_spec();
    change(spec);
    return code_of_check(spec);
  };
  CHECK(changed([](TaskSpec& s) { s.queue = std::string(128, 'q'); }) == Code::ok);
  CHECK(changed([](TaskSpec& s) { s.queue = std::string(129, 'q'); }) == Code::invalid_argument);
  CHECK(changed([](TaskSpec& s) { s.queue = ""; }) == Code::invalid_argument);
  CHECK(changed([](TaskSpec& s) { s.queue = "a b"; }) == Code::invalid_argument);
  CHECK(changed([](TaskSpec& s) { s.payload = std::string(1 << 20, 'p'); }) == Code::ok);
  CHECK(changed([](TaskSpec& s) { s.payload = std::string((1 << 20) + 1, 'p'); }) ==
        Code::payload_too_large);
  CHECK(changed([](TaskSpec& s) { s.type = std::string(256, 't'); }) == Code::ok);
  CHECK(changed([](TaskSpec& s) { s.type = std::string(257, 't'); }) == Code::invalid_argument);
  CHECK(changed([](TaskSpec& s) { s.from = "line\nbreak"; }) == Code::invalid_argument);
  CHECK(changed([](TaskSpec& s) { s.from = "\xff"; }) == Code::invalid_argument);
  CHECK(changed([](TaskSpec& s) { s.max_attempts = 1000; }) == Code::ok);
  CHECK(changed([](TaskSpec& s) { s.max_attempts = 1001; }) == Code::invalid_argument);
  CHECK(changed([](TaskSpec& s) { s.max_attempts = 0; }) == Code::invalid_argument);
  CHECK(changed([](TaskSpec& s) { s.reply_to = "?"; }) == Code::invalid_argument);
  CHECK(changed([](TaskSpec& s) { s.delay = Duration{1}; }) == Code::invalid_argument);
  CHECK(changed([](TaskSpec& s) { s.expires_in = Duration{1}; }) == Code::invalid_argument);
  CHECK(changed([](TaskSpec& s) { s.timeout = std::chrono::hours{24 * 365}; }) == Code::ok);
  CHECK(changed([](TaskSpec& s) { s.timeout = std::chrono::hours{24 * 365} + Duration{1}; }) ==
        Code::invalid_argument);
  CHECK(changed([](TaskSpec& s) { s.timeout = Duration{-1}; }) == Code::invalid_argument);
  CHECK(changed([](TaskSpec& s) { s.backoff.factor_permille = 999; }) == Code::invalid_argument);
  CHECK(changed([](TaskSpec& s) { s.backoff.jitter_permille = 1001; }) == Code::invalid_argument);
  CHECK(changed([](TaskSpec& s) { s.backoff.initial = Duration{-1}; }) == Code::invalid_argument);
  CHECK(changed([](TaskSpec& s) { s.headers["big"] = std::string(4096, 'v'); }) ==
        Code::invalid_argument);
  CHECK(changed([](TaskSpec& s) { s.headers[""] = "v"; }) == Code::invalid_argument);
  CHECK(changed([](TaskSpec& s) { s.id.bytes[6] = 0x40; }) == Code::invalid_argument);
  CHECK(changed([](TaskSpec& s) {
          for (int i = 0; i < 30; ++i) s.headers["h" + std::to_string(i)] = "v";
        }) == Code::ok);
  CHECK(changed([](TaskSpec& s) {
          for (int i = 0; i < 31; ++i) s.headers["h" + std::to_string(i)] = "v";
        }) == Code::invalid_argument);
}

TEST_CASE("text is UTF-8 without control characters") {
  CHECK(is_plain_text("plain, ünïcode, 漢字, 🙂"));
  CHECK(is_plain_text(""));
  for (const std::string_view wrong : {"\x01", "\x7f", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80",
                                       "\xf4\x90\x80\x80", "\xc3", "\xf0\x9f\x99", "\x80"}) {
    CAPTURE(hex(wrong));
    CHECK_FALSE(is_plain_text(wrong));
  }
}

TEST_CASE("an entry with any byte changed or missing is corruption") {
  EntryBuilder builder;
  builder.add(SubmitCommand{encoded(full_spec()), std::nullopt, std::nullopt});
  const std::string bytes = builder.close({1, {1}, {2}, 1, Instant{4}});
  Unpacker unpacker;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    CAPTURE(at);
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 0x20);
    const Result<EntryView> flipped = decode_entry(unpacker, changed);
    REQUIRE_FALSE(flipped);
    CHECK(flipped.error().code == Code::corruption);
    CHECK_FALSE(decode_entry(unpacker, std::string_view(bytes).substr(0, at)));
  }
}

TEST_CASE("commands that are none are refused and named") {
  const auto refused = [](auto pack) {
    std::string bytes;
    Packer packer(bytes);
    pack(packer);
    Unpacker unpacker;
    const Result<Command> command = decode_command(*unpacker.unpack(bytes), Limits{});
    return command ? Code::ok : command.error().code;
  };
  CHECK(refused([](Packer& p) { p.array(1).u64(11); }) == Code::ok);
  CHECK(refused([](Packer& p) { p.array(1).u64(200); }) == Code::unsupported);
  CHECK(refused([](Packer& p) { p.array(0); }) == Code::invalid_argument);
  CHECK(refused([](Packer& p) { p.array(1).u64(1); }) == Code::invalid_argument);
  CHECK(refused([](Packer& p) { p.array(2).u64(7).bytes("short"); }) == Code::invalid_argument);
  CHECK(refused([](Packer& p) {
          p.array(7).u64(2).id({}).u64(1).u64(6).u64(1).boolean(false).text("");
        }) == Code::invalid_argument);
}

TEST_CASE("limits are set by number, and those unnamed stay") {
  Limits limits;
  std::string bytes;
  Packer(bytes).array(1).map(1).u64(8).u64(5);
  Unpacker unpacker;
  Fields fields = *unpacker.unpack(bytes);

  REQUIRE(decode_limits(fields.map(), limits));

  Limits expected;
  expected.attempts_max = 5;
  CHECK(limits == expected);
}

TEST_CASE("hostile msgpack costs no more memory than its size allows") {
  Unpacker unpacker;
  CHECK_FALSE(unpacker.unpack(std::string_view("\xdd\xff\xff\xff\xff", 5)));
  CHECK_FALSE(unpacker.unpack(std::string(3000, '\x91')));
  CHECK_FALSE(unpacker.unpack("\x91\xca\x00\x00\x00\x00"));
  CHECK_FALSE(unpacker.unpack(std::string_view("\x91\xc7\x01\x05x", 5)));
  CHECK_FALSE(unpacker.unpack(""));
  std::string many;
  Packer packer(many);
  packer.array(100'000);
  for (int i = 0; i < 100'000; ++i) packer.u64(1);
  CHECK_FALSE(unpacker.unpack(many));
  CHECK(unpacker.unpack(many, many.size()));
}

TEST_CASE("random bytes never crash a decoder") {
  std::mt19937_64 random(7);
  Unpacker unpacker;
  const std::string seedling = encoded(full_spec());
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = seedling;
    for (int flips = 0; flips < 3; ++flips)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    const Result<SpecView> spec = decode_spec(unpacker, bytes);
    if (spec && check(*spec, Limits{})) ++accepted;
    (void)decode_entry(unpacker, bytes).has_value();
    (void)decode_task(unpacker, bytes).has_value();
  }
  CHECK(accepted < 20'000);
}

TEST_CASE("a stored task of a newer format is refused as such") {
  std::string row;
  encode_task(TaskRecord{}, nullptr, row);
  Unpacker unpacker;
  REQUIRE(decode_task(unpacker, row));
  row[3] = 2;  // [1, …] behind the array header of 3 bytes

  const Result<DecodedTask> newer = decode_task(unpacker, row);

  REQUIRE_FALSE(newer);
  CHECK(newer.error().code == Code::unsupported);
}

}  // namespace jack

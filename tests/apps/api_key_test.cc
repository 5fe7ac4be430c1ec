// API keys: their text, and whose they are.
#include "apps/keys/api_key.h"

#include <set>

#include "tests/catch.hpp"

using namespace std::chrono_literals;

namespace jack::app {
namespace {

const WallTime kNow{1'795'000'000'000ms};

// A key, and a list that has it under the name `ci`.
struct Known {
  ApiKey key = new_api_key();
  std::string attributes;

  wire::KeyTable table() const {
    wire::Key listed;
    listed.name = "ci";
    listed.kind = wire::KeyKind::api;
    listed.id = key.id;
    listed.secret_digest = digest_of_secret(key.secret);
    listed.rights = Rights::all();
    return wire::KeyTable::parse(wire::line_of(listed) + attributes, "list").value();
  }
};

std::string refusal(const wire::KeyTable& table, const std::string& presented) {
  const Result<const wire::Key*> key = authenticate(table, presented, kNow);
  if (key) return "let in";
  CHECK(key.error().code == Code::unauthenticated);
  return key.error().message;
}

TEST_CASE("a new key is read back as it was made") {
  const ApiKey key = new_api_key();
  const std::string text = text_of(key);

  CHECK(text.size() == 64);
  CHECK(text.starts_with("jack_" + key.id + "_" + key.secret + "_"));
  CHECK(wire::is_api_key_id(key.id));
  const ApiKey read = parse_api_key(text).value();
  CHECK(read.id == key.id);
  CHECK(read.secret == key.secret);
}

// Keys that are out in the world end like this: never change it.
TEST_CASE("the check of a key is the CRC-32 of what is before it") {
  const std::string zeros(43, '0');
  CHECK(text_of({"00000000", zeros}) == "jack_00000000_" + zeros + "_1q5q5J");
  CHECK(text_of({"0aZ9zA1b", "JACK" + zeros.substr(4)}) ==
        "jack_0aZ9zA1b_JACK" + zeros.substr(4) + "_0tvBm1");
}

TEST_CASE("new keys differ, and use all digits") {
  std::set<std::string> ids;
  std::set<char> digits;
  for (int i = 0; i < 100; ++i) {
    const ApiKey key = new_api_key();
    ids.insert(key.id);
    digits.insert(key.secret.begin(), key.secret.end());
  }

  CHECK(ids.size() == 100);
  CHECK(digits.size() == 62);
}

TEST_CASE("a typo anywhere in a key is found") {
  const std::string text = text_of(new_api_key());

  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string wrong = text;
    wrong[at] = wrong[at] == 'x' ? 'y' : 'x';
    CAPTURE(wrong);
    CHECK_FALSE(parse_api_key(wrong).has_value());
    wrong[at] = '-';
    CHECK_FALSE(parse_api_key(wrong).has_value());
  }
  CHECK_FALSE(parse_api_key("").has_value());
  CHECK_FALSE(parse_api_key(text + "0").has_value());
  CHECK_FALSE(parse_api_key(text.substr(1)).has_value());
  CHECK_FALSE(parse_api_key(" " + text.substr(1)).has_value());
  CHECK_FALSE(parse_api_key(std::string(64, '\0')).has_value());
}

TEST_CASE("the digest of a secret is its SHA-256") {
  const wire::Sha256 digest = digest_of_secret("abc");

  CHECK(digest[0] == 0xba);
  CHECK(digest[1] == 0x78);
  CHECK(digest[31] == 0xad);
}

TEST_CASE("a key in the list is let in under its name") {
  const Known known;
  const wire::KeyTable table = known.table();

  const Result<const wire::Key*> key = authenticate(table, text_of(known.key), kNow);

  REQUIRE(key.has_value());
  CHECK((*key)->name == "ci");
}

TEST_CASE("an unknown id and a wrong secret are refused in the same words") {
  const Known known;
  const std::string wrong_secret = text_of({known.key.id, new_api_key().secret});
  const std::string unknown = text_of(new_api_key());

  CHECK(refusal(known.table(), wrong_secret) == "there is no such key");
  CHECK(refusal(known.table(), unknown) == "there is no such key");
  CHECK(refusal(wire::KeyTable(), text_of(known.key)) == "there is no such key");
}

TEST_CASE("what is no key is refused for what it is, and not repeated") {
  const Known known;
  std::string typo = text_of(known.key);
  typo[20] = typo[20] == 'x' ? 'y' : 'x';

  CHECK_THAT(refusal(known.table(), "hunter2"), ::test::ContainsSubstring("jack_ID_SECRET_CHECK"));
  CHECK_THAT(refusal(known.table(), typo), ::test::ContainsSubstring("not as it was printed"));
  CHECK(refusal(known.table(), "hunter2").find("hunter2") == std::string::npos);
}

TEST_CASE("that a key has ended is said to who has its secret, to nobody else") {
  const Known expired{.attributes = " expires=2026-01-01T00:00:00Z"};
  const Known revoked{.attributes = " revoked=2026-01-01T00:00:00Z"};
  const Known lasting{.attributes = " expires=9999-01-01T00:00:00Z"};

  CHECK(refusal(expired.table(), text_of(expired.key)) == "this key has expired");
  CHECK(refusal(revoked.table(), text_of(revoked.key)) == "this key was revoked");
  CHECK(refusal(lasting.table(), text_of(lasting.key)) == "let in");
  for (const Known& ended : {expired, revoked}) {
    CHECK(refusal(ended.table(), text_of({ended.key.id, new_api_key().secret})) ==
          "there is no such key");
  }
}

}  // namespace
}  // namespace jack::app

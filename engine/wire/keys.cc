#include "engine/wire/keys.h"

#include <algorithm>
#include <utility>

#include <zmq.h>

#include "engine/date.h"
#include "engine/format/spec.h"
#include "engine/wire/words.h"

namespace jack::wire {
namespace {

constexpr std::size_t kCurveKeyBytes = 32;
constexpr std::size_t kCurveKeyCharacters = 40;
constexpr std::size_t kApiKeyIdCharacters = 8;
constexpr std::string_view kHexDigits = "0123456789abcdef";

Error refusal(std::string message) { return {Code::invalid_argument, std::move(message)}; }

bool is_letter_or_digit(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

std::string hex_of(const Sha256& digest) {
  std::string text;
  for (const std::uint8_t byte : digest) {
    text += kHexDigits[byte >> 4];
    text += kHexDigits[byte & 15];
  }
  return text;
}

std::optional<Sha256> digest_from(std::string_view text) {
  Sha256 digest;
  if (text.size() != 2 * digest.size()) return std::nullopt;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const std::size_t high = kHexDigits.find(text[2 * i]);
    const std::size_t low = kHexDigits.find(text[2 * i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    digest[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return digest;
}

// What stands behind a key's id, each at most once.
struct Attributes {
  std::optional<std::string_view> scopes, queues, sha256, created, expires, revoked;

  std::optional<std::string_view>* find(std::string_view name) {
    if (name == "scopes") return &scopes;
    if (name == "queues") return &queues;
    if (name == "sha256") return &sha256;
    if (name == "created") return &created;
    if (name == "expires") return &expires;
    if (name == "revoked") return &revoked;
    return nullptr;
  }
};

// Messages name no more of a line than must be: somebody may have put a secret there.
Result<Attributes> parse_attributes(std::string_view line) {
  Attributes attributes;
  for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) {
    const std::size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    auto* const value = equals == std::string_view::npos ? nullptr : attributes.find(name);
    if (value == nullptr) {
      return refusal(
          "a word that is none of scopes=, queues=, sha256=, created=, expires=, revoked=");
    }
    if (value->has_value()) return refusal(std::string(name) + " is there twice");
    *value = word.substr(equals + 1);
  }
  return attributes;
}

Result<void> take_date(std::optional<std::string_view> text, std::optional<WallTime>& date) {
  if (!text) return {};
  const Result<WallTime> read = parse_date(*text);
  if (!read) return read.error();
  date = *read;
  return {};
}

Result<Rights> parse_rights(KeyKind kind, const Attributes& attributes) {
  if (!attributes.scopes && kind == KeyKind::api) return refusal("an api key must have scopes=");
  const std::string all = Rights::all().scopes_text();
  return Rights::parse(attributes.scopes.value_or(all), attributes.queues.value_or("*"));
}

// Kind and id. `line` keeps the attributes.
Result<void> take_identity(std::string_view& line, Key& key) {
  std::string_view word = take_word(line);
  key.kind = word == "api" ? KeyKind::api : KeyKind::curve;
  if (word == "api" || word == "curve") word = take_word(line);
  key.id = word;
  if (key.kind == KeyKind::api && !is_api_key_id(key.id)) {
    return refusal("an api key's id must be 8 characters of A–Z a–z 0–9");
  }
  if (key.kind == KeyKind::curve && !is_curve_key(key.id)) {
    return refusal("not a name and a public CURVE key, nor a name, `api` and a key id");
  }
  return {};
}

Result<void> take_digest(const Attributes& attributes, Key& key) {
  if (key.kind == KeyKind::curve) {
    return attributes.sha256 ? refusal("a curve key has no sha256=") : Result<void>();
  }
  const std::optional<Sha256> digest = digest_from(attributes.sha256.value_or(""));
  if (!digest) return refusal("an api key must have sha256= and 64 digits of 0–9 a–f");
  key.secret_digest = *digest;
  return {};
}

Result<Key> parse_key(std::string_view line) {
  Key key;
  key.name = take_word(line);
  if (!is_key_name(key.name)) return refusal(kKeyNameRule);
  if (Result<void> ok = take_identity(line, key); !ok) return ok.error();
  const Result<Attributes> attributes = parse_attributes(line);
  if (!attributes) return attributes.error();
  if (Result<void> ok = take_digest(*attributes, key); !ok) return ok.error();
  Result<Rights> rights = parse_rights(key.kind, *attributes);
  if (!rights) return std::move(rights).error();
  key.rights = *std::move(rights);
  if (Result<void> ok = take_date(attributes->created, key.created); !ok) return ok.error();
  if (Result<void> ok = take_date(attributes->expires, key.expires); !ok) return ok.error();
  if (Result<void> ok = take_date(attributes->revoked, key.revoked); !ok) return ok.error();
  return key;
}

}  // namespace

KeyState Key::state(WallTime now) const {
  if (revoked) return KeyState::revoked;
  return expires && *expires <= now ? KeyState::expired : KeyState::active;
}

std::string_view name_of(KeyKind kind) { return kind == KeyKind::curve ? "curve" : "api"; }

std::string_view name_of(KeyState state) {
  if (state == KeyState::revoked) return "revoked";
  return state == KeyState::expired ? "expired" : "active";
}

bool is_curve_key(std::string_view text) {
  std::array<std::uint8_t, kCurveKeyBytes> raw;
  return text.size() == kCurveKeyCharacters &&
         zmq_z85_decode(raw.data(), std::string(text).c_str()) != nullptr;
}

bool is_api_key_id(std::string_view text) {
  return text.size() == kApiKeyIdCharacters && std::ranges::all_of(text, is_letter_or_digit);
}

bool is_key_name(std::string_view name) { return is_queue_name(name); }

Result<KeyTable> KeyTable::parse(std::string_view text, std::string_view path) {
  KeyTable table;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = take_line(text);
    std::string_view rest = line;
    const std::string_view first = take_word(rest);
    if (first.empty() || first.front() == '#') continue;
    Result<Key> key = parse_key(line);
    const Result<void> taken = key ? table.add(*std::move(key)) : key.error();
    if (!taken) {
      return refusal(std::string(path) + ":" + std::to_string(number) + ": " +
                     taken.error().message);
    }
  }
  return table;
}

Result<void> KeyTable::add(Key key) {
  const std::size_t place = keys_.size();
  if (!by_name_.emplace(key.name, place).second) {
    return refusal("the name " + key.name + " is there twice");
  }
  Index& by_id = key.kind == KeyKind::curve ? by_public_key_ : by_key_id_;
  if (const auto [other, added] = by_id.emplace(key.id, place); !added) {
    return refusal("this is the key of " + keys_[other->second].name);
  }
  keys_.push_back(std::move(key));
  return {};
}

const Key* KeyTable::find(std::string_view name) const { return find_in(by_name_, name); }

const Key* KeyTable::find_curve(std::string_view public_key) const {
  return find_in(by_public_key_, public_key);
}

const Key* KeyTable::find_api(std::string_view key_id) const { return find_in(by_key_id_, key_id); }

const Key* KeyTable::find_in(const Index& index, std::string_view key) const {
  const auto found = index.find(key);
  return found == index.end() ? nullptr : &keys_[found->second];
}

std::string line_of(const Key& key) {
  std::string line = key.name;
  line.append(" ").append(name_of(key.kind)).append(" ").append(key.id);
  if (key.kind == KeyKind::api) line += " sha256=" + hex_of(key.secret_digest);
  line += " scopes=" + key.rights.scopes_text();
  if (!key.rights.all_queues()) line += " queues=" + key.rights.patterns_text();
  if (key.created) line += " created=" + date_text(*key.created);
  if (key.expires) line += " expires=" + date_text(*key.expires);
  if (key.revoked) line += " revoked=" + date_text(*key.revoked);
  return line;
}

}  // namespace jack::wire

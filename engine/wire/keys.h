// The list of keys that may come in, over ZeroMQ and over HTTP: text, a key per line. Empty lines
// and those that begin with # do not count.
//
//   NAME curve PUBLIC_KEY [ATTRIBUTE…]            for tcp: a CURVE key, 40 characters of Z85
//   NAME api KEY_ID sha256=HEX scopes=… [ATTRIBUTE…]  for HTTP: of its secret only the digest
//
//   scopes=submit,work                            a CURVE key without them has all scopes
//   queues=review-*,mail                          without them: all queues
//   created=DATE  expires=DATE  revoked=DATE      as engine/date.h reads them
//
// The word `curve` can be left out. Names, public keys and key ids are unique.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/time.h>

#include "engine/front/rights.h"

namespace jack::wire {

enum class KeyKind : std::uint8_t { curve, api };

enum class KeyState : std::uint8_t { active, expired, revoked };

using Sha256 = std::array<std::uint8_t, 32>;

struct Key {
  std::string name;  // 1–128 of [A-Za-z0-9._-]
  KeyKind kind = KeyKind::curve;
  std::string id;          // curve: the public key in Z85; api: 8 characters of [A-Za-z0-9]
  Sha256 secret_digest{};  // api only
  Rights rights;
  std::optional<WallTime> created;
  std::optional<WallTime> expires;  // from then on it is not let in
  std::optional<WallTime> revoked;  // a key with such a date is not let in, whatever the date

  KeyState state(WallTime now) const;

  friend bool operator==(const Key&, const Key&) = default;
};

std::string_view name_of(KeyKind kind);    // "curve", "api"
std::string_view name_of(KeyState state);  // "active", "expired", "revoked"

bool is_curve_key(std::string_view text);
bool is_api_key_id(std::string_view text);

// 1–128 of [A-Za-z0-9._-].
bool is_key_name(std::string_view name);
inline constexpr const char* kKeyNameRule =
    "a key's name must be 1–128 characters of A–Z a–z 0–9 . _ -";

// The keys of a list, as it was at some moment. A value: any number of threads may read it.
class KeyTable {
 public:
  KeyTable() = default;  // nobody

  // `path` is for the messages.
  // Errors: invalid_argument  FILE:LINE and what is wrong with that line
  static Result<KeyTable> parse(std::string_view text, std::string_view path);

  // In the order of the list.
  const std::vector<Key>& keys() const { return keys_; }

  // Each gives nothing where there is none, and what it gives lives as long as the table. Revoked
  // and expired keys are found like others: ask for their state().
  const Key* find(std::string_view name) const;
  const Key* find_curve(std::string_view public_key) const;
  const Key* find_api(std::string_view key_id) const;

 private:
  using Index = std::map<std::string, std::size_t, std::less<>>;

  Result<void> add(Key key);
  const Key* find_in(const Index& index, std::string_view key) const;

  std::vector<Key> keys_;
  Index by_name_;
  Index by_public_key_;
  Index by_key_id_;
};

// Without the line feed. KeyTable::parse() reads it back.
std::string line_of(const Key& key);

}  // namespace jack::wire

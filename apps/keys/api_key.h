// API keys, for HTTP: `jack_ID_SECRET_CHECK`, all of [A-Za-z0-9].
//
//   ID      8 characters, by which the list has it
//   SECRET  43 characters, 256 random bits; the list has only its SHA-256, which needs no salt and
//           no slowness because nobody can go through that many
//   CHECK   6 characters, CRC-32 of all before the last `_`: a typo is found without the list, and
//           a scanner for leaked secrets can tell a key from a likeness
#pragma once

#include <string>
#include <string_view>

#include <jack_engine/error.h>
#include <jack_engine/time.h>

#include "engine/wire/keys.h"

namespace jack::app {

struct ApiKey {
  std::string id;
  std::string secret;
};

// A new one, from the system's random source.
ApiKey new_api_key();

// What its holder gets, and parse_api_key() reads.
std::string text_of(const ApiKey& key);

// Errors: invalid_argument  not a key, or one with a typo
Result<ApiKey> parse_api_key(std::string_view text);

// What the list keeps of the secret.
wire::Sha256 digest_of_secret(std::string_view secret);

// Whose key this is, if it is let in now. Lives as long as the table. Takes equally long whether
// there is such an id or not, and wherever the secret differs. That a key has expired or was
// revoked is said only to who has its secret. Errors: unauthenticated
Result<const wire::Key*> authenticate(const wire::KeyTable& table, std::string_view presented,
                                      WallTime now);

}  // namespace jack::app

#include "apps/keys/api_key.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <sys/random.h>

#include "engine/assert.h"

namespace jack::app {
namespace {

constexpr std::string_view kPrefix = "jack_";
constexpr std::size_t kIdCharacters = 8;
constexpr std::size_t kSecretCharacters = 43;  // 62^43 > 2^256
constexpr std::size_t kCheckCharacters = 6;    // 62^6 > 2^32
constexpr std::size_t kKeyCharacters =
    kPrefix.size() + kIdCharacters + 1 + kSecretCharacters + 1 + kCheckCharacters;

// Part of the format of keys: never reorder.
constexpr std::string_view kDigits =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

// Each as likely as any other.
std::string random_digits(std::size_t count) {
  // The largest multiple of 62 in a byte; bytes from there on would favour the first digits.
  constexpr std::size_t kFair = 256 - 256 % kDigits.size();
  std::array<std::uint8_t, 64> bytes{};
  std::string text;
  while (text.size() < count) {
    // So few bytes come in one piece, or not at all in a broken system.
    JACK_ASSERT(::getrandom(bytes.data(), bytes.size(), 0) == ssize_t{bytes.size()});
    for (const std::uint8_t byte : bytes) {
      if (byte < kFair && text.size() < count) text += kDigits[byte % kDigits.size()];
    }
  }
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return text;
}

// CRC-32 as zlib and PNG have it.
std::uint32_t crc32_of(std::string_view text) {
  constexpr std::uint32_t kPolynomial = 0xedb88320;
  std::uint32_t crc = ~0u;
  for (const char c : text) {
    crc ^= static_cast<std::uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? kPolynomial : 0);
  }
  return ~crc;
}

std::string check_of(std::string_view text) {
  std::string digits(kCheckCharacters, '0');
  std::size_t rest = crc32_of(text);
  for (std::size_t i = digits.size(); i > 0; --i) {
    digits[i - 1] = kDigits[rest % kDigits.size()];
    rest /= kDigits.size();
  }
  return digits;
}

bool are_digits(std::string_view text) {
  return text.find_first_not_of(kDigits) == std::string_view::npos;
}

Error refusal(std::string message) { return {Code::unauthenticated, std::move(message)}; }

}  // namespace

ApiKey new_api_key() { return {random_digits(kIdCharacters), random_digits(kSecretCharacters)}; }

std::string text_of(const ApiKey& key) {
  std::string text = std::string(kPrefix) + key.id + "_" + key.secret;
  const std::string check = check_of(text);
  return text += "_" + check;
}

Result<ApiKey> parse_api_key(std::string_view text) {
  constexpr std::size_t kSecretAt = kPrefix.size() + kIdCharacters + 1;
  constexpr std::size_t kCheckAt = kSecretAt + kSecretCharacters + 1;
  if (text.size() != kKeyCharacters || !text.starts_with(kPrefix) || text[kSecretAt - 1] != '_' ||
      text[kCheckAt - 1] != '_') {
    return Error{Code::invalid_argument, "an API key looks like jack_ID_SECRET_CHECK"};
  }
  const std::string_view id = text.substr(kPrefix.size(), kIdCharacters);
  const std::string_view secret = text.substr(kSecretAt, kSecretCharacters);
  if (!are_digits(id) || !are_digits(secret) ||
      text.substr(kCheckAt) != check_of(text.substr(0, kCheckAt - 1))) {
    return Error{Code::invalid_argument, "a character of this API key is not as it was printed"};
  }
  return ApiKey{std::string(id), std::string(secret)};
}

wire::Sha256 digest_of_secret(std::string_view secret) {
  wire::Sha256 digest;
  SHA256(reinterpret_cast<const unsigned char*>(secret.data()), secret.size(), digest.data());
  return digest;
}

Result<const wire::Key*> authenticate(const wire::KeyTable& table, std::string_view presented,
                                      WallTime now) {
  const Result<ApiKey> key = parse_api_key(presented);
  if (!key) return refusal(key.error().message);  // says nothing about the list
  const wire::Sha256 digest = digest_of_secret(key->secret);
  const wire::Key* const known = table.find_api(key->id);
  static const wire::Sha256 nobodys{};
  const wire::Sha256& wanted = known != nullptr ? known->secret_digest : nobodys;
  const bool same = CRYPTO_memcmp(digest.data(), wanted.data(), digest.size()) == 0;
  if (known == nullptr || !same) return refusal("there is no such key");
  switch (known->state(now)) {
    case wire::KeyState::revoked: return refusal("this key was revoked");
    case wire::KeyState::expired: return refusal("this key has expired");
    case wire::KeyState::active: break;
  }
  return known;
}

}  // namespace jack::app

#include "apps/api/idempotency.h"

#include <cstring>
#include <string>

#include "apps/keys/api_key.h"

namespace jack::api {
namespace {

constexpr Duration kSpan = std::chrono::hours{8};
constexpr int kEarlierSpans = 3;

}  // namespace

KeyedIds ids_for_key(std::string_view principal, std::string_view key, std::uint64_t number,
                     WallTime now) {
  std::string seed(principal);
  seed += '\0';
  seed += key;
  seed += '\0';
  seed += std::to_string(number);
  const wire::Sha256 digest = app::digest_of_secret(seed);
  std::uint64_t halves[2];
  std::memcpy(halves, digest.data(), sizeof halves);
  const Duration since_1970 = now.time_since_epoch();
  const Duration begin = since_1970 - since_1970 % kSpan;
  KeyedIds ids;
  ids.id = TaskId::from(WallTime{begin}, halves[0], halves[1]);
  for (int i = 1; i <= kEarlierSpans; ++i) {
    ids.earlier.push_back(TaskId::from(WallTime{begin - i * kSpan}, halves[0], halves[1]));
  }
  return ids;
}

}  // namespace jack::api

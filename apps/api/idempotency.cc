#include "apps/api/idempotency.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>

#include "apps/keys/api_key.h"

namespace jack::api {
namespace {

constexpr Duration kWindowMax = std::chrono::hours{24};
constexpr int kEarlierSpans = 3;

}  // namespace

Duration key_window(const Limits& limits) {
  return std::min(kWindowMax, std::max(limits.dedup_window, limits.retention));
}

KeyedIds ids_for_key(std::string_view key, const KeyOwner& owner, Duration window, WallTime now) {
  std::string seed(owner.principal);
  seed += '\0';
  seed += key;
  seed += '\0';
  seed += std::to_string(owner.number);
  const wire::Sha256 digest = app::digest_of_secret(seed);
  std::uint64_t halves[2];
  std::memcpy(halves, digest.data(), sizeof halves);
  // Rounded up, so that the earlier ones reach back as far as the window.
  const Duration span =
      std::max(Duration{1}, (window + Duration{kEarlierSpans - 1}) / kEarlierSpans);
  const Duration since_1970 = now.time_since_epoch();
  const Duration begin = since_1970 - since_1970 % span;
  KeyedIds ids;
  ids.id = TaskId::from(WallTime{begin}, halves[0], halves[1]);
  for (int i = 1; i <= kEarlierSpans; ++i) {
    ids.earlier.push_back(TaskId::from(WallTime{begin - i * span}, halves[0], halves[1]));
  }
  return ids;
}

}  // namespace jack::api

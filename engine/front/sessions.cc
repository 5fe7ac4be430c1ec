#include "engine/front/sessions.h"

#include <algorithm>

#include "engine/front/watches.h"

namespace jack {

bool Budget::take(SteadyTime now, std::uint64_t bytes, std::uint64_t bytes_per_second) {
  const auto elapsed_ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now - at_).count());
  // Beyond an hour everything has been earned back; without the bound the product could overflow.
  const std::uint64_t earned =
      std::min<std::uint64_t>(elapsed_ms, 3'600'000) * bytes_per_second / 1000;
  if (earned > 0) {
    spent_ -= std::min(spent_, earned);
    at_ = now;
  }
  if (spent_ + bytes > bytes_per_second) return false;
  spent_ += bytes;
  return true;
}

Session::Session() = default;
Session::~Session() = default;

Subscription* Session::subscription(std::uint32_t number) const {
  for (const auto& subscription : subscriptions) {
    if (subscription->number == number) return subscription.get();
  }
  return nullptr;
}

Watch* Session::watch(wire::Correlation correlation) const {
  const auto found = watches.find(correlation);
  return found == watches.end() ? nullptr : found->second.get();
}

Session* SessionTable::find(SessionId id) const {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : found->second.get();
}

Session& SessionTable::add(SessionId id) {
  std::unique_ptr<Session>& session = sessions_[id];
  session = std::make_unique<Session>();
  session->id = id;
  return *session;
}

}  // namespace jack

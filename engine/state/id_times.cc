#include "engine/state/id_times.h"

#include <algorithm>

namespace jack {

void IdTimes::add(Stretch stretch) {
  const auto apart = [&](const Stretch& other) {
    return other.to_ms + kGapMs < stretch.from_ms || other.from_ms > stretch.to_ms + kGapMs;
  };
  for (const Stretch& other : stretches_) {
    if (apart(other)) continue;
    stretch.from_ms = std::min(stretch.from_ms, other.from_ms);
    stretch.to_ms = std::max(stretch.to_ms, other.to_ms);
  }
  // What has grown may reach the next, but only by what it has taken in.
  std::erase_if(stretches_, [&](const Stretch& other) { return !apart(other); });
  const auto place = std::find_if(stretches_.begin(), stretches_.end(), [&](const Stretch& other) {
    return other.from_ms > stretch.from_ms;
  });
  stretches_.insert(place, stretch);
  if (stretches_.size() <= kStretchesMax) return;

  const auto gap_before = [](const Stretch& at) { return at.from_ms - (&at - 1)->to_ms; };
  auto closest = stretches_.begin() + 1;
  for (auto at = closest; at != stretches_.end(); ++at) {
    if (gap_before(*at) < gap_before(*closest)) closest = at;
  }
  (closest - 1)->to_ms = closest->to_ms;
  stretches_.erase(closest);
}

}  // namespace jack

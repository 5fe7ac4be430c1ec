// The clocks of this host.
#pragma once

#include <jack_engine/time.h>

namespace jack {

// Steady time counts while the host sleeps, so that a delay is over when people expect it to be.
// Any thread.
class SystemClock final : public Clock {
 public:
  SteadyTime now() const override;
  WallTime wall_now() const override;
};

}  // namespace jack

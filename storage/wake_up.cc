#include "storage/wake_up.h"

#include <cstdint>

#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/assert.h"

namespace jack {

WakeUp::WakeUp() : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  JACK_ASSERT(descriptor_ >= 0);
}

WakeUp::~WakeUp() { ::close(descriptor_); }

// Neither call can fail in a way that matters: a counter that is full is readable, an empty one is
// clear.
void WakeUp::signal() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(descriptor_, &one, sizeof one);
}

void WakeUp::clear() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(descriptor_, &count, sizeof count);
}

}  // namespace jack

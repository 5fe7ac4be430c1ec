#include "engine/state/pools.h"

namespace jack {

PoolSlot Pools::create() {
  const PoolSlot slot = free_.empty() ? static_cast<PoolSlot>(pools_.size()) : *free_.begin();
  restore(slot);
  return slot;
}

Pool& Pools::restore(PoolSlot slot) {
  while (pools_.size() <= slot) {
    free_.insert(static_cast<PoolSlot>(pools_.size()));
    pools_.emplace_back();
  }
  free_.erase(slot);
  pools_[slot] = std::make_unique<Pool>();
  return *pools_[slot];
}

void Pools::erase(PoolSlot slot) {
  pools_[slot].reset();
  free_.insert(slot);
}

}  // namespace jack

#include "engine/state/task_table.h"

#include "engine/format/spec.h"

namespace jack {
namespace {

std::uint32_t hash_of(const TaskId& id) { return static_cast<std::uint32_t>(digest_of(id.view())); }

}  // namespace

Slot TaskTable::insert(const TaskId& id) {
  if ((size_ + 1) * 4 > places_.size() * 3) grow();
  Slot slot;
  if (!free_.empty()) {
    slot = free_.back();
    free_.pop_back();
  } else {
    slot = used_++;
    if (slot >> kBlockBits == blocks_.size()) {
      blocks_.push_back(std::make_unique<TaskRecord[]>(1u << kBlockBits));
    }
  }
  (*this)[slot].id = id;
  place(slot, hash_of(id));
  ++size_;
  return slot;
}

void TaskTable::erase(Slot slot) {
  if (!(*this)[slot].unlinked) unlink(slot);
  (*this)[slot] = TaskRecord{};
  free_.push_back(slot);
}

void TaskTable::unlink(Slot slot) {
  const std::size_t mask = places_.size() - 1;
  std::size_t hole = hash_of((*this)[slot].id) & mask;
  while (places_[hole].slot != slot) hole = (hole + 1) & mask;

  // Moves back what would no longer be found behind the hole.
  for (std::size_t at = (hole + 1) & mask; places_[at].slot != kNoSlot; at = (at + 1) & mask) {
    const std::size_t home = places_[at].hash & mask;
    if (((at - home) & mask) >= ((at - hole) & mask)) {
      places_[hole] = places_[at];
      hole = at;
    }
  }
  places_[hole] = Place{};
  (*this)[slot].unlinked = true;
  --size_;
}

Slot TaskTable::find(const TaskId& id) const {
  const std::size_t mask = places_.size() - 1;
  const std::uint32_t hash = hash_of(id);
  for (std::size_t at = hash & mask; places_[at].slot != kNoSlot; at = (at + 1) & mask) {
    if (places_[at].hash == hash && (*this)[places_[at].slot].id == id) return places_[at].slot;
  }
  return kNoSlot;
}

void TaskTable::place(Slot slot, std::uint32_t hash) {
  const std::size_t mask = places_.size() - 1;
  std::size_t at = hash & mask;
  while (places_[at].slot != kNoSlot) at = (at + 1) & mask;
  places_[at] = {slot, hash};
}

void TaskTable::grow() {
  const std::vector<Place> old = std::move(places_);
  places_ = std::vector<Place>(old.size() * 2);
  for (const Place& kept : old) {
    if (kept.slot != kNoSlot) place(kept.slot, kept.hash);
  }
}

}  // namespace jack

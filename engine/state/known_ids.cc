#include "engine/state/known_ids.h"

#include "engine/format/spec.h"

namespace jack {
namespace {

// 0 marks a free place. Two ids with one digest cost a needless read, no more.
std::uint64_t digest(const TaskId& id) { return digest_of(id.view()) | 1; }

}  // namespace

void KnownIds::add(const TaskId& id) {
  if (current_.size == kGeneration) {
    others_.add(previous_.times);
    previous_ = std::move(current_);
    current_ = Generation{};
  }
  current_.add(digest(id));
  current_.times.add(id);
}

bool KnownIds::may_be_known(const TaskId& id) const {
  if (others_.has(id)) return true;
  return current_.has(digest(id)) || previous_.has(digest(id));
}

bool KnownIds::Generation::has(std::uint64_t digest) const {
  const std::size_t mask = places.size() - 1;
  for (std::size_t at = digest >> 1 & mask; places[at] != 0; at = (at + 1) & mask) {
    if (places[at] == digest) return true;
  }
  return false;
}

void KnownIds::Generation::add(std::uint64_t digest) {
  if (2 * (size + 1) > places.size()) {
    const std::vector<std::uint64_t> old = std::move(places);
    places = std::vector<std::uint64_t>(old.size() * 2);
    size = 0;
    for (const std::uint64_t kept : old) {
      if (kept != 0) add(kept);
    }
  }
  const std::size_t mask = places.size() - 1;
  std::size_t at = digest >> 1 & mask;
  while (places[at] != 0) {
    if (places[at] == digest) return;
    at = (at + 1) & mask;
  }
  places[at] = digest;
  ++size;
}

}  // namespace jack

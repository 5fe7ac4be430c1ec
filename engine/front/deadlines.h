// Times at which something is to be looked at, earliest first. An entry is not taken away when it
// loses its meaning: whoever takes it out asks whether it still holds, and sweep() drops those that
// do not once they are most of all.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <jack_engine/time.h>

namespace jack {

inline constexpr SteadyTime kNoDeadline{INT64_MAX};

template <typename Key>
class Deadlines {
 public:
  struct Entry {
    SteadyTime at;
    std::uint64_t order = 0;  // of adding: ties go by it, so that every run is the same
    Key key;
  };

  SteadyTime next() const { return heap_.empty() ? kNoDeadline : heap_.front().at; }

  void add(SteadyTime at, Key key) {
    heap_.push_back({at, ++added_, key});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }

  // The earliest entry, which must exist.
  Entry take() {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const Entry entry = heap_.back();
    heap_.pop_back();
    return entry;
  }

  // `live` is how many entries may hold at most; amortised over add() it costs nothing to call.
  template <typename Holds>
  void sweep(std::size_t live, Holds holds) {
    if (heap_.size() < 2 * live + 1024) return;
    std::erase_if(heap_, [&](const Entry& entry) { return !holds(entry); });
    std::make_heap(heap_.begin(), heap_.end(), later);
  }

 private:
  static bool later(const Entry& a, const Entry& b) {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
  }

  std::vector<Entry> heap_;
  std::uint64_t added_ = 0;
};

}  // namespace jack

// A hash map for what is looked up once or more for every task: small keys, small values, all in
// one array, so that nothing is allocated per element. Its order means nothing and is never used.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include <jack_engine/id.h>

namespace jack {

inline std::uint64_t mix(std::uint64_t value) {
  value *= 0x9e3779b97f4a7c15u;  // 2^64 / golden ratio: spreads numbers that follow each other
  return value ^ value >> 32;
}

struct FlatHash {
  std::uint64_t operator()(std::uint64_t key) const { return mix(key); }
  std::uint64_t operator()(LeaseToken key) const { return mix(key.value); }
  // Ids come from strangers, who could choose them to collide: all 16 bytes go in, in two steps
  // that do not cancel out. A crowded look-up stays correct; it is only slower.
  std::uint64_t operator()(const TaskId& key) const {
    std::uint64_t halves[2];
    std::memcpy(halves, key.bytes.data(), sizeof halves);
    return mix(mix(halves[0]) + halves[1]);
  }
};

// Pointers to values are valid until the next insert() or erase().
template <typename Key, typename Value>
class FlatMap {
 public:
  std::size_t size() const { return size_; }

  Value* find(const Key& key) {
    const std::size_t place = place_of(key);
    return places_[place].used ? &places_[place].value : nullptr;
  }
  const Value* find(const Key& key) const { return const_cast<FlatMap*>(this)->find(key); }

  // The value of `key`; a fresh one where there was none.
  Value& operator[](const Key& key) {
    if ((size_ + 1) * 2 > places_.size()) grow();
    Place& place = places_[place_of(key)];
    if (!place.used) {
      place.used = true;
      place.key = key;
      ++size_;
    }
    return place.value;
  }

  void erase(const Key& key) {
    std::size_t hole = place_of(key);
    if (!places_[hole].used) return;
    --size_;
    // Elements that had moved on because of this one move back, so that no marks are left behind.
    for (std::size_t next = after(hole); places_[next].used; next = after(next)) {
      const std::size_t home = home_of(places_[next].key);
      if (((next - home) & mask()) < ((next - hole) & mask())) continue;
      places_[hole] = std::move(places_[next]);
      hole = next;
    }
    places_[hole] = Place{};
  }

 private:
  struct Place {
    Key key{};
    Value value{};
    bool used = false;
  };

  std::size_t mask() const { return places_.size() - 1; }
  std::size_t after(std::size_t place) const { return (place + 1) & mask(); }
  std::size_t home_of(const Key& key) const {
    return static_cast<std::size_t>(FlatHash{}(key)) & mask();
  }
  // Where the key is, or would go.
  std::size_t place_of(const Key& key) const {
    std::size_t place = home_of(key);
    while (places_[place].used && !(places_[place].key == key)) place = after(place);
    return place;
  }
  void grow() {
    std::vector<Place> old(places_.size() * 2);
    std::swap(old, places_);
    for (Place& place : old) {
      if (place.used) places_[place_of(place.key)] = std::move(place);
    }
  }

  std::vector<Place> places_ = std::vector<Place>(16);  // a power of two
  std::size_t size_ = 0;
};

}  // namespace jack

// The one source of chance in a simulation: everything follows from the seed, on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace jack::test {

// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014): the
// distributions of the standard library differ between implementations.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  // From 0 to `bound` - 1.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  // From `least` to `most`.
  std::int64_t between(std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(most - least) + 1));
  }
  // Once in `of` times; never for 0.
  bool once_in(std::uint64_t of) { return of != 0 && below(of) == 0; }
  bool coin() { return (next() >> 63) != 0; }

  template <typename T>
  T pick(std::initializer_list<T> from) {
    return from.begin()[below(from.size())];
  }
  template <typename Container>
  auto& any_of(Container& from) {
    return from[static_cast<std::size_t>(below(from.size()))];
  }

  // Another source, so that one part's throws do not shift those of the others.
  Dice split() { return Dice(next()); }

 private:
  std::uint64_t state_;
};

}  // namespace jack::test

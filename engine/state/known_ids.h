// A filter before the store: whether an id may be that of a finished task which is no longer in
// memory. Fresh ids, the common case, cost no read.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <jack_engine/id.h>

namespace jack {

// Ids carry the time they were made. Those that left memory lately are remembered here by digest;
// older ones are known by a floor: every id that left memory and is not remembered has a time
// below it. So an id at or above the floor that is not remembered has surely never been seen.
class KnownIds {
 public:
  // How many ids one generation holds; two are kept, about 4 MiB in all.
  static constexpr std::size_t kGeneration = 1 << 17;

  // A finished task leaves memory.
  void add(const TaskId& id);

  // Ids stored before this process began.
  void add_stored(const TaskId& id) { floor_ms_ = std::max(floor_ms_, id.unix_ms() + 1); }

  bool may_be_known(const TaskId& id) const;

 private:
  struct Generation {
    std::vector<std::uint64_t> places = std::vector<std::uint64_t>(1024);  // 0: free
    std::size_t size = 0;
    std::int64_t newest_ms = -1;

    bool has(std::uint64_t digest) const;
    void add(std::uint64_t digest);
  };

  Generation current_;
  Generation previous_;
  std::int64_t floor_ms_ = 0;
};

}  // namespace jack

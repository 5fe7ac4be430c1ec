// A filter before the store: whether an id may be that of a finished task which is no longer in
// memory. Fresh ids, the common case, cost no read.
#pragma once

#include <cstdint>
#include <vector>

#include <jack_engine/id.h>

#include "engine/state/id_times.h"

namespace jack {

// Ids carry the time they were made. Those that left memory lately are remembered here by digest,
// the others by the stretches of time in which they were made. So an id that lies in none of these
// and is not remembered has surely never been seen.
class KnownIds {
 public:
  // How many ids one generation holds; two are kept, about 4 MiB in all.
  static constexpr std::size_t kGeneration = 1 << 17;

  // A finished task leaves memory.
  void add(const TaskId& id);

  // Ids stored before this process began.
  void add_stored(const IdTimes& times) { others_.add(times); }

  bool may_be_known(const TaskId& id) const;

 private:
  struct Generation {
    std::vector<std::uint64_t> places = std::vector<std::uint64_t>(1024);  // 0: free
    std::size_t size = 0;
    IdTimes times;

    bool has(std::uint64_t digest) const;
    void add(std::uint64_t digest);
  };

  Generation current_;
  Generation previous_;
  IdTimes others_;  // that left memory and are in neither
};

}  // namespace jack

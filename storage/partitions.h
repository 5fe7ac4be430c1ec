// Which hours have finished tasks, and between which ids: a look-up asks only the tables that can
// hold the id.
#pragma once

#include <functional>
#include <map>

#include "engine/store.h"

namespace jack {

struct PartitionRange {
  TaskId first;
  TaskId last;
  bool emptied = false;  // specs, results and output count as gone

  bool holds(const TaskId& id) const { return first <= id && id <= last; }
};

// One thread.
class Partitions {
 public:
  // Newest first: young ids are asked for more often.
  using Map = std::map<Partition, PartitionRange, std::greater<>>;

  // Makes the partition, or widens its range.
  void add(Partition partition, const TaskId& first, const TaskId& last) {
    const auto [at, made] = ranges_.try_emplace(partition, PartitionRange{first, last, false});
    if (first < at->second.first) at->second.first = first;
    if (at->second.last < last) at->second.last = last;
  }

  void empty(Partition partition) {
    if (const auto at = ranges_.find(partition); at != ranges_.end()) at->second.emptied = true;
  }

  void drop(Partition partition) { ranges_.erase(partition); }

  const Map& ranges() const { return ranges_; }

 private:
  Map ranges_;
};

}  // namespace jack

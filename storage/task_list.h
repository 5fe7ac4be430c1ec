// One page of tasks, live and finished, newest id first.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/store.h"
#include "storage/partitions.h"
#include "storage/sqlite.h"

namespace jack {

// Merges the live tasks and the hours of finished ones, all of which are in order of id. There is
// no index by queue or state, because every hot row would pay for it; instead a page looks at a
// bounded number of tasks (about 5 ms of the loop) and may come back short, with the place to go
// on.
class TaskList {
 public:
  // Within a read transaction of the caller. The query and the partitions outlive this.
  TaskList(Database& database, const Partitions& partitions, const ListQuery& query);

  Result<ListPage> read();

 private:
  // A table that is being read, standing on its next task.
  struct Source {
    Statement select;
    std::optional<Partition> partition;  // none: the live tasks
    bool emptied = false;
    TaskId id;
    TaskState state = TaskState::queued;
    std::string queue;
    std::string status;
    bool removed = false;
  };

  Result<void> open_sources();
  Result<void> open_source(std::optional<Partition> partition, bool emptied);
  Result<bool> advance(Source& source);
  Source* newest();
  bool fits(const Source& source) const;
  Result<void> add(const Source& source, ListPage& page);
  Result<std::string> spec(const Source& source);

  Database& database_;
  const Partitions& partitions_;
  const ListQuery& query_;
  std::vector<Source> sources_;
  std::size_t bytes_ = 0;
};

}  // namespace jack

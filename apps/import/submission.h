// Handing planned tasks to an engine, and what it makes of them.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include <jack_engine/error.h>

#include "apps/import/plan.h"

namespace jack::app {

enum class ImportOutcome : std::uint8_t {
  imported,
  already_there,
  there_otherwise,  // in another queue or with other headers, and stays so
  completed,        // it was there, still to be done, and has its result now
};

// Where tasks are imported to: an engine, or what a test puts in its place.
class ImportTarget {
 public:
  virtual ~ImportTarget() = default;

  // Up to kImportBatchTasks tasks, in their order; each has an outcome of its own. Those with a
  // result that are new are never handed to a worker: they are there as succeeded. Of those that
  // are there already, those with a result succeed with it if they have not ended, the others stay
  // as they are.
  // Errors, of all or of one: as Client::submit(); of all, the fate of each is unknown. Of one:
  //         failed_precondition  it has a result, and was handed to a worker or has not succeeded
  virtual Result<std::vector<Result<ImportOutcome>>> submit(std::span<const ImportTask> tasks) = 0;
};

inline constexpr std::size_t kImportBatchTasks = 1000;
// Of payloads and results in one batch, unless one task alone has more: half of what an engine
// takes, so that all that is around them fits in too.
inline constexpr std::size_t kImportBatchBytes = 4u << 20;

// Submits all tasks and counts what became of them; `done` goes up as it goes on. They go in the
// order of their dates, whichever file they are from, because an engine lists and hands out tasks
// in the order in which it got them; those without a date go first. A task that the engine refuses
// for what it is becomes a problem of its file.
// Errors: of the engine, which must pass before it makes sense to go on; what was done before it is
//         counted, and doing all of it again is safe
Result<void> submit_all(std::vector<PlannedFile>& files, ImportTarget& target,
                        std::atomic<std::uint64_t>& done);

// The tasks in the files.
std::uint64_t count_tasks(const std::vector<PlannedFile>& files);

}  // namespace jack::app

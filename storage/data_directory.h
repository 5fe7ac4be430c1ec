// The folder in which an engine keeps everything: who it is, whether it stopped cleanly, its
// journal and its store. One engine at a time may use it.
//
//   lock         held (flock) while an engine runs; contains its process id
//   engine.id    32 hexadecimal digits: the engine's permanent id
//   last-stop    "running <ms> <pid>" while it takes work, "clean <ms>" once it has stopped in
//                order
//   journal.db   storage/journal_table.h
//   tasks.db     storage/task_store.h
//   reserve      storage/reserve.h
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <jack_engine/error.h>
#include <jack_engine/time.h>

#include "storage/reserve.h"

namespace jack {

// Names an engine for good; 16 random bytes.
using EngineId = std::array<std::uint8_t, 16>;

// How the engine that last used a data directory ended.
struct LastStop {
  enum class Kind {
    never_ran,
    clean,    // at `at`
    unclean,  // began at `at` and ended nobody knows when: killed, crashed, or power lost
  };
  Kind kind = Kind::never_ran;
  WallTime at{};
};

struct DataDirectoryOptions {
  std::string path;                        // made, with its parents, where missing
  std::uint64_t reserve_bytes = 64 << 20;  // one flush, one checkpoint, a settle per live lease
};

// The loop's thread, except for reserve().
class DataDirectory {
 public:
  // Takes the lock. `clock` is used as long as the directory. A folder that was there is closed to
  // other users where it is empty or an engine's already; another one has to be closed by whoever
  // uses it.
  //
  // Errors: unavailable          in use (the message names the process), or it cannot be read
  //         permission_denied    it, or the folder it would be in, belongs to somebody else
  //         failed_precondition  it holds other things and is open to others, or is no directory
  //         storage_full         no room even for its small files
  //         corruption           engine.id or last-stop is not what was written
  static Result<std::unique_ptr<DataDirectory>> open(const DataDirectoryOptions& options,
                                                     const Clock& clock);

  // For those who only look: takes no lock, changes nothing. While an engine runs it reads
  // `unclean`, with the time of its start.
  static Result<LastStop> read_last_stop(const std::string& path);

  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;
  ~DataDirectory();  // gives the lock back

  // Marks the engine as running: from here on the stop is unclean unless stop_cleanly() comes. To
  // be called once it takes work, so that a start that is merely refused (a port in use, a key that
  // is missing) is not taken for a crash.
  // Errors: storage_full, unavailable
  Result<void> begin_run();

  // To be called once journal and store are closed and nothing is left to recover.
  Result<void> stop_cleanly();

  const EngineId& engine_id() const { return id_; }
  const LastStop& last_stop() const { return last_stop_; }  // before this run

  const std::string& path() const { return path_; }  // absolute
  std::string journal_path() const { return path_ + "/journal.db"; }
  std::string tasks_path() const { return path_ + "/tasks.db"; }

  Reserve& reserve() { return *reserve_; }

  // Free bytes for new tasks: those of the volume, none while the reserve is released. Asks the
  // volume at most once a second.
  std::uint64_t room_bytes();

 private:
  DataDirectory(std::string path, const Clock& clock, int lock);

  Result<void> load_id();
  Result<void> mark(const std::string& text);

  const std::string path_;
  const Clock& clock_;
  const int lock_;
  EngineId id_{};
  LastStop last_stop_;
  std::unique_ptr<Reserve> reserve_;
  std::uint64_t free_bytes_ = 0;
  std::optional<SteadyTime> free_bytes_at_;
};

}  // namespace jack

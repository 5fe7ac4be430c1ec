// Space set aside on the volume, so that on a full disk running tasks can still be settled: it is
// given back to the volume when a write finds no room, and set aside again when room returns. While
// it is gone, new tasks are refused.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include <jack_engine/error.h>

#include "engine/guarded_by.h"

namespace jack {

// Any thread: the journal's thread, the store's and the loop all come to it.
class Reserve {
 public:
  // Sets `bytes` aside in the file `path`. On a volume too full for it the reserve opens released;
  // that is no error, it only means that no new task is taken.
  // Errors: unavailable  the file cannot be made
  static Result<std::unique_ptr<Reserve>> open(std::string path, std::uint64_t bytes);

  Reserve(const Reserve&) = delete;
  Reserve& operator=(const Reserve&) = delete;
  ~Reserve();  // what is set aside stays so

  // Gives the space to the volume. True: there was some, so a write that found no room may be tried
  // once more.
  bool release();

  // Sets the space aside again if the volume has twice as much free, so that it does not come and
  // go at every write. Returns held().
  bool restore();

  bool held() const;

  std::uint64_t bytes() const { return bytes_; }

 private:
  Reserve(std::string path, int file, std::uint64_t bytes);

  bool set_aside() const;

  const std::string path_;
  const int file_;
  const std::uint64_t bytes_;
  mutable std::mutex mutex_;  // two threads may find the disk full at the same moment
  bool held_ JACK_GUARDED_BY(mutex_) = false;
};

// Free bytes of the volume that holds `path`, as far as this user may use them.
// Errors: unavailable  the volume does not answer
Result<std::uint64_t> free_bytes_at(const std::string& path);

}  // namespace jack

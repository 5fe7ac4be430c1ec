// Lets one at a time change a small file that is replaced as a whole.
#pragma once

#include <string>
#include <utility>

#include <unistd.h>

#include <jack_engine/error.h>

namespace jack::wire {

// An advisory lock, between processes and between threads, until it is destroyed or the process
// ends. It is on a file beside it, PATH.lock, because PATH itself becomes another file.
class FileLock {
 public:
  // Waits for whoever has it, who reads and writes one small file meanwhile.
  // Errors: not_found  there is no such folder
  //         permission_denied, storage_full, unavailable
  static Result<FileLock> take(const std::string& path);

  FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
};

}  // namespace jack::wire

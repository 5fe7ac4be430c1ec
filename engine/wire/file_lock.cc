#include "engine/wire/file_lock.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/file.h>

#include "engine/wire/private_file.h"

namespace jack::wire {

Result<FileLock> FileLock::take(const std::string& path) {
  const std::string lock_path = path + ".lock";
  FileLock lock(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  // Without the folder there is no file either, which says more than that there is no lock.
  if (lock.descriptor_ < 0) return error_of_errno(errno, errno == ENOENT ? path : lock_path);
  int locked = 0;
  do {
    locked = ::flock(lock.descriptor_, LOCK_EX);
  } while (locked != 0 && errno == EINTR);
  if (locked != 0) return error_of_errno(errno, lock_path);
  return lock;
}

}  // namespace jack::wire

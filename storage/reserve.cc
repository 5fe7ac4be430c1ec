#include "storage/reserve.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "storage/system_error.h"

namespace jack {

Result<std::uint64_t> free_bytes_at(const std::string& path) {
  struct statvfs volume {};
  if (::statvfs(path.c_str(), &volume) != 0) {
    return system_error("cannot tell the free space of " + path);
  }
  return static_cast<std::uint64_t>(volume.f_bavail) * volume.f_frsize;
}

Result<std::unique_ptr<Reserve>> Reserve::open(std::string path, std::uint64_t bytes) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return system_error("cannot make " + path);
  std::unique_ptr<Reserve> reserve(new Reserve(std::move(path), file, bytes));
  const std::lock_guard lock(reserve->mutex_);
  reserve->held_ = reserve->set_aside();
  return reserve;
}

Reserve::Reserve(std::string path, int file, std::uint64_t bytes)
    : path_(std::move(path)), file_(file), bytes_(bytes) {}

Reserve::~Reserve() { ::close(file_); }

bool Reserve::release() {
  const std::lock_guard lock(mutex_);
  if (!held_) return false;
  held_ = false;
  return ::ftruncate(file_, 0) == 0;
}

bool Reserve::restore() {
  const std::lock_guard lock(mutex_);
  if (held_) return true;
  const Result<std::uint64_t> free = free_bytes_at(path_);
  if (!free || *free < 2 * bytes_) return false;
  held_ = set_aside();
  return held_;
}

bool Reserve::held() const {
  const std::lock_guard lock(mutex_);
  return held_;
}

bool Reserve::set_aside() const {
  if (bytes_ == 0) return true;
  const auto size = static_cast<off_t>(bytes_);
  // Keeps blocks that are there already, so that a restart costs nothing.
  if (::posix_fallocate(file_, 0, size) == 0 && ::ftruncate(file_, size) == 0) return true;
  // Half a reserve would take room and help nobody. If even this fails, nothing is lost by it.
  [[maybe_unused]] const int shortened = ::ftruncate(file_, 0);
  return false;
}

}  // namespace jack

// Preloaded into the program: a disk that gets full. The file JACK_FULL_DISK holds one number of
// eight bytes, the room that is left, or a negative one where there is plenty. What grows a file
// takes from it, what shortens one gives back; writing over what is there costs nothing.
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace {

using Room = std::atomic<std::int64_t>;

Room* map_room() {
  const char* const path = std::getenv("JACK_FULL_DISK");
  const int file = path == nullptr ? -1 : ::open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) std::abort();
  void* const room = ::mmap(nullptr, sizeof(Room), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  ::close(file);
  if (room == MAP_FAILED) std::abort();
  return static_cast<Room*>(room);
}

Room& room() {
  static Room* const mapped = map_room();
  return *mapped;
}

template <typename Function>
Function* original(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

// How far a file reaches; nothing for a pipe, a socket or an event.
std::int64_t end_of(int file) {
  struct stat64 facts {};
  if (::fstat64(file, &facts) != 0 || !S_ISREG(facts.st_mode)) return INT64_MAX;
  return facts.st_size;
}

// True where there is room for the file to reach `end`.
bool take(int file, std::int64_t end) {
  std::int64_t left = room().load();
  if (left < 0) return true;
  const std::int64_t more = end - end_of(file);
  if (more <= 0) return true;
  while (left >= more) {
    if (room().compare_exchange_weak(left, left - more)) return true;
  }
  errno = ENOSPC;
  return false;
}

}  // namespace

extern "C" ssize_t pwrite64(int file, const void* bytes, size_t count, off64_t offset) {
  static auto* const write = original<ssize_t(int, const void*, size_t, off64_t)>("pwrite64");
  if (!take(file, offset + static_cast<off64_t>(count))) return -1;
  return write(file, bytes, count, offset);
}

extern "C" ssize_t write(int file, const void* bytes, size_t count) {
  static auto* const write = original<ssize_t(int, const void*, size_t)>("write");
  const off64_t at = ::lseek64(file, 0, SEEK_CUR);
  if (at >= 0 && !take(file, at + static_cast<off64_t>(count))) return -1;
  return write(file, bytes, count);
}

extern "C" int posix_fallocate64(int file, off64_t offset, off64_t count) {
  static auto* const allocate = original<int(int, off64_t, off64_t)>("posix_fallocate64");
  if (!take(file, offset + count)) return ENOSPC;
  return allocate(file, offset, count);
}

extern "C" int ftruncate64(int file, off64_t size) noexcept {
  static auto* const truncate = original<int(int, off64_t)>("ftruncate64");
  const std::int64_t less = end_of(file) - size;
  const int done = truncate(file, size);
  if (done == 0 && less > 0 && room().load() >= 0) room() += less;
  return done;
}

extern "C" int statvfs64(const char* path, struct statvfs64* facts) noexcept {
  static auto* const ask = original<int(const char*, struct statvfs64*)>("statvfs64");
  const int done = ask(path, facts);
  const std::int64_t left = room().load();
  if (done == 0 && left >= 0) facts->f_bavail = static_cast<fsblkcnt64_t>(left) / facts->f_frsize;
  return done;
}

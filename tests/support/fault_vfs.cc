#include "tests/support/fault_vfs.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <new>

#include <sqlite3.h>

#include "tests/support/files.h"

namespace jack::test {
namespace {

// What SQLite holds for an open file; the real one lies behind it.
struct File {
  sqlite3_file base;
  FaultVfs* vfs = nullptr;
  const char* path = nullptr;  // SQLite keeps it until the file is closed

  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

File& file_of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }
sqlite3_file* real_of(sqlite3_file* file) { return file_of(file).real(); }

int close(sqlite3_file* file) { return real_of(file)->pMethods->xClose(real_of(file)); }

int read(sqlite3_file* file, void* to, int bytes, sqlite3_int64 at) {
  return real_of(file)->pMethods->xRead(real_of(file), to, bytes, at);
}

int write(sqlite3_file* file, const void* from, int bytes, sqlite3_int64 at) {
  const int code = file_of(file).vfs->before(FaultVfs::Operation::write);
  if (code != SQLITE_OK) return code;
  return real_of(file)->pMethods->xWrite(real_of(file), from, bytes, at);
}

int sync(sqlite3_file* file, int flags) {
  const int code = file_of(file).vfs->before(FaultVfs::Operation::sync);
  if (code != SQLITE_OK) return code;
  if (file_of(file).path != nullptr) file_of(file).vfs->synced(file_of(file).path);
  return real_of(file)->pMethods->xSync(real_of(file), flags);
}

int truncate(sqlite3_file* file, sqlite3_int64 size) {
  return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

int file_size(sqlite3_file* file, sqlite3_int64* size) {
  return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

int lock(sqlite3_file* file, int level) {
  return real_of(file)->pMethods->xLock(real_of(file), level);
}

int unlock(sqlite3_file* file, int level) {
  return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

int check_reserved_lock(sqlite3_file* file, int* held) {
  return real_of(file)->pMethods->xCheckReservedLock(real_of(file), held);
}

int file_control(sqlite3_file* file, int what, void* argument) {
  if (what == SQLITE_FCNTL_LAST_ERRNO && file_of(file).vfs->has_failed()) {
    *static_cast<int*>(argument) = file_of(file).vfs->error();
    return SQLITE_OK;
  }
  return real_of(file)->pMethods->xFileControl(real_of(file), what, argument);
}

int sector_size(sqlite3_file* file) { return real_of(file)->pMethods->xSectorSize(real_of(file)); }

int characteristics(sqlite3_file* file) {
  return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

int shm_map(sqlite3_file* file, int page, int bytes, int extend, void volatile** at) {
  return real_of(file)->pMethods->xShmMap(real_of(file), page, bytes, extend, at);
}

int shm_lock(sqlite3_file* file, int offset, int count, int flags) {
  return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

void shm_barrier(sqlite3_file* file) { real_of(file)->pMethods->xShmBarrier(real_of(file)); }

int shm_unmap(sqlite3_file* file, int remove) {
  return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

const sqlite3_io_methods kMethods{2,
                                  close,
                                  read,
                                  write,
                                  truncate,
                                  sync,
                                  file_size,
                                  lock,
                                  unlock,
                                  check_reserved_lock,
                                  file_control,
                                  sector_size,
                                  characteristics,
                                  shm_map,
                                  shm_lock,
                                  shm_barrier,
                                  shm_unmap,
                                  nullptr,
                                  nullptr};

sqlite3_vfs* system_vfs() { return sqlite3_vfs_find(nullptr); }

int open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* flags_out) {
  File* const made = new (file) File{};
  made->vfs = static_cast<FaultVfs*>(vfs->pAppData);
  made->path = path;
  const int code = system_vfs()->xOpen(system_vfs(), path, made->real(), flags, flags_out);
  made->base.pMethods = code == SQLITE_OK ? &kMethods : nullptr;
  return code;
}

// What is passed on finds its own data by the system's object.
int remove(sqlite3_vfs*, const char* path, int sync_directory) {
  return system_vfs()->xDelete(system_vfs(), path, sync_directory);
}
int access(sqlite3_vfs*, const char* path, int flags, int* result) {
  return system_vfs()->xAccess(system_vfs(), path, flags, result);
}
int full_path(sqlite3_vfs*, const char* path, int size, char* full) {
  return system_vfs()->xFullPathname(system_vfs(), path, size, full);
}

}  // namespace

FaultVfs::FaultVfs()
    : name_("fault-" + std::to_string(reinterpret_cast<std::uintptr_t>(this))),
      vfs_(std::make_unique<sqlite3_vfs>(*system_vfs())) {
  vfs_->pNext = nullptr;
  vfs_->zName = name_.c_str();
  vfs_->pAppData = this;
  vfs_->szOsFile += static_cast<int>(sizeof(File));
  vfs_->xOpen = open;
  vfs_->xDelete = remove;
  vfs_->xAccess = access;
  vfs_->xFullPathname = full_path;
  sqlite3_vfs_register(vfs_.get(), 0);
}

FaultVfs::~FaultVfs() { sqlite3_vfs_unregister(vfs_.get()); }

void FaultVfs::fail(const Fault& fault) {
  const std::lock_guard lock(mutex_);
  fault_ = fault;
  armed_ = true;
  failed_ = false;
  counts_.clear();
}

void FaultVfs::heal() {
  const std::lock_guard lock(mutex_);
  armed_ = false;
  failed_ = false;
  counts_.clear();
}

int FaultVfs::count(Operation operation) const {
  const std::lock_guard lock(mutex_);
  const auto at = counts_.find(operation);
  return at == counts_.end() ? 0 : at->second;
}

bool FaultVfs::has_failed() const {
  const std::lock_guard lock(mutex_);
  return failed_;
}

int FaultVfs::error() const {
  const std::lock_guard lock(mutex_);
  return fault_.error;
}

int FaultVfs::before(Operation operation) {
  const std::lock_guard lock(mutex_);
  const int number = ++counts_[operation];
  if (!armed_ || operation != fault_.operation) return SQLITE_OK;
  if (number != fault_.at && !(fault_.for_ever && number > fault_.at)) return SQLITE_OK;
  failed_ = true;
  if (operation == Operation::sync) return SQLITE_IOERR_FSYNC;
  return fault_.error == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;  // as SQLite's own does
}

void FaultVfs::synced(const std::string& path) {
  std::string content = content_of(path);
  const std::lock_guard lock(mutex_);
  durable_[path] = std::move(content);
}

void FaultVfs::cut_power(const std::string& from, const std::string& to) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [path, content] : durable_) {
    const std::filesystem::path file(path);
    if (file.parent_path() != from || !std::filesystem::exists(file)) continue;
    std::ofstream out(std::filesystem::path(to) / file.filename(), std::ios::binary);
    out << content;
  }
}

}  // namespace jack::test

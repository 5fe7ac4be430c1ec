#include "storage/data_directory.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/system_error.h"

namespace jack {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kFreeBytesAge{1};
constexpr std::size_t kSmallFileBytesMax = 256;
constexpr std::string_view kHexDigits = "0123456789abcdef";

// What can be in a data directory before its first engine: the lock, where that engine came no
// further, and what people put there.
constexpr std::array<std::string_view, 4> kMayComeFirst = {"lock", "reserve", "jack.toml", "keys"};

// Closes a descriptor at the end of a scope.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  int get() const { return value_; }
  int release() { return std::exchange(value_, -1); }

 private:
  int value_;
};

Result<void> sync_directory(const std::string& path) {
  const Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0) return system_error("cannot open " + path);
  if (::fsync(directory.get()) != 0) return system_error("cannot sync " + path);
  return {};
}

// Nothing where the file is missing.
Result<std::optional<std::string>> read_small_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) {
    if (errno == ENOENT) return std::optional<std::string>();
    return system_error("cannot read " + path);
  }
  std::string text(kSmallFileBytesMax, '\0');
  const ssize_t got = ::pread(file.get(), text.data(), text.size(), 0);
  if (got < 0) return system_error("cannot read " + path);
  text.resize(static_cast<std::size_t>(got));
  return std::optional<std::string>(std::move(text));
}

// The old text or the new one, also after power loss.
Result<void> replace_small_file(const std::string& directory, const std::string& name,
                                const std::string& text) {
  const std::string path = directory + "/" + name;
  const std::string draft = path + ".new";
  {
    const Descriptor file(::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (file.get() < 0) return system_error("cannot make " + draft);
    errno = ENOSPC;  // what a short write means
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      return system_error("cannot write " + draft);
    }
    if (::fsync(file.get()) != 0) return system_error("cannot sync " + draft);
  }
  if (::rename(draft.c_str(), path.c_str()) != 0) return system_error("cannot replace " + path);
  return sync_directory(directory);
}

// Whether an engine has made this folder its own, or nothing is in it but what is put there for
// one.
Result<bool> is_for_an_engine(const std::string& path) {
  std::error_code failed;
  if (fs::exists(path + "/engine.id", failed)) return true;
  for (fs::directory_iterator entry(path, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const std::string name = entry->path().filename().string();
    if (std::ranges::find(kMayComeFirst, name) == kMayComeFirst.end()) return false;
  }
  if (failed) return system_error("cannot read " + path, failed.value());
  return true;
}

// Others may not read payloads in a folder that was there before. One that is used for other things
// is not ours to close.
Result<void> take_over(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return system_error("cannot look at " + path);
  if (!S_ISDIR(status.st_mode)) {
    return Error{Code::failed_precondition, path + " is no directory; choose another"};
  }
  if (status.st_uid != ::geteuid() && ::geteuid() != 0) {
    return Error{Code::permission_denied,
                 path + " belongs to somebody else; choose another data directory"};
  }
  if ((status.st_mode & 077) == 0) return {};
  const Result<bool> ours = is_for_an_engine(path);
  if (!ours) return ours.error();
  if (!*ours) {
    return Error{Code::failed_precondition,
                 path +
                     " holds other things and is open to other users: choose another data "
                     "directory, or close it yourself with `chmod 700`"};
  }
  if (::chmod(path.c_str(), 0700) != 0) return system_error("cannot make " + path + " private");
  return {};
}

Result<void> make_directory(const std::string& path) {
  std::error_code failed;
  const fs::path parent = fs::path(path).parent_path();
  fs::create_directories(parent, failed);
  if (failed) return system_error("cannot make " + parent.string(), failed.value());
  if (::mkdir(path.c_str(), 0700) == 0) return sync_directory(parent.string());
  if (errno != EEXIST) return system_error("cannot make " + path);
  return take_over(path);
}

Error in_use(const std::string& path, int lock) {
  std::string holder(32, '\0');
  const ssize_t got = ::pread(lock, holder.data(), holder.size(), 0);
  holder.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  holder.erase(holder.find_last_not_of("\n") + 1);
  if (holder.empty()) holder = "unknown";
  return {Code::unavailable, path + " is in use by another engine (process " + holder +
                                 "): stop it, or choose another data directory"};
}

Result<int> take_lock(const std::string& directory) {
  const std::string path = directory + "/lock";
  Descriptor lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (lock.get() < 0) return system_error("cannot open " + path);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return in_use(directory, lock.get());
    return system_error("cannot lock " + path);
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock.get(), 0) != 0 ||
      ::pwrite(lock.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return system_error("cannot write " + path);
  }
  return lock.release();
}

Result<EngineId> id_from_hex(std::string_view text) {
  const Error damaged{Code::corruption, "engine.id is not 32 hexadecimal digits"};
  EngineId id{};
  if (text.size() < 2 * id.size()) return damaged;
  for (std::size_t i = 0; i < id.size(); ++i) {
    const char* const at = text.data() + 2 * i;
    const auto [end, failed] = std::from_chars(at, at + 2, id[i], 16);
    if (failed != std::errc() || end != at + 2) return damaged;
  }
  return id;
}

std::string hex_of(const EngineId& id) {
  std::string text;
  for (const std::uint8_t byte : id) {
    text += kHexDigits[byte >> 4];
    text += kHexDigits[byte & 15];
  }
  return text;
}

std::int64_t unix_ms(WallTime at) { return at.time_since_epoch().count(); }

}  // namespace

Result<std::unique_ptr<DataDirectory>> DataDirectory::open(const DataDirectoryOptions& options,
                                                           const Clock& clock) {
  const std::string path = fs::absolute(options.path).lexically_normal().string();
  if (Result<void> made = make_directory(path); !made) return made.error();
  const Result<int> lock = take_lock(path);
  if (!lock) return lock.error();
  std::unique_ptr<DataDirectory> directory(new DataDirectory(path, clock, *lock));

  // First, because the small files below may need what it holds on a disk that is full.
  Result<std::unique_ptr<Reserve>> reserve =
      Reserve::open(path + "/reserve", options.reserve_bytes);
  if (!reserve) return reserve.error();
  directory->reserve_ = std::move(*reserve);

  if (Result<void> loaded = directory->load_id(); !loaded) return loaded.error();
  const Result<LastStop> last = read_last_stop(path);
  if (!last) return last.error();
  directory->last_stop_ = *last;
  return directory;
}

DataDirectory::DataDirectory(std::string path, const Clock& clock, int lock)
    : path_(std::move(path)), clock_(clock), lock_(lock) {}

DataDirectory::~DataDirectory() { ::close(lock_); }

Result<LastStop> DataDirectory::read_last_stop(const std::string& path) {
  const Result<std::optional<std::string>> text = read_small_file(path + "/last-stop");
  if (!text) return text.error();
  if (!*text) return LastStop{};

  const std::string_view all = **text;
  const std::size_t space = all.find(' ');
  const std::string_view word = all.substr(0, space);
  std::int64_t ms = 0;
  const bool dated =
      space != std::string_view::npos &&
      std::from_chars(all.data() + space + 1, all.data() + all.size(), ms).ec == std::errc();
  if (!dated || (word != "running" && word != "clean")) {
    return Error{Code::corruption, path + "/last-stop is not what JACK writes; remove the file"};
  }
  const auto kind = word == "clean" ? LastStop::Kind::clean : LastStop::Kind::unclean;
  return LastStop{kind, WallTime(std::chrono::milliseconds(ms))};
}

Result<void> DataDirectory::load_id() {
  const Result<std::optional<std::string>> text = read_small_file(path_ + "/engine.id");
  if (!text) return text.error();
  if (*text) {
    const Result<EngineId> id = id_from_hex(**text);
    if (!id) return id.error();
    id_ = *id;
    return {};
  }
  if (::getrandom(id_.data(), id_.size(), 0) != static_cast<ssize_t>(id_.size())) {
    return system_error("the system has no random numbers");
  }
  return replace_small_file(path_, "engine.id", hex_of(id_) + "\n");
}

Result<void> DataDirectory::mark(const std::string& text) {
  Result<void> marked = replace_small_file(path_, "last-stop", text + "\n");
  if (marked || marked.error().code != Code::storage_full || !reserve_->release()) return marked;
  return replace_small_file(path_, "last-stop", text + "\n");
}

Result<void> DataDirectory::begin_run() {
  return mark("running " + std::to_string(unix_ms(clock_.wall_now())) + " " +
              std::to_string(::getpid()));
}

Result<void> DataDirectory::stop_cleanly() {
  return mark("clean " + std::to_string(unix_ms(clock_.wall_now())));
}

std::uint64_t DataDirectory::room_bytes() {
  const SteadyTime now = clock_.now();
  if (!free_bytes_at_ || now - *free_bytes_at_ >= kFreeBytesAge) {
    const Result<std::uint64_t> free = free_bytes_at(path_);
    free_bytes_ = free ? *free : 0;
    free_bytes_at_ = now;
  }
  return reserve_->held() ? free_bytes_ : 0;
}

}  // namespace jack

#include "engine/wire/private_file.h"

#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace jack::wire {
namespace {

constexpr std::size_t kSmallFileBytesMax = 1 << 20;

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int descriptor() const { return descriptor_; }
  bool is_open() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

bool write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return ::fsync(descriptor) == 0;
}

}  // namespace

Error error_of_errno(int number, const std::string& path) {
  const Code code = number == ENOENT                        ? Code::not_found
                    : number == EEXIST                      ? Code::already_exists
                    : number == EACCES || number == EPERM   ? Code::permission_denied
                    : number == ENOSPC || number == EDQUOT  ? Code::storage_full
                    : number == EISDIR || number == ENOTDIR ? Code::invalid_argument
                                                            : Code::unavailable;
  return {code, path + ": " + std::generic_category().message(number)};
}

Result<std::string> read_small_file(const std::string& path) {
  // Without waiting where it is a pipe that nobody writes.
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.is_open()) return error_of_errno(errno, path);
  struct stat status {};
  if (::fstat(file.descriptor(), &status) != 0) return error_of_errno(errno, path);
  if (!S_ISREG(status.st_mode) || status.st_size > static_cast<off_t>(kSmallFileBytesMax)) {
    return Error{Code::invalid_argument, path + " is not a file of at most 1 MiB"};
  }
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t length = 0;
  while (length < text.size()) {
    const ssize_t got = ::read(file.descriptor(), text.data() + length, text.size() - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return error_of_errno(errno, path);
    if (got == 0) break;  // somebody shortened it meanwhile
    length += static_cast<std::size_t>(got);
  }
  text.resize(length);
  return text;
}

Result<void> create_private_file(const std::string& path, std::string_view text) {
  const File file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.is_open()) return error_of_errno(errno, path);
  if (write_all(file.descriptor(), text)) return {};
  const Error error = error_of_errno(errno, path);
  ::unlink(path.c_str());
  return error;
}

Result<void> replace_private_file(const std::string& path, std::string_view text) {
  const std::string fresh = path + ".new";
  ::unlink(fresh.c_str());  // what a crash left behind
  if (Result<void> ok = create_private_file(fresh, text); !ok) return ok;
  if (::rename(fresh.c_str(), path.c_str()) == 0) return {};
  const Error error = error_of_errno(errno, path);
  ::unlink(fresh.c_str());
  return error;
}

Result<void> make_private_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno == ENOENT) {
    const std::size_t slash = path.find_last_of('/');
    if (slash == std::string::npos || slash == 0) return error_of_errno(ENOENT, path);
    if (Result<void> ok = make_private_folder(path.substr(0, slash));
        !ok && ok.error().code != Code::permission_denied) {
      return ok;
    }
    ::mkdir(path.c_str(), 0700);
  }
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return error_of_errno(errno, path);
  if (S_ISDIR(status.st_mode) && status.st_uid == ::geteuid() && (status.st_mode & 077) == 0)
    return {};
  return Error{Code::permission_denied,
               path + " is not a folder that only this user may enter (chmod 700)"};
}

}  // namespace jack::wire

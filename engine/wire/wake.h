// Wakes a thread that polls sockets: a descriptor that becomes readable.
#pragma once

#include <cstdint>
#include <utility>

#include <sys/eventfd.h>
#include <unistd.h>

#include <jack_engine/error.h>

namespace jack::wire {

// set() from any thread; the rest from the thread that polls.
class Wake {
 public:
  // Errors: unavailable  no more files
  static Result<Wake> open() {
    const int descriptor = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (descriptor < 0) return Error{Code::unavailable, "no descriptor left: raise `ulimit -n`"};
    return Wake(descriptor);
  }
  Wake(Wake&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Wake& operator=(Wake&&) = delete;
  ~Wake() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  int descriptor() const { return descriptor_; }

  void set() {
    const std::uint64_t one = 1;
    // Fails only where it has been set so often that it is readable anyway.
    [[maybe_unused]] const ssize_t written = ::write(descriptor_, &one, sizeof one);
  }

  // Forgets that it was set; false where it was not.
  bool clear() {
    std::uint64_t times = 0;
    return ::read(descriptor_, &times, sizeof times) == sizeof times;
  }

 private:
  explicit Wake(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
};

}  // namespace jack::wire

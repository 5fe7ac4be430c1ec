// Preloaded into the program: ends it by SIGKILL at one of its writes, as JACK_CRASH_AT counts them
// from 1, pwrite and fdatasync alike. Every third time before the write, every third time in its
// middle, every third time after it, so that each kind of half-done commit is met.
#include <atomic>
#include <csignal>
#include <cstdlib>

#include <dlfcn.h>
#include <unistd.h>

namespace {

enum class Moment { none, before, middle, after };

long crash_at() {
  static const long number = [] {
    const char* const text = std::getenv("JACK_CRASH_AT");
    return text == nullptr ? 0 : std::atol(text);
  }();
  return number;
}

Moment next_moment() {
  static std::atomic<long> count{0};
  const long number = crash_at();
  if (number == 0 || ++count != number) return Moment::none;
  switch (number % 3) {
    case 0: return Moment::before;
    case 1: return Moment::middle;
    default: return Moment::after;
  }
}

[[noreturn]] void crash() {
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

template <typename Function>
Function* original(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" ssize_t pwrite64(int file, const void* bytes, size_t count, off64_t offset) {
  static auto* const write = original<ssize_t(int, const void*, size_t, off64_t)>("pwrite64");
  const Moment moment = next_moment();
  if (moment == Moment::before) crash();
  const ssize_t written = write(file, bytes, moment == Moment::middle ? count / 2 : count, offset);
  if (moment != Moment::none) crash();
  return written;
}

extern "C" int fdatasync(int file) {
  static auto* const sync = original<int(int)>("fdatasync");
  const Moment moment = next_moment();
  if (moment == Moment::before || moment == Moment::middle) crash();
  const int synced = sync(file);
  if (moment == Moment::after) crash();
  return synced;
}

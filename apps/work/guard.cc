#include "apps/work/guard.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <set>
#include <string>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace jack::app {
namespace {

// Over the pipe go process groups: a number to watch it, its negative to forget it. Writes of this
// size do not mix.
[[noreturn]] void guard(int pipe) {
  ::prctl(PR_SET_NAME, "jack-guard");
  ::setpgid(0, 0);  // whoever kills the group of `jack work` is to miss this process
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) std::signal(signal, SIG_IGN);
  // Nobody who waits for the outputs of `jack work` to close is to wait for this process.
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int descriptor = 0; descriptor <= 2; ++descriptor) ::dup2(nothing, descriptor);

  std::set<pid_t> groups;
  pid_t group = 0;
  while (true) {
    const ssize_t got = ::read(pipe, &group, sizeof group);
    if (got < 0 && errno == EINTR) continue;
    if (got != sizeof group) break;
    if (group > 0) groups.insert(group);
    if (group < 0) groups.erase(-group);
  }
  for (const pid_t left : groups) ::kill(-left, SIGKILL);
  ::_exit(0);
}

}  // namespace

Result<ProcessGuard> ProcessGuard::start() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return Error{Code::unavailable, std::string("cannot make a pipe: ") + std::strerror(errno)};
  }
  const Descriptor reader(ends[0]);
  Descriptor writer(ends[1]);
  const pid_t process = ::fork();
  if (process < 0) {
    return Error{Code::unavailable, std::string("cannot fork: ") + std::strerror(errno)};
  }
  if (process == 0) {
    writer.close();
    guard(reader.get());
  }
  return ProcessGuard(std::move(writer), process);
}

ProcessGuard::~ProcessGuard() {
  if (!pipe_) return;  // moved from
  pipe_.close();
  ::waitpid(process_, nullptr, 0);
}

void ProcessGuard::watch(pid_t group) { tell(group); }

void ProcessGuard::forget(pid_t group) { tell(-group); }

void ProcessGuard::tell(pid_t group) {
  while (::write(pipe_.get(), &group, sizeof group) < 0 && errno == EINTR) {
  }
}

}  // namespace jack::app

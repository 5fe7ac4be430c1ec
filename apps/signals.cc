#include "apps/signals.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include "engine/assert.h"

namespace jack::app {
namespace {

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

SignalWatch::SignalWatch(std::function<void()> on_first, std::function<void()> on_second) {
  const sigset_t set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signals_ = Descriptor(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  end_ = Descriptor(::eventfd(0, EFD_CLOEXEC));
  JACK_ASSERT(signals_ && end_);  // the first descriptors of a process
  thread_ = std::thread([this, on_first = std::move(on_first), on_second = std::move(on_second)] {
    run(on_first, on_second);
  });
}

SignalWatch::~SignalWatch() {
  const std::uint64_t one = 1;
  JACK_ASSERT(::write(end_.get(), &one, sizeof one) == sizeof one);
  thread_.join();
}

std::optional<int> SignalWatch::first() const {
  const int signal = first_;
  return signal == 0 ? std::nullopt : std::optional<int>(signal);
}

void SignalWatch::run(const std::function<void()>& on_first,
                      const std::function<void()>& on_second) {
  bool told = false;
  std::array<pollfd, 2> waits = {{{signals_.get(), POLLIN, 0}, {end_.get(), POLLIN, 0}}};
  while (true) {
    if (::poll(waits.data(), waits.size(), -1) < 0) continue;  // interrupted
    if (waits[1].revents != 0) return;
    signalfd_siginfo signal{};
    if (::read(signals_.get(), &signal, sizeof signal) != sizeof signal) continue;
    if (told) {
      on_second();
      end_by(static_cast<int>(signal.ssi_signo));
    } else {
      told = true;
      first_ = static_cast<int>(signal.ssi_signo);
      on_first();
    }
  }
}

void end_by(int signal) {
  std::signal(signal, SIG_DFL);
  const sigset_t set = stop_signals();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  ::kill(::getpid(), signal);
}

}  // namespace jack::app

#include "apps/work/error_writer.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include "apps/terminal.h"
#include "engine/guarded_by.h"
#include "engine/thread_name.h"

namespace jack::app {
namespace {

constexpr std::size_t kKeptBytesMax = 1 << 20;
constexpr std::size_t kWriteBytesMax = 64 << 10;
constexpr std::chrono::seconds kEndAfter{1};

}  // namespace

struct ErrorWriter::State {
  explicit State(int target) : descriptor(target) {}

  void run();
  bool write_all(std::string_view text);
  std::string take();

  const int descriptor;
  std::mutex mutex;  // of whoever writes, of the thread, and of whoever waits for its end
  std::condition_variable changed;
  std::string kept JACK_GUARDED_BY(mutex);
  std::uint64_t left_out JACK_GUARDED_BY(mutex) = 0;  // bytes, behind what is kept
  std::uint64_t written JACK_GUARDED_BY(mutex) = 0;   // bytes
  bool ended JACK_GUARDED_BY(mutex) = false;
  bool done JACK_GUARDED_BY(mutex) = false;
};

void ErrorWriter::State::run() {
  name_thread("jack-errors");
  bool goes_on = true;
  while (goes_on) {
    const std::string text = take();
    goes_on = !text.empty() && write_all(text);
  }
  const std::lock_guard lock(mutex);
  done = true;
  changed.notify_all();
}

// What is to be written next; empty at the end.
std::string ErrorWriter::State::take() {
  std::unique_lock lock(mutex);
  changed.wait(lock, [this] { return ended || !kept.empty(); });
  std::string text = std::exchange(kept, {});
  if (const std::uint64_t bytes = std::exchange(left_out, 0); bytes != 0) {
    if (text.back() != '\n') text += '\n';
    text += complaint(fmt::format(
        "standard error is not read: {} bytes that commands wrote to theirs are left out", bytes));
  }
  return text;
}

// False where nobody will ever read it.
bool ErrorWriter::State::write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t got = ::write(descriptor, text.data(), std::min(text.size(), kWriteBytesMax));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) {  // others have made it non-blocking
      pollfd wait{descriptor, POLLOUT, 0};
      ::poll(&wait, 1, -1);
      continue;
    }
    if (got < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(got));
    const std::lock_guard lock(mutex);
    written += static_cast<std::uint64_t>(got);
    changed.notify_all();
  }
  return true;
}

ErrorWriter::ErrorWriter(int descriptor)
    : state_(std::make_shared<State>(descriptor)), thread_([state = state_] { state->run(); }) {}

ErrorWriter::~ErrorWriter() {
  std::unique_lock lock(state_->mutex);
  state_->ended = true;
  state_->changed.notify_all();
  bool goes_on = true;
  while (!state_->done && goes_on) {
    const std::uint64_t before = state_->written;
    goes_on = state_->changed.wait_for(lock, kEndAfter,
                                       [&] { return state_->done || state_->written != before; });
  }
  const bool done = state_->done;
  lock.unlock();
  if (done) {
    thread_.join();
  } else {
    thread_.detach();
  }
}

void ErrorWriter::write(std::string_view text) {
  const std::lock_guard lock(state_->mutex);
  if (state_->done) return;
  // Behind a gap nothing is kept, so that the line about it stands in its place.
  const std::size_t room = state_->left_out == 0 ? kKeptBytesMax - state_->kept.size() : 0;
  const std::string_view fits = text.substr(0, room);
  state_->kept += fits;
  state_->left_out += text.size() - fits.size();
  state_->changed.notify_all();
}

}  // namespace jack::app

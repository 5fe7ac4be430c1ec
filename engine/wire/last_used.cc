#include "engine/wire/last_used.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/date.h"
#include "engine/thread_name.h"
#include "engine/wire/file_lock.h"
#include "engine/wire/private_file.h"
#include "engine/wire/words.h"

namespace jack::wire {
namespace {

void keep_later(UseTimes& times, std::string_view name, WallTime at) {
  const auto found = times.find(name);
  if (found == times.end()) {
    times.emplace(name, at);
  } else {
    found->second = std::max(found->second, at);
  }
}

Result<void> write(const std::string& path, const UseTimes& noted) {
  const std::string folder = path.substr(0, path.find_last_of('/'));
  if (Result<void> ok = make_private_folder(folder); !ok) return ok;
  const Result<FileLock> lock = FileLock::take(path);
  if (!lock) return lock.error();
  // One that cannot be read begins anew: it is worth less than what is known now.
  UseTimes times = read_use_times(path).value_or({});
  for (const auto& [name, at] : noted) keep_later(times, name, at);
  std::string text;
  for (const auto& [name, at] : times) text += name + " " + date_text(at) + "\n";
  return replace_private_file(path, text);
}

}  // namespace

Result<UseTimes> read_use_times(const std::string& path) {
  const Result<std::string> text = read_small_file(path);
  if (!text) return text.error();
  UseTimes times;
  for (std::string_view rest = *text; !rest.empty();) {
    std::string_view line = take_line(rest);
    const std::string_view name = take_word(line);
    const Result<WallTime> at = parse_date(take_word(line));
    if (at) keep_later(times, name, *at);
  }
  return times;
}

LastUsed::LastUsed(std::string path, OnUnwritable on_unwritable, std::chrono::milliseconds interval)
    : path_(std::move(path)),
      on_unwritable_(std::move(on_unwritable)),
      interval_(interval),
      thread_([this] { run(); }) {}

LastUsed::~LastUsed() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void LastUsed::note(std::string_view name, WallTime now) {
  const std::lock_guard lock(mutex_);
  if (noted_.empty()) wake_.notify_one();
  keep_later(noted_, name, now);
}

Result<void> LastUsed::flush() {
  const std::lock_guard one_writer(writing_);
  UseTimes noted;
  {
    const std::lock_guard lock(mutex_);
    noted.swap(noted_);
  }
  if (noted.empty()) return {};
  Result<void> written = write(path_, noted);
  if (written) return written;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, at] : noted) keep_later(noted_, name, at);
  wake_.notify_one();  // the thread may have found nothing meanwhile
  return written;
}

void LastUsed::run() {
  name_thread("jack-last-used");
  bool told = false;
  for (;;) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopping_ || !noted_.empty(); });
    wake_.wait_for(lock, interval_, [this] { return stopping_; });
    const bool last = stopping_;
    lock.unlock();
    const Result<void> written = flush();
    if (!written && !told && on_unwritable_) on_unwritable_(written.error());
    told = !written;
    if (last) return;
  }
}

}  // namespace jack::wire

// When each key was last used: for people who ask which keys can go. Kept in a file of its own, a
// line `NAME DATE` for each, so that the list of keys changes only when somebody changes it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include <jack_engine/error.h>
#include <jack_engine/time.h>

#include "engine/guarded_by.h"

namespace jack::wire {

using UseTimes = std::map<std::string, WallTime, std::less<>>;

// Lines that are none are left out: nothing depends on them.
// Errors: not_found, permission_denied
Result<UseTimes> read_use_times(const std::string& path);

// Written at most once in `interval`, on a thread of its own, and at the end. A crash loses what
// was noted since the file was last written. One process at a time writes a file.
class LastUsed {
 public:
  // Why the file cannot be written. Called on that thread, once until it can be again.
  using OnUnwritable = std::function<void(const Error&)>;

  explicit LastUsed(std::string path, OnUnwritable on_unwritable = {},
                    std::chrono::milliseconds interval = std::chrono::minutes{1});
  LastUsed(const LastUsed&) = delete;
  LastUsed& operator=(const LastUsed&) = delete;
  ~LastUsed();

  // Any thread. Never waits for the disk. `name` is that of a key in the list.
  void note(std::string_view name, WallTime now);

  // Writes now what was noted, if anything was since the last time. The folder is made where
  // missing. Any thread.
  // Errors: permission_denied, storage_full, unavailable; it is tried again with the next one
  Result<void> flush();

 private:
  void run();

  const std::string path_;
  const OnUnwritable on_unwritable_;
  const std::chrono::milliseconds interval_;
  std::mutex writing_;  // one writer at a time; taken before mutex_
  std::mutex mutex_;    // requests note, the writer takes what they noted
  std::condition_variable wake_;
  UseTimes noted_ JACK_GUARDED_BY(mutex_);  // since the file was last written
  bool stopping_ JACK_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace jack::wire

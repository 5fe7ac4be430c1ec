#include "engine/wire/key_ring.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <sys/stat.h>

#include "engine/runtime/clock.h"
#include "engine/wire/file_lock.h"
#include "engine/wire/private_file.h"
#include "engine/wire/words.h"

namespace jack::wire {
namespace {

constexpr std::chrono::milliseconds kTryAgainAfter{100};

// The list as text, for changes that leave the other lines alone, and as what it means.
struct KeyList {
  std::string text;
  KeyTable table;
};

Result<KeyList> read_list(const std::string& path) {
  Result<std::string> text = read_small_file(path);
  if (!text) return std::move(text).error();
  Result<KeyTable> table = KeyTable::parse(*text, path);
  if (!table) return std::move(table).error();
  return KeyList{*std::move(text), *std::move(table)};
}

Result<KeyList> read_or_begin_list(const std::string& path) {
  Result<KeyList> list = read_list(path);
  if (list || list.error().code != Code::not_found) return list;
  return KeyList{"# Who may come in, a key per line. `jack keys` changes this file.\n", {}};
}

Error no_such_key(const std::string& path, std::string_view name) {
  return {Code::not_found, path + " has no key named " + std::string(name)};
}

Result<void> write_with(const std::string& path, std::string_view text, const Key& key) {
  std::string changed;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    std::string_view rest = line;
    changed += take_word(rest) == key.name ? line_of(key) : std::string(line);
    changed += '\n';
  }
  return replace_private_file(path, changed);
}

}  // namespace

Result<KeyTable> read_key_list(const std::string& path) {
  Result<KeyList> list = read_list(path);
  if (!list) return std::move(list).error();
  return std::move(list->table);
}

Result<void> add_key(const std::string& path, const Key& key) {
  const std::string line = line_of(key) + "\n";
  if (const Result<KeyTable> read = KeyTable::parse(line, "this key"); !read) return read.error();
  const Result<FileLock> lock = FileLock::take(path);
  if (!lock) return lock.error();
  Result<KeyList> list = read_or_begin_list(path);
  if (!list) return std::move(list).error();
  const Key* other = list->table.find(key.name);
  if (other == nullptr) {
    other =
        key.kind == KeyKind::curve ? list->table.find_curve(key.id) : list->table.find_api(key.id);
  }
  if (other != nullptr) {
    return Error{Code::already_exists, path + " has " + other->name + " already"};
  }
  if (!list->text.empty() && list->text.back() != '\n') list->text += '\n';
  return replace_private_file(path, list->text + line);
}

Result<Key> revoke_key(const std::string& path, std::string_view name, WallTime now) {
  const Result<FileLock> lock = FileLock::take(path);
  if (!lock) return lock.error();
  const Result<KeyList> list = read_list(path);
  if (!list) return list.error();
  const Key* const found = list->table.find(name);
  if (found == nullptr) return no_such_key(path, name);
  if (found->revoked) return *found;
  Key key = *found;
  key.revoked = now;
  if (Result<void> ok = write_with(path, list->text, key); !ok) return ok.error();
  return key;
}

Result<Key> restore_key(const std::string& path, std::string_view name) {
  const Result<FileLock> lock = FileLock::take(path);
  if (!lock) return lock.error();
  const Result<KeyList> list = read_list(path);
  if (!list) return list.error();
  const Key* const found = list->table.find(name);
  if (found == nullptr) return no_such_key(path, name);
  if (!found->revoked) {
    return Error{Code::already_exists, path + " has " + found->name + ", which is not revoked"};
  }
  Key key = *found;
  key.revoked.reset();
  if (Result<void> ok = write_with(path, list->text, key); !ok) return ok.error();
  return key;
}

KeyRing::KeyRing(std::string path, OnUnreadable on_unreadable, std::shared_ptr<const Clock> clock)
    : path_(std::move(path)),
      on_unreadable_(std::move(on_unreadable)),
      clock_(clock != nullptr ? std::move(clock) : std::make_shared<const SystemClock>()),
      table_(std::make_shared<const KeyTable>()),
      last_table_(table_) {}

Result<void> KeyRing::check() const {
  const Result<KeyTable> read = read_key_list(path_);
  return read ? Result<void>() : read.error();
}

std::shared_ptr<const KeyTable> KeyRing::table() {
  const std::lock_guard lock(mutex_);
  // Before the file is read: a change in between shows the next time.
  const FileState state = file_state();
  if (is_to_be_read(state)) read(state);
  return table_;
}

std::shared_ptr<const KeyTable> KeyRing::last_table() {
  static_cast<void>(table());
  const std::lock_guard lock(mutex_);
  return last_table_;
}

bool KeyRing::surely_has_no(KeyKind kind) {
  static_cast<void>(table());
  const std::lock_guard lock(mutex_);
  return !is_unknown_ && std::none_of(last_table_->keys().begin(), last_table_->keys().end(),
                                      [kind](const Key& key) { return key.kind == kind; });
}

bool KeyRing::is_to_be_read(const FileState& state) const {
  if (may_have_changed_ || read_state_ != state) return true;
  // It may have failed for want of a descriptor, which says nothing about the file.
  return has_failed_ && clock_->now() >= read_at_ + kTryAgainAfter;
}

// File systems count time in steps, some of a second or two, the others of some milliseconds.
// Changes within one step bear the same time; so what is read counts for good once the file has
// had that time for longer than a step. Not by the file's time, whose clock may be another one.
bool KeyRing::may_change_unseen(const FileState& state) const {
  using namespace std::chrono;
  if (state == FileState{}) return false;  // one that comes has an inode
  const bool whole_seconds = nanoseconds{state.changed_ns} % seconds{1} == nanoseconds{0};
  const milliseconds step = whole_seconds ? milliseconds{3000} : milliseconds{100};
  return clock_->now() < state_since_ + step;
}

void KeyRing::read(const FileState& state) {
  read_at_ = clock_->now();
  if (read_state_ != state) state_since_ = read_at_;
  read_state_ = state;
  may_have_changed_ = may_change_unseen(state);
  Result<KeyList> read = read_list(path_);
  has_failed_ = !read;
  if (read) {
    told_of_.reset();
    table_ = std::make_shared<const KeyTable>(std::move(read->table));
    // Many programs empty a file before they write it.
    if (!read->text.empty()) {
      last_table_ = table_;
      was_read_ = true;
      is_unknown_ = false;
    }
    return;
  }
  if (!was_read_ && read.error().code != Code::not_found) is_unknown_ = true;
  table_ = std::make_shared<const KeyTable>();
  if (told_of_ == state) return;
  told_of_ = state;
  if (on_unreadable_) on_unreadable_(read.error());
}

KeyRing::FileState KeyRing::file_state() const {
  struct stat status {};
  if (::stat(path_.c_str(), &status) != 0) return {};
  const auto changed = std::chrono::seconds{status.st_ctim.tv_sec} +
                       std::chrono::nanoseconds{status.st_ctim.tv_nsec};
  return {status.st_ino, status.st_size, changed.count()};
}

}  // namespace jack::wire

// The file with the list of keys (keys.h): read by engines while they run, changed by commands.
//
// It is for its owner alone (mode 0600). Public keys and digests of random secrets are no secret,
// but who has which rights is nobody else's business, and whoever could write it could let himself
// in.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include <jack_engine/error.h>
#include <jack_engine/time.h>

#include "engine/guarded_by.h"
#include "engine/wire/keys.h"

namespace jack::wire {

// Errors: not_found, permission_denied
//         invalid_argument  a line that is none; the message has FILE:LINE
Result<KeyTable> read_key_list(const std::string& path);

// The three below keep all other lines as they are, remarks too, and readers see the list of before
// or the one of after. Commands that change the list at the same time wait for each other, by an
// advisory lock on PATH.lock. A line that is none is refused (invalid_argument) and nothing
// changed.

// The file is made where missing, in a folder that is there.
// Errors: invalid_argument  the key's name or id is none
//         already_exists    its name is taken, or it is there under another name
Result<void> add_key(const std::string& path, const Key& key);

// Gives the key as it is now. A key that was revoked before keeps the earlier date.
// Errors: not_found
Result<Key> revoke_key(const std::string& path, std::string_view name, WallTime now);

// Takes the revocation back.
// Errors: not_found
//         already_exists  it is not revoked
Result<Key> restore_key(const std::string& path, std::string_view name);

// The list as it is now. Any thread.
class KeyRing {
 public:
  // Why the file cannot be read. Called on the thread that asks for the keys, once for each change
  // of the file; must not ask for them itself.
  using OnUnreadable = std::function<void(const Error&)>;

  // Without a clock, that of this host.
  explicit KeyRing(std::string path, OnUnreadable on_unreadable = {},
                   std::shared_ptr<const Clock> clock = nullptr);

  // Whether the file can be read now.
  // Errors: as read_key_list()
  Result<void> check() const;

  // Asks the file system whether the file has changed, which takes about a microsecond, and reads
  // it only then: a flood of wrong keys costs no more than that for each. Only for a tenth of a
  // second after a change was seen (3 s where the file system counts whole seconds) is it read at
  // each call, because its times may not show the next change; and one that could not be read is
  // tried ten times a second. While it cannot be read there are no keys in the table: nobody is let
  // in.
  std::shared_ptr<const KeyTable> table();

  // The same for those who are in: while the file cannot be read or is empty, the list as it was
  // before. A list that is amended by hand would else end all sessions between two key strokes.
  std::shared_ptr<const KeyTable> last_table();

  // Whether it is known that last_table() has no key of this kind, so that none is needed where
  // that is the rule. A list that is there and has never been read since the ring was made may have
  // one.
  bool surely_has_no(KeyKind kind);

 private:
  // What tells one state of a file from the next. All zero for one that is not there.
  struct FileState {
    std::uint64_t inode = 0;
    std::int64_t size = 0;
    std::int64_t changed_ns = 0;

    friend bool operator==(const FileState&, const FileState&) = default;
  };

  FileState file_state() const;
  // All of these with the mutex held.
  bool is_to_be_read(const FileState& state) const;
  bool may_change_unseen(const FileState& state) const;
  void read(const FileState& state);

  const std::string path_;
  const OnUnreadable on_unreadable_;
  const std::shared_ptr<const Clock> clock_;
  // Requests of several threads ask at once; whoever finds a change reads it for all.
  std::mutex mutex_;
  std::shared_ptr<const KeyTable> table_ JACK_GUARDED_BY(mutex_);
  std::shared_ptr<const KeyTable> last_table_ JACK_GUARDED_BY(mutex_);
  std::optional<FileState> read_state_ JACK_GUARDED_BY(mutex_);
  SteadyTime state_since_ JACK_GUARDED_BY(mutex_){};  // when read_state_ was seen first
  SteadyTime read_at_ JACK_GUARDED_BY(mutex_){};
  std::optional<FileState> told_of_ JACK_GUARDED_BY(mutex_);
  // The file had changed so lately when it was read that its next change may bear the same time.
  bool may_have_changed_ JACK_GUARDED_BY(mutex_) = false;
  bool has_failed_ JACK_GUARDED_BY(mutex_) = false;
  // There was a list, and none could be read so far: last_table_ is no list but for want of one.
  bool is_unknown_ JACK_GUARDED_BY(mutex_) = false;
  bool was_read_ JACK_GUARDED_BY(mutex_) = false;
};

}  // namespace jack::wire

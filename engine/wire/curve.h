// Who may connect over tcp: CURVE keys in files, and the handler that libzmq asks about each peer
// (ZAP, RFC 27). Keys are written in Z85, 40 characters.
//
//   secret file   `public KEY` and `secret KEY`, a line each; for the owner's eyes only (mode 0600)
//   public file   one line: the name of whoever holds the secret, and the key
//   allowed file  such lines, one per client; empty lines and those that begin with # do not count
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <zmq.hpp>

#include <jack_engine/error.h>

#include "engine/wire/wake.h"

namespace jack::wire {

struct KeyPair {
  std::string public_key;
  std::string secret_key;
};

struct NamedKey {
  std::string name;  // 1–128 of [A-Za-z0-9._-]
  std::string public_key;

  friend bool operator==(const NamedKey&, const NamedKey&) = default;
};

// Errors: unsupported  this libzmq was built without CURVE
Result<KeyPair> new_key_pair();

struct KeyFiles {
  std::string secret_path;  // FOLDER/NAME.key
  std::string public_path;  // FOLDER/NAME.pub
  NamedKey key;
};

// Makes a key pair and its two files. The folder is made where it is missing, for this user only.
// Errors: invalid_argument   a name that is none
//         already_exists     there is such a file; nothing is ever overwritten
//         permission_denied, unavailable  by the file system
Result<KeyFiles> create_key_files(const std::string& folder, std::string_view name);

// Errors: not_found          no such file
//         permission_denied  others may read it: `chmod 600`
//         invalid_argument   not a secret file
Result<KeyPair> read_secret_key(const std::string& path);

// The first key of a public or an allowed file.
// Errors: not_found, invalid_argument
Result<NamedKey> read_public_key(const std::string& path);

// Errors: not_found
//         invalid_argument  a line that is none, a name or key that is there twice
Result<std::vector<NamedKey>> read_allowed_keys(const std::string& path);

// Adds a line; from the next handshake on the key may connect. The file is made where missing.
// Errors: invalid_argument, already_exists (its name, or its key under another name)
Result<void> allow_key(const std::string& path, const NamedKey& key);

// Takes the line of this name out. Its connections of now go on until they end.
// Errors: not_found, invalid_argument
Result<void> revoke_key(const std::string& path, std::string_view name);

// Answers libzmq's question whether a peer may connect, on a thread of its own. The file is read
// again for each handshake, so that a change holds at once. While the file cannot be read, nobody
// is let in, and `on_unreadable` is told so by the first handshake after each change of the file.
class KeyKeeper {
 public:
  // Stands in for the ZAP domain of every CURVE socket of an engine.
  static constexpr const char* kDomain = "jack";

  // Why the file cannot be read. Called on the keeper's thread.
  using OnUnreadable = std::function<void(const Error&)>;

  // Peers are asked about from here on: to be opened before any socket is bound.
  // Errors: unavailable  the context has such a handler already
  static Result<std::unique_ptr<KeyKeeper>> open(zmq::context_t& context,
                                                 std::string allowed_keys_file,
                                                 OnUnreadable on_unreadable = {});
  ~KeyKeeper();  // from here on libzmq refuses new peers

  // Peers turned away since the start. Any thread.
  std::uint64_t refused() const { return refused_; }

 private:
  // What tells one state of a file from the next: where it is, and when it was changed. All zero
  // for one that is not there.
  using FileState = std::array<std::int64_t, 3>;

  KeyKeeper(zmq::socket_t socket, Wake stop, std::string allowed_keys_file,
            OnUnreadable on_unreadable);
  void run();
  void answer_one();
  std::optional<std::string> name_of(std::string_view raw_key);
  FileState file_state() const;
  void tell_unreadable(const Error& error, const FileState& state);

  zmq::socket_t socket_;
  Wake stop_;
  const std::string allowed_keys_file_;
  const OnUnreadable on_unreadable_;
  std::optional<FileState> told_of_;
  std::atomic<std::uint64_t> refused_{0};
  std::thread thread_;
};

}  // namespace jack::wire

// CURVE key pairs and their files. Keys are written in Z85, 40 characters.
//
//   secret file   `public KEY` and `secret KEY`, a line each; for the owner's eyes only (mode 0600)
//   public file   one line: the name of whoever holds the secret, and the key
#pragma once

#include <string>
#include <string_view>

#include <jack_engine/error.h>

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

// The first CURVE key of a public file; a list of keys (keys.h) will do.
// Errors: not_found, invalid_argument
Result<NamedKey> read_public_key(const std::string& path);

}  // namespace jack::wire

#include "engine/wire/curve.h"

#include <algorithm>
#include <array>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "engine/wire/keys.h"
#include "engine/wire/private_file.h"
#include "engine/wire/words.h"

namespace jack::wire {
namespace {

constexpr std::size_t kKeyCharacters = 40;

std::string to_line(const NamedKey& key) { return key.name + " " + key.public_key + "\n"; }

Result<void> check_owner_only(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return {};  // reading it will say why
  if ((status.st_mode & 077) == 0) return {};
  return Error{
      Code::permission_denied,
      path + " can be read by others: make new keys, or `chmod 600` if it never left here"};
}

}  // namespace

Result<KeyPair> new_key_pair() {
  std::array<char, kKeyCharacters + 1> public_key{};
  std::array<char, kKeyCharacters + 1> secret_key{};
  if (zmq_curve_keypair(public_key.data(), secret_key.data()) != 0) {
    return Error{Code::unsupported, "this libzmq was built without CURVE; install another build"};
  }
  return KeyPair{public_key.data(), secret_key.data()};
}

Result<KeyFiles> create_key_files(const std::string& folder, std::string_view name) {
  if (!is_key_name(name)) return Error{Code::invalid_argument, kKeyNameRule};
  if (Result<void> ok = make_private_folder(folder); !ok) return ok.error();
  Result<KeyPair> pair = new_key_pair();
  if (!pair) return std::move(pair).error();
  KeyFiles files;
  files.secret_path = folder + "/" + std::string(name) + ".key";
  files.public_path = folder + "/" + std::string(name) + ".pub";
  files.key = {std::string(name), pair->public_key};
  const std::string secret = "# Whoever has this file can act as " + std::string(name) +
                             ".\npublic " + pair->public_key + "\nsecret " + pair->secret_key +
                             "\n";
  if (Result<void> ok = create_private_file(files.secret_path, secret); !ok) return ok.error();
  if (Result<void> ok = create_private_file(files.public_path, to_line(files.key)); !ok) {
    ::unlink(files.secret_path.c_str());  // half a key is none
    return ok.error();
  }
  return files;
}

Result<KeyPair> read_secret_key(const std::string& path) {
  if (Result<void> ok = check_owner_only(path); !ok) return ok.error();
  Result<std::string> text = read_small_file(path);
  if (!text) return std::move(text).error();
  KeyPair pair;
  for (std::string_view rest = *text; !rest.empty();) {
    std::string_view line = take_line(rest);
    const std::string_view word = take_word(line);
    if (word == "public") pair.public_key = take_word(line);
    if (word == "secret") pair.secret_key = take_word(line);
  }
  if (is_curve_key(pair.public_key) && is_curve_key(pair.secret_key)) return pair;
  return Error{Code::invalid_argument, path + " is not the file of a secret CURVE key"};
}

Result<NamedKey> read_public_key(const std::string& path) {
  Result<std::string> text = read_small_file(path);
  if (!text) return std::move(text).error();
  const Result<KeyTable> table = KeyTable::parse(*text, path);
  if (!table) return table.error();
  const auto curve = std::ranges::find(table->keys(), KeyKind::curve, &Key::kind);
  if (curve == table->keys().end()) {
    return Error{Code::invalid_argument, path + " holds no public key"};
  }
  return NamedKey{curve->name, curve->id};
}

}  // namespace jack::wire

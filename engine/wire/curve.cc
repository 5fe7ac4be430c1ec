#include "engine/wire/curve.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/format/spec.h"
#include "engine/thread_name.h"
#include "engine/wire/private_file.h"
#include "engine/wire/socket.h"

namespace jack::wire {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kKeyCharacters = 40;

// The first word of `line`; `line` keeps what follows.
std::string_view take_word(std::string_view& line) {
  constexpr std::string_view kBlank = " \t\r";
  line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kBlank));
  line.remove_prefix(word.size());
  return word;
}

std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

bool is_key(std::string_view text) {
  std::array<std::uint8_t, kKeyBytes> raw;
  return text.size() == kKeyCharacters &&
         zmq_z85_decode(raw.data(), std::string(text).c_str()) != nullptr;
}

std::string z85_of(std::string_view raw) {
  std::array<char, kKeyCharacters + 1> text{};
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(raw.data());
  return zmq_z85_encode(text.data(), bytes, raw.size()) == nullptr ? std::string() : text.data();
}

std::string to_line(const NamedKey& key) { return key.name + " " + key.public_key + "\n"; }

Result<std::vector<NamedKey>> parse_keys(std::string_view text, const std::string& path) {
  std::vector<NamedKey> keys;
  for (std::size_t number = 1; !text.empty(); ++number) {
    std::string_view line = take_line(text);
    const std::string_view name = take_word(line);
    if (name.empty() || name.front() == '#') continue;
    const std::string_view key = take_word(line);
    if (!is_queue_name(name) || !is_key(key) || !take_word(line).empty()) {
      return Error{Code::invalid_argument,
                   path + ":" + std::to_string(number) + ": not a name and a public key"};
    }
    keys.push_back({std::string(name), std::string(key)});
  }
  return keys;
}

Result<void> check_distinct(const std::vector<NamedKey>& keys, const std::string& path) {
  for (auto key = keys.begin(); key != keys.end(); ++key) {
    const auto same = [&](const NamedKey& other) {
      return other.name == key->name || other.public_key == key->public_key;
    };
    if (std::find_if(keys.begin(), key, same) != key) {
      return Error{Code::invalid_argument, path + ": " + key->name + " or its key is there twice"};
    }
  }
  return {};
}

Result<void> check_owner_only(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return {};  // reading it will say why
  if ((status.st_mode & 077) == 0) return {};
  return Error{
      Code::permission_denied,
      path + " can be read by others: make new keys, or `chmod 600` if it never left here"};
}

Result<std::vector<NamedKey>> keys_or_none(const std::string& path) {
  Result<std::vector<NamedKey>> keys = read_allowed_keys(path);
  if (!keys && keys.error().code == Code::not_found) return std::vector<NamedKey>{};
  return keys;
}

Result<void> write_keys(const std::string& path, const std::vector<NamedKey>& keys) {
  std::string text = "# Who may connect: a name and a public CURVE key per line.\n";
  for (const NamedKey& key : keys) text += to_line(key);
  return replace_private_file(path, text);
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
  if (!is_queue_name(name)) {
    return Error{Code::invalid_argument,
                 "a key's name must be 1–128 characters of A–Z a–z 0–9 . _ -"};
  }
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
  if (is_key(pair.public_key) && is_key(pair.secret_key)) return pair;
  return Error{Code::invalid_argument, path + " is not the file of a secret CURVE key"};
}

Result<NamedKey> read_public_key(const std::string& path) {
  Result<std::string> text = read_small_file(path);
  if (!text) return std::move(text).error();
  Result<std::vector<NamedKey>> keys = parse_keys(*text, path);
  if (!keys) return std::move(keys).error();
  if (keys->empty()) return Error{Code::invalid_argument, path + " holds no public key"};
  return std::move(keys->front());
}

Result<std::vector<NamedKey>> read_allowed_keys(const std::string& path) {
  Result<std::string> text = read_small_file(path);
  if (!text) return std::move(text).error();
  Result<std::vector<NamedKey>> keys = parse_keys(*text, path);
  if (!keys) return keys;
  if (Result<void> ok = check_distinct(*keys, path); !ok) return ok.error();
  return keys;
}

Result<void> allow_key(const std::string& path, const NamedKey& key) {
  if (!is_queue_name(key.name) || !is_key(key.public_key)) {
    return Error{Code::invalid_argument, "not a name and a public key"};
  }
  Result<std::vector<NamedKey>> keys = keys_or_none(path);
  if (!keys) return std::move(keys).error();
  for (const NamedKey& other : *keys) {
    if (other.name == key.name || other.public_key == key.public_key) {
      return Error{Code::already_exists, path + " has " + other.name + " already"};
    }
  }
  keys->push_back(key);
  return write_keys(path, *keys);
}

Result<void> revoke_key(const std::string& path, std::string_view name) {
  Result<std::vector<NamedKey>> keys = read_allowed_keys(path);
  if (!keys) return std::move(keys).error();
  if (std::erase_if(*keys, [&](const NamedKey& key) { return key.name == name; }) == 0) {
    return Error{Code::not_found, path + " has no key named " + std::string(name)};
  }
  return write_keys(path, *keys);
}

Result<std::unique_ptr<KeyKeeper>> KeyKeeper::open(zmq::context_t& context,
                                                   std::string allowed_keys_file,
                                                   OnUnreadable on_unreadable) {
  Result<Wake> stop = Wake::open();
  if (!stop) return std::move(stop).error();
  // A ROUTER rather than a REP: it cannot get stuck between question and answer.
  Result<zmq::socket_t> socket = make_socket(context, zmq::socket_type::router);
  if (!socket) return std::move(socket).error();
  try {
    socket->bind("inproc://zeromq.zap.01");
  } catch (const zmq::error_t& error) {
    return error_of(error, "cannot answer for keys");
  }
  return std::unique_ptr<KeyKeeper>(new KeyKeeper(*std::move(socket), *std::move(stop),
                                                  std::move(allowed_keys_file),
                                                  std::move(on_unreadable)));
}

KeyKeeper::KeyKeeper(zmq::socket_t socket, Wake stop, std::string allowed_keys_file,
                     OnUnreadable on_unreadable)
    : socket_(std::move(socket)),
      stop_(std::move(stop)),
      allowed_keys_file_(std::move(allowed_keys_file)),
      on_unreadable_(std::move(on_unreadable)),
      thread_([this] { run(); }) {}

KeyKeeper::~KeyKeeper() {
  stop_.set();
  thread_.join();
}

void KeyKeeper::run() {
  name_thread("jack-keys");
  std::array<zmq::pollitem_t, 2> items{
      {{socket_.handle(), 0, ZMQ_POLLIN, 0}, {nullptr, stop_.descriptor(), ZMQ_POLLIN, 0}}};
  for (;;) {
    if (zmq_poll(items.data(), static_cast<int>(items.size()), -1) < 0 && zmq_errno() != EINTR)
      break;
    if (items[1].revents != 0) break;
    if (items[0].revents != 0) answer_one();
  }
  socket_.close();  // on this thread, which alone may touch it
}

// Frames by RFC 27: [sender, empty,] version, request, domain, address, identity, mechanism, key;
// answered by version, request, status, text, user, metadata.
void KeyKeeper::answer_one() {
  std::vector<zmq::message_t> question;
  do {
    if (!receive(socket_, question.emplace_back())) return;
  } while (question.back().more());
  constexpr std::size_t kFrames = 9;
  constexpr std::size_t kVersion = 2, kRequest = 3, kMechanism = 7, kKey = 8;
  if (question.size() < kFrames || question[kVersion].to_string_view() != "1.0") return;

  std::optional<std::string> name;
  if (question.size() == kFrames && question[kMechanism].to_string_view() == "CURVE") {
    name = name_of(question[kKey].to_string_view());
  }
  if (!name) ++refused_;
  const std::string request = question[kRequest].to_string();
  const std::array<std::string, 6> answer = {
      "1.0", request, name ? "200" : "400", name ? "OK" : "unknown key", name.value_or(""), ""};
  if (send(socket_, question[0], true) != Sent::done) return;
  if (send(socket_, question[1], true) != Sent::done) return;
  for (std::size_t i = 0; i < answer.size(); ++i) {
    zmq::message_t frame = to_message(answer[i]);
    if (send(socket_, frame, i + 1 < answer.size()) != Sent::done) return;
  }
}

std::optional<std::string> KeyKeeper::name_of(std::string_view raw_key) {
  if (raw_key.size() != kKeyBytes) return std::nullopt;
  const FileState state = file_state();
  const Result<std::vector<NamedKey>> keys = read_allowed_keys(allowed_keys_file_);
  if (!keys) {
    tell_unreadable(keys.error(), state);
    return std::nullopt;
  }
  told_of_.reset();
  const std::string key = z85_of(raw_key);
  for (const NamedKey& allowed : *keys) {
    if (allowed.public_key == key) return allowed.name;
  }
  return std::nullopt;
}

KeyKeeper::FileState KeyKeeper::file_state() const {
  struct stat status {};
  if (::stat(allowed_keys_file_.c_str(), &status) != 0) return {};
  return {static_cast<std::int64_t>(status.st_ino), status.st_ctim.tv_sec, status.st_ctim.tv_nsec};
}

// A peer tries again several times a second.
void KeyKeeper::tell_unreadable(const Error& error, const FileState& state) {
  if (told_of_ == state) return;
  told_of_ = state;
  if (on_unreadable_) on_unreadable_(error);
}

}  // namespace jack::wire

#include "engine/wire/key_keeper.h"

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "engine/thread_name.h"
#include "engine/wire/socket.h"

namespace jack::wire {
namespace {

// Empty where these are not the bytes of a key.
std::string z85_of(std::string_view raw) {
  constexpr std::size_t kKeyBytes = 32;
  constexpr std::size_t kKeyCharacters = 40;
  if (raw.size() != kKeyBytes) return {};
  std::array<char, kKeyCharacters + 1> text{};
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(raw.data());
  return zmq_z85_encode(text.data(), bytes, raw.size()) == nullptr ? std::string() : text.data();
}

}  // namespace

Result<std::unique_ptr<KeyKeeper>> KeyKeeper::open(zmq::context_t& context,
                                                   std::shared_ptr<KeyRing> keys,
                                                   std::shared_ptr<LastUsed> last_used) {
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
  return std::unique_ptr<KeyKeeper>(
      new KeyKeeper(*std::move(socket), *std::move(stop), std::move(keys), std::move(last_used)));
}

KeyKeeper::KeyKeeper(zmq::socket_t socket, Wake stop, std::shared_ptr<KeyRing> keys,
                     std::shared_ptr<LastUsed> last_used)
    : socket_(std::move(socket)),
      stop_(std::move(stop)),
      keys_(std::move(keys)),
      last_used_(std::move(last_used)),
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
  const std::shared_ptr<const KeyTable> table = keys_->table();
  const Key* const key = table->find_curve(z85_of(raw_key));
  const WallTime now = clock_.wall_now();
  if (key == nullptr || key->state(now) != KeyState::active) return std::nullopt;
  if (last_used_) last_used_->note(key->name, now);
  return key->name;
}

}  // namespace jack::wire

// The handler that libzmq asks about each peer that comes with a CURVE key (ZAP, RFC 27).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include <zmq.hpp>

#include <jack_engine/error.h>

#include "engine/runtime/clock.h"
#include "engine/wire/key_ring.h"
#include "engine/wire/last_used.h"
#include "engine/wire/wake.h"

namespace jack::wire {

// Lets in the CURVE keys of the list that are neither revoked nor expired, and names the key to
// libzmq as the user. Answers on a thread of its own. Asks the list at each handshake, so that a
// change holds at once.
class KeyKeeper {
 public:
  // Stands in for the ZAP domain of every CURVE socket of an engine.
  static constexpr const char* kDomain = "jack";

  // Peers are asked about from here on: to be opened before any socket is bound. `last_used` may be
  // empty.
  // Errors: unavailable  the context has such a handler already
  static Result<std::unique_ptr<KeyKeeper>> open(zmq::context_t& context,
                                                 std::shared_ptr<KeyRing> keys,
                                                 std::shared_ptr<LastUsed> last_used);
  ~KeyKeeper();  // from here on libzmq refuses new peers

  // Peers turned away since the start. Any thread.
  std::uint64_t refused() const { return refused_; }

 private:
  KeyKeeper(zmq::socket_t socket, Wake stop, std::shared_ptr<KeyRing> keys,
            std::shared_ptr<LastUsed> last_used);
  void run();
  void answer_one();
  std::optional<std::string> name_of(std::string_view raw_key);

  zmq::socket_t socket_;
  Wake stop_;
  const SystemClock clock_;
  const std::shared_ptr<KeyRing> keys_;
  const std::shared_ptr<LastUsed> last_used_;
  std::atomic<std::uint64_t> refused_{0};
  std::thread thread_;
};

}  // namespace jack::wire

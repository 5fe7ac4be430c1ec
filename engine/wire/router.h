// The engine's side of ZeroMQ: its ROUTER sockets, and which connection is which session.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <poll.h>
#include <zmq.hpp>

#include <jack_engine/error.h>

#include "engine/runtime/sessions.h"
#include "engine/wire/endpoint.h"
#include "engine/wire/key_keeper.h"
#include "engine/wire/socket.h"

namespace jack::wire {

struct RouterOptions {
  std::vector<std::string> listen;  // ipc:// paths and tcp:// addresses; port 0 takes a free one
  std::string data_dir;             // where the file `engine` goes; empty: none is written
  std::string key_file;             // with keys, every tcp:// address asks for them
  std::shared_ptr<KeyRing> keys;    // those that may connect; goes with key_file
  std::shared_ptr<LastUsed> last_used;
  std::size_t outbox_bytes_max = 16u << 20;  // kept per session; beyond, it is given up
};

// Not thread-safe: one thread at a time, the loop's once it runs. To be closed, and with it its
// socket files, before the data directory is given up.
class Router final : public Sessions {
 public:
  // Clients and workers in this process connect here, with the same context.
  static constexpr const char* kInProcess = "inproc://jack";

  // Binds everything or nothing.
  // Errors: invalid_argument   an address that is none, a key file that is none
  //         permission_denied  beyond loopback without keys; a folder or file of others
  //         unavailable        an address that is taken or not this host's
  static Result<std::unique_ptr<Router>> open(zmq::context_t& context,
                                              const RouterOptions& options);
  ~Router() override;

  // The addresses bound, port numbers filled in and long paths replaced.
  const std::vector<std::string>& endpoints() const { return endpoints_; }

  // Sleeps until drain() may have something to do, one of `others` is readable, or the time is
  // over. `others` get their revents.
  void wait(std::span<pollfd> others, std::chrono::milliseconds timeout);

  // drain() is to be called after this time at the latest, even if nothing is readable: something
  // is to be sent again. Nothing where it may wait for ever.
  std::optional<std::chrono::milliseconds> next_try() const;

  void drain(std::size_t frames_max, std::vector<Inbound>& arrived,
             std::vector<SessionId>& gone) override;

  // Leaves `messages` empty.
  void send(std::vector<Outbound>& messages) override;

  void forget(SessionId session) override;

  PeerCounters counters() const override;

 private:
  using SteadyClock = std::chrono::steady_clock;

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };

  // A ROUTER socket. Sessions in this process, plain ones and those with keys come by different
  // doors, so that a message's door alone tells which of these it is.
  struct Door {
    zmq::socket_t socket;
    Monitor monitor;  // of its connections; of nothing in this process
    bool in_process = false;
    bool keyed = false;
    // Whether there may be a message, or an event, to take. A socket's descriptor tells of the next
    // one only if the socket was asked, until there was nothing, after whatever else was done
    // with it.
    bool may_have_messages = true;
    bool may_have_events = true;
    // By the routing id, which names a connection. Its peer may have chosen it, so it says nothing
    // about who that is.
    std::unordered_map<std::string, SessionId, Hash, std::equal_to<>> sessions;
  };

  struct Session {
    Door* door = nullptr;
    std::string routing_id;
    std::string user;
    int descriptor = -1;             // of its connection; -1 where libzmq does not say
    std::deque<std::string> outbox;  // what its queue had no room for, in order
    std::size_t outbox_bytes = 0;
  };

  // A connection has ended and this session may have been its. The event can come before the
  // socket knows, hence several tries.
  struct Probe {
    SessionId session = 0;
    std::size_t tries = 0;
    SteadyClock::time_point due;
  };

  Router() = default;
  Result<Door*> add_door(zmq::context_t& context, bool in_process);
  Result<void> bind_all(zmq::context_t& context, const RouterOptions& options);
  Result<void> bind_ipc(const std::string& endpoint);
  Result<void> bind_tcp(zmq::context_t& context, const std::string& endpoint,
                        const RouterOptions& options);
  Result<void> bind(Door& door, const std::string& endpoint);
  Result<Door*> keyed_door(zmq::context_t& context, const RouterOptions& options);

  void look_at_doors();
  bool has_message(Door& door);
  bool take_one(Door& door, std::vector<Inbound>& arrived);
  SessionId session_of(Door& door, std::string_view routing_id, zmq::message_t& body);
  SessionId add_session(Door& door, std::string_view routing_id, zmq::message_t& body);
  void take_events(Door& door);
  void probe_due();
  bool is_reachable(Session& session);
  Sent send_now(Session& session, std::string& frame);
  void send_or_keep(SessionId id, Session& session, std::string frame);
  bool empty_outbox(Session& session);
  void retry_outboxes();
  void lose(SessionId session);
  void erase(SessionId session);

  std::unique_ptr<KeyKeeper> keeper_;         // outlives the doors
  std::vector<std::unique_ptr<Door>> doors_;  // [0] in-process, [1] plain, [2] with keys
  std::size_t next_door_ = 0;
  std::vector<pollfd> files_;  // of the doors, two each; then others while wait() is under way
  std::vector<std::string> endpoints_;
  std::vector<Published> published_;
  std::string data_dir_;
  std::vector<std::string> socket_files_;
  std::size_t outbox_bytes_max_ = 0;

  SessionId last_session_ = 0;
  std::unordered_map<SessionId, Session> sessions_;
  std::unordered_multimap<int, SessionId> by_descriptor_;
  std::vector<SessionId> backlogged_;  // with something in their outbox
  std::vector<Probe> probes_;
  std::vector<SessionId> gone_;
  PeerCounters counters_;
};

}  // namespace jack::wire

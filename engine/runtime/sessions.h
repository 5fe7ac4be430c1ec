// The loop's side of its sessions, whatever carries them: ZeroMQ sockets in an engine, a queue in
// memory in the test harness.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace jack {

// Names one connected client or worker for as long as it is connected; never reused.
using SessionId = std::uint64_t;

struct Inbound {
  SessionId session = 0;
  bool in_process = false;  // of this very process: it dies with the engine
  std::string user;         // by whose key it came; empty: by file permissions or in-process
  std::string frame;        // one message
};

struct Outbound {
  SessionId session = 0;
  std::string frame;
};

// What peers did that they should not have. Since the start.
struct PeerCounters {
  std::uint64_t malformed = 0;  // messages that are not one frame
  std::uint64_t overflown = 0;  // sessions given up because they did not take what was for them
  std::uint64_t refused = 0;    // peers without a known key
};

// One thread, the loop's, calls all of it.
class Sessions {
 public:
  virtual ~Sessions() = default;

  // Takes what has arrived, at most `frames_max`, and the sessions known to be gone since the last
  // call. Never blocks.
  virtual void drain(std::size_t frames_max, std::vector<Inbound>& arrived,
                     std::vector<SessionId>& gone) = 0;

  // Sends, or keeps what the peer cannot take at the moment, up to a bound; a peer beyond it is
  // reported as gone. Never blocks.
  virtual void send(std::vector<Outbound>& messages) = 0;

  // The front no longer knows this session; a further frame of its peer is a new one.
  virtual void forget(SessionId session) = 0;

  virtual PeerCounters counters() const { return {}; }
};

}  // namespace jack

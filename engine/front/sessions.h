// Connected clients and workers, as their engine sees them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <jack_engine/time.h>

#include "engine/front/rights.h"
#include "engine/runtime/sessions.h"
#include "engine/wire/messages.h"

namespace jack {

struct HeldLease;
struct WorkerPool;
struct Session;
struct Wait;
struct Watch;

// A worker's readiness for tasks of one set of queues.
struct Subscription {
  std::uint32_t number = 0;  // the worker's own
  Session* session = nullptr;
  WorkerPool* pool = nullptr;
  std::uint64_t credit = 0;  // how many more tasks it takes
  bool in_line = false;      // stands in its pool's line
  bool own_signs = false;    // each of its leases needs signs of life of its own
};

// A number of bytes per second, of which one second's worth may come at once.
class Budget {
 public:
  // Takes `bytes` if they are there.
  bool take(SteadyTime now, std::uint64_t bytes, std::uint64_t bytes_per_second);

 private:
  std::uint64_t spent_ = 0;  // and not yet earned back
  SteadyTime at_;
};

struct Session {
  SessionId id = 0;
  bool in_process = false;
  std::string user;                      // the key it acts for; empty: nobody's
  std::shared_ptr<const Rights> rights;  // of that key; null: all, and there is no key
  WallTime key_ends = WallTime::max();
  std::string answers;  // a queue on which follow-ups are let in, whatever the rights
  std::string name;
  SteadyTime heard;    // the last sign of life, on the clock of hearing (Front)
  SteadyTime look_at;  // when its silence is judged next; other times are out of date
  std::vector<std::unique_ptr<Subscription>> subscriptions;
  HeldLease* leases = nullptr;  // those it holds, and ended ones that it may still settle
  std::uint32_t ended_leases = 0;
  Wait* waits = nullptr;
  std::uint32_t wait_count = 0;
  std::unordered_map<wire::Correlation, std::unique_ptr<Watch>> watches;
  Budget output;

  Session();
  ~Session();

  bool is_remote() const { return !in_process; }
  Subscription* subscription(std::uint32_t number) const;
  Watch* watch(wire::Correlation correlation) const;
};

// Sessions do not move while they live.
class SessionTable {
 public:
  Session* find(SessionId id) const;
  Session& add(SessionId id);
  void erase(SessionId id) { sessions_.erase(id); }
  std::size_t size() const { return sessions_.size(); }

 private:
  std::unordered_map<SessionId, std::unique_ptr<Session>> sessions_;
};

}  // namespace jack

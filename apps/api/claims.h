// Who waits for tasks over HTTP, and which leases were given out that way.
//
// Each lease needs signs of life of its own, from its worker. After a restart of the engine the
// leases stand for as long as they were given, and are held again when their workers say something.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/task.h>

#include "apps/api/engine_session.h"
#include "apps/api/input.h"
#include "apps/http/message.h"

namespace jack::api {

// A lease as its holder names it.
struct Lease {
  TaskId task;
  LeaseToken token;
  Duration length{0};  // as claimed; 0: the engine's default
  std::string queue;   // may be empty
};

// What clients get as the token, opaque to them: the lease's token, and its length and queue, which
// are needed again after a restart.
std::string lease_text(const Lease& lease);
// Sets all but the task. A token alone, as `jack show` prints it, is one too.
bool read_lease_text(std::string_view text, Lease& target);

struct ClaimRequest {
  std::string queue;
  std::uint32_t max = 1;  // tasks
  Duration wait{0};       // for the first one
  Duration lease{0};
};

// What the path and the query of a claim ask for. Pure.
Input<ClaimRequest> read_claim(const http::Request& request, Duration lease_default);

// On the server's thread. The session outlives it.
class Claims {
 public:
  explicit Claims(EngineSession& engine);
  ~Claims();  // refuses those that still wait

  // Answers {"tasks": […]} with what could be had by then.
  void claim(ClaimRequest request, http::Responder to);

  // Takes a lease of this one task, which is in that queue, out of turn.
  // Errors, given to `then`: failed_precondition  it is not queued
  void take(const std::string& queue, const TaskId& task, Duration lease,
            std::function<void(const Result<LeaseToken>&)> then);

  // Calls `then` once this session holds those of these leases that still stand, which after a
  // restart it has to take over first. The engine tells of the others when they are used.
  void hold(std::vector<Lease> leases, std::function<void()> then);

  // Gives the task back, as nobody was told that it was taken.
  void release(const TaskId& task, LeaseToken token);

  // It is about to be settled.
  void forget(LeaseToken token) { held_.erase(token.value); }

  // Ends all claims with this, and gives back what comes for them.
  void refuse_all(const Error& error);

  // Every kTick: ends claims whose wait is over, and what nobody has used for long.
  void on_time();
  static constexpr std::chrono::milliseconds kTick{250};

  // To be set: calls something once, after that time, so that waits end on time. It may be called
  // when these claims are gone.
  std::function<void(std::chrono::milliseconds, std::function<void()>)> call_after;

 private:
  using Clock = std::chrono::steady_clock;

  struct Taken {
    LeaseToken token;
    std::uint32_t attempt = 0;
    TaskSpec spec;
  };
  struct Claim {
    ClaimRequest request;
    http::Responder to;
    Clock::time_point until;
    std::vector<Taken> taken;
    std::uint32_t taken_late = 0;  // since its credit was withdrawn
    bool opened = false;           // the engine has its credit, and has assigned what was queued
    bool timed = false;            // it ends before the next tick, by a timer of its own
    bool withdrawn = false;
    bool abandoned = false;  // the client has gone
  };
  using ClaimPointer = std::shared_ptr<Claim>;

  // A subscription of the session: one queue, and one of a few lengths of leases.
  struct Subscription {
    std::uint32_t number = 0;
    std::string queue;
    Duration lease{0};
    std::list<ClaimPointer> claims;  // who waits, the first in front
    Clock::time_point used;
  };

  static wire::Work work_of(const Subscription& subscription, std::int64_t credit);
  std::uint32_t open(const Subscription& subscription);
  Subscription& subscription_for(const std::string& queue, Duration lease);
  void on_deliver(const wire::Deliver& deliver);
  void on_ended(const wire::Ended& ended);
  void on_renewed();
  void end_on_time(std::uint32_t number, const ClaimPointer& claim);
  void withdraw(Subscription& subscription, const ClaimPointer& claim);
  void finish(std::uint32_t number, const ClaimPointer& claim, const Result<void>& outcome);
  void resume(const Lease& lease, const std::string& queue, std::function<void()> then);

  EngineSession& engine_;
  std::uint32_t last_number_ = 0;
  std::map<std::uint32_t, Subscription> subscriptions_;
  std::map<std::pair<std::string, Duration>, std::uint32_t> numbers_;
  struct Taking {
    Duration lease{0};
    std::function<void(const Result<LeaseToken>&)> then;
  };
  std::map<TaskId, Taking> takings_;
  std::map<std::uint64_t, std::uint32_t> held_;  // tokens, and by which subscription they came
};

}  // namespace jack::api

// What applied entries mean for leases: hand-outs, settles, ends.
#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "engine/assert.h"
#include "engine/front/front.h"

namespace jack {
namespace {

// A deliver message is closed beyond this many bytes; one task may be larger.
constexpr std::size_t kDeliverBytesMax = 1u << 20;

wire::Done::Item to_item(const CommandOutcome& outcome) {
  return {.code = outcome.code, .repeated = outcome.repeated, .message = outcome.message};
}

}  // namespace

void Front::on_outcomes(const Now& now, const Outcomes& outcomes, const Batch* own, Output& out) {
  if (own != nullptr) answer(now, outcomes, *own, out);
  for (const Assignment& assignment : outcomes.assignments) {
    if (assignment.incarnation == incarnation_) on_assigned(assignment, out);
  }
  taken_.clear();
  for (const LeaseEnd& end : outcomes.lease_ends) on_lease_end(end, out);
  tell_waiting(outcomes, out);
  note_events(now, outcomes.events);
  send_ended(out);
}

// Answers come in the order of the commands; items refused without one stand between.
void Front::answer(const Now& now, const Outcomes& outcomes, const Batch& own, Output& out) {
  const CommandOutcome* outcome = outcomes.commands.data();
  const LeaseRef* lease = own.leases().data();
  const Refusal* refusal = own.refusals().data();
  for (const Pending& request : own.pending()) {
    JACK_ASSERT(outcome + request.commands <= outcomes.commands.data() + outcomes.commands.size());
    done_.correlation = request.correlation;
    done_.items.clear();
    if (request.kind == Pending::Kind::pool) {
      answer_pool(now, request, {outcome, request.commands});
      outcome += request.commands;
    } else {
      const Refusal* const refusals_end = refusal + request.refusals;
      for (std::uint32_t item = 0; item < request.items; ++item) {
        if (refusal != refusals_end && refusal->item == item) {
          done_.items.push_back({.code = refusal->error.code, .message = refusal->error.message});
          ++refusal;
          continue;
        }
        done_.items.push_back(to_item(*outcome));
        if (request.kind == Pending::Kind::settle || request.kind == Pending::Kind::end) {
          on_settled(*lease++, *outcome, out);
        } else if (request.kind == Pending::Kind::resume) {
          on_resumed(now, request, *lease++, *outcome, out);
        } else if (request.kind == Pending::Kind::take) {
          if (outcome->code == Code::ok) taken_.push_back({request.session, *lease});
          ++lease;
        }
        ++outcome;
      }
    }
    if (request.session != 0) out.send(request.session, done_);
  }
}

// Opening a pool and wanting for it are one answer: the first that was refused decides.
void Front::answer_pool(const Now& now, const Pending& request,
                        std::span<const CommandOutcome> outcomes) {
  if (request.items == 0) return;
  done_.items.resize(1);
  for (const CommandOutcome& outcome : outcomes) {
    if (done_.items[0].code == Code::ok) done_.items[0] = to_item(outcome);
  }
  if (done_.items[0].code == Code::ok || request.pool == 0) return;
  WorkerPool* pool = pools_.find(request.pool);
  if (pool == nullptr) {
    // Somebody else's request to open it was refused while this one was on its way.
    done_.items[0] = {.code = Code::unavailable,
                      .message = "the queues could not be opened for work; try again"};
  } else if (request.opens && outcomes.front().code != Code::ok) {
    abandon(now, *pool);
  }
}

// The state has not opened this pool: it is as if nobody had asked, so that whoever asks again
// opens it anew.
void Front::abandon(const Now& now, WorkerPool& pool) {
  for (Subscription* subscription : std::vector(pool.subscriptions)) {
    Session& session = *subscription->session;
    for (HeldLease *lease = session.leases, *next = nullptr; lease != nullptr; lease = next) {
      next = lease->next;
      // Of other pools, and resumed by this subscription.
      if (lease->subscription == subscription) part_from_session(now, *lease, limits_.resume_grace);
    }
    WorkerPools::leave(*subscription);
    std::erase_if(session.subscriptions,
                  [&](const auto& each) { return each.get() == subscription; });
  }
  pools_.erase(pool);
}

void Front::on_settled(const LeaseRef& ref, const CommandOutcome& outcome, Output& out) {
  HeldLease* lease = leases_.find(ref.token);
  if (lease == nullptr || lease->task != ref.task) return;
  if (lease->stage == HeldLease::Stage::ending) {
    end_lease(*lease, Outcome::lost, "the engine took it for lost", out);
    return;
  }
  // Any other refusal leaves the lease as it is.
  if (outcome.code != Code::ok && outcome.code != Code::lease_lost) return;
  WorkerPool* const pool = lease->pool;
  leases_.erase(*lease);
  close_if_unused(pool, out);
}

void Front::on_resumed(const Now& now, const Pending& request, const LeaseRef& ref,
                       const CommandOutcome& outcome, Output& out) {
  HeldLease* lease = leases_.find(ref.token);
  if (outcome.code != Code::ok) {
    if (lease != nullptr && lease->task == ref.task && outcome.code == Code::lease_lost) {
      if (request.session == 0) {  // the engine asked for its worker, who is to know
        end_lease(*lease, Outcome::lost, "the engine was taken for gone", out);
        return;
      }
      WorkerPool* const pool = lease->pool;
      leases_.erase(*lease);
      close_if_unused(pool, out);
    }
    return;
  }
  Session* session = sessions_.find(request.session);
  Subscription* subscription =
      session == nullptr ? nullptr : session->subscription(ref.subscription);
  if (lease != nullptr) {
    if (subscription == nullptr || lease->pool == nullptr) return;
    WorkerPool* const pool = lease->pool;
    Leases::move(*lease, *subscription->pool);
    close_if_unused(pool, out);
    return;
  }
  if (subscription == nullptr) {
    // Its worker has gone again; nobody else would ever end it.
    SettleCommand lost;
    lost.task = ref.task;
    lost.token = ref.token;
    lost.outcome = Outcome::lost;
    lost.error = "its worker went away";
    out.commands.add_own_settle(lost);
    return;
  }
  hold(now, leases_.add(ref.task, ref.token, *subscription->pool), *subscription);
}

// From now on this subscription's worker holds the lease.
void Front::hold(const Now& now, HeldLease& lease, Subscription& subscription) {
  lease.stage = HeldLease::Stage::held;
  Leases::give(lease, &subscription);
  renew(now, lease);
}

// Its worker has shown that it lives.
void Front::renew(const Now& now, HeldLease& lease) {
  lease.since = hearing(now);
  lease.until = lease.since + lease.lease;
  if (lease.subscription->own_signs) {
    end_at(lease, lease.until);
  } else {
    look_at(*lease.session, lease.until);
  }
}

// The same, where its worker has no session of its own and named it.
void Front::hear(const Now& now, const TaskId& task, LeaseToken token) {
  HeldLease* lease = leases_.find(token);
  const bool stands = lease != nullptr && lease->task == task && lease->session != nullptr &&
                      lease->stage == HeldLease::Stage::held;
  if (stands && lease->subscription->own_signs) renew(now, *lease);
}

// It is lost at this time, unless somebody shows that its worker lives.
void Front::end_at(HeldLease& lease, SteadyTime at) {
  lease.until = at;
  ends_.sweep(leases_.size(), [this](const auto& entry) {
    const HeldLease* ends = leases_.find(entry.key);
    return ends != nullptr && ends->ends_by_itself() && ends->until == entry.at;
  });
  ends_.add(at, lease.token);
}

void Front::on_assigned(const Assignment& assignment, Output& out) {
  WorkerPool* pool = leaving_ ? nullptr : pools_.find(assignment.pool);
  const std::size_t taken_before = taken_.size();
  Subscription* subscription = pool == nullptr ? nullptr : receiver_of(assignment, *pool);
  if (subscription == nullptr) {
    // Nobody has seen it, so nobody is to blame.
    release(assignment.task, assignment.token, assignment.pool, out);
    return;
  }
  HeldLease& lease = leases_.add(assignment.task, assignment.token, *pool);
  lease.attempt = assignment.attempt;
  lease.used_credit = taken_.size() == taken_before;
  Leases::give(lease, subscription);
  assigned_.push_back({assignment.token, subscription->session->id});
}

// Whoever chose the task, or whose turn it is.
Subscription* Front::receiver_of(const Assignment& assignment, WorkerPool& pool) {
  const auto is_it = [&](const Taken& taken) { return taken.lease.task == assignment.task; };
  const auto taken = std::find_if(taken_.begin(), taken_.end(), is_it);
  if (taken == taken_.end()) return WorkerPools::next(pool);
  Session* session = sessions_.find(taken->session);
  const std::uint32_t number = taken->lease.subscription;
  taken_.erase(taken);  // later in the entry somebody else may get it
  return session == nullptr ? nullptr : session->subscription(number);
}

// The pools close first, so that no task comes back by its own release.
void Front::leave(Output& out) {
  leaving_ = true;
  pools_.for_each([&](const WorkerPool& pool) {
    out.commands.add_own(Pending::Kind::pool, ClosePoolCommand{pool.number});
  });
  for (const Assigned& assigned : std::exchange(assigned_, {})) {
    HeldLease* lease = leases_.find(assigned.token);
    if (lease == nullptr || lease->stage != HeldLease::Stage::assigned) continue;
    release(lease->task, lease->token, lease->pool->number, out);
    leases_.erase(*lease);
  }
}

void Front::on_lease_end(const LeaseEnd& end, Output& out) {
  HeldLease* lease = leases_.find(end.token);
  if (lease == nullptr) return;
  std::string reason(name_of(end.outcome));
  if (end.outcome == Outcome::cancelled) {
    if (const auto task = state_.find(end.task); task && !task->status.error.empty()) {
      reason = task->status.error;
    }
  }
  end_lease(*lease, end.outcome, std::move(reason), out);
}

// The state has ended the lease without its worker's word.
void Front::end_lease(HeldLease& lease, Outcome outcome, std::string reason, Output& out) {
  WorkerPool* const pool = lease.pool;
  if (lease.stage == HeldLease::Stage::ended) return;
  if (lease.session == nullptr) {
    leases_.erase(lease);
  } else if (lease.stage == HeldLease::Stage::assigned) {
    // The worker never saw it: what it takes is as before.
    Subscription& subscription = *lease.subscription;
    const std::int64_t used = lease.used_credit ? 1 : 0;
    leases_.erase(lease);
    const std::int64_t change = WorkerPools::change_credit(subscription, used, limits_.credit_max);
    if (change != 0) {
      out.commands.add_own(Pending::Kind::pool, WantCommand{subscription.pool->number, change});
    }
  } else {
    ended_.push_back(
        {lease.session->id, {lease.task, lease.token, outcome, {}}, std::move(reason)});
    const bool settled = lease.again_said || lease.session->ended_leases >= limits_.credit_max;
    if (settled) {
      leases_.erase(lease);
    } else {
      Leases::end(lease);
    }
  }
  close_if_unused(pool, out);
}

// Takes the lease for lost. It stands until the state has said so.
void Front::lose(HeldLease& lease, std::string_view reason, Output& out) {
  SettleCommand command;
  command.task = lease.task;
  command.token = lease.token;
  command.outcome = Outcome::lost;
  command.pool = lease.pool->number;
  command.error = reason;
  command.worker = lease.session == nullptr ? std::string_view(lease.worker) : lease.session->name;
  lease.stage = HeldLease::Stage::ending;
  out.commands.add_own_settle(command);
}

// Nobody holds it for the moment; it waits for its worker, but never beyond its own end.
void Front::let_go(const Now& now, HeldLease& lease, Duration grace) {
  const bool own_signs = lease.subscription->own_signs;
  const SteadyTime heard = own_signs ? lease.since : std::max(lease.session->heard, lease.since);
  const SteadyTime end = heard + lease.lease;
  lease.worker = lease.session->name;
  Leases::give(lease, nullptr);
  end_at(lease, grace == Duration::max() ? end : std::min(end, hearing(now) + grace));
}

// The session or subscription that the lease came by goes. One that is only assigned is not meant.
void Front::part_from_session(const Now& now, HeldLease& lease, Duration grace) {
  switch (lease.stage) {
    case HeldLease::Stage::assigned: break;
    case HeldLease::Stage::held: let_go(now, lease, grace); break;
    case HeldLease::Stage::ending: Leases::give(lease, nullptr); break;
    case HeldLease::Stage::ended: leases_.erase(lease); break;
  }
}

void Front::release(const TaskId& task, LeaseToken token, PoolNumber pool, Output& out) {
  SettleCommand command;
  command.task = task;
  command.token = token;
  command.outcome = Outcome::released;
  command.pool = pool;
  out.commands.add_own_settle(command);
}

void Front::close_if_unused(WorkerPool* pool, Output& out) {
  if (pool == nullptr || !pool->subscriptions.empty() || pool->leases > 0) return;
  out.commands.add_own(Pending::Kind::pool, ClosePoolCommand{pool->number});
  pools_.erase(*pool);
}

void Front::send_ended(Output& out) {
  const auto by_session = [](const Told& a, const Told& b) { return a.session < b.session; };
  std::stable_sort(ended_.begin(), ended_.end(), by_session);
  for (auto first = ended_.begin(); first != ended_.end();) {
    wire::Ended message;
    const SessionId session = first->session;
    for (; first != ended_.end() && first->session == session; ++first) {
      first->item.reason = first->reason;
      message.items.push_back(first->item);
    }
    out.send(session, message);
  }
  ended_.clear();
}

Result<void> Front::deliver(const Now& now, Specs& specs, Output& out) {
  const auto by_session = [](const Assigned& a, const Assigned& b) {
    return a.session < b.session;
  };
  if (!std::is_sorted(assigned_.begin(), assigned_.end(), by_session)) {
    std::stable_sort(assigned_.begin(), assigned_.end(), by_session);
  }
  wire::Deliver message;
  SessionId receiver = 0;
  std::size_t bytes = 0;
  const auto send = [&] {
    if (!message.items.empty()) out.send(receiver, message);
    message.items.clear();
    bytes = 0;
  };
  for (const Assigned& assigned : assigned_) {
    HeldLease* lease = leases_.find(assigned.token);
    // It may have been cancelled, or its session have gone, since it was assigned.
    if (lease == nullptr || lease->stage != HeldLease::Stage::assigned) continue;
    Result<std::string_view> spec = specs.spec(lease->task);
    if (!spec) return spec.error();
    const std::uint32_t subscription = lease->subscription->number;
    if (receiver != assigned.session || message.subscription != subscription ||
        bytes >= kDeliverBytesMax) {
      send();
    }
    receiver = assigned.session;
    message.subscription = subscription;
    message.items.push_back({lease->token, lease->attempt, lease->lease, *spec});
    bytes += spec->size();
    lease->stage = HeldLease::Stage::held;
    renew(now, *lease);
  }
  send();
  assigned_.clear();
  return {};
}

std::string_view Front::holder_name(LeaseToken token) const {
  const HeldLease* lease = leases_.find(token);
  return lease == nullptr || lease->session == nullptr ? std::string_view() : lease->session->name;
}

OpenPoolCommand Front::open_command(const WorkerPool& pool) {
  return {.pool = pool.number,
          .remote = pool.remote,
          .lease = pool.lease,
          .queues = {pool.queues.begin(), pool.queues.end()}};
}

// Those of workers in this process have ended with the incarnation, and the state says so.
void Front::resume_leases(const Subscription& subscription, Output& out) {
  if (!subscription.pool->remote) return;
  const Session& session = *subscription.session;
  for (const HeldLease* lease = session.leases; lease != nullptr; lease = lease->next) {
    const bool stands =
        lease->stage == HeldLease::Stage::assigned || lease->stage == HeldLease::Stage::held;
    if (!stands || lease->subscription != &subscription) continue;
    out.commands.add_own_resume({lease->task, lease->token, subscription.pool->number},
                                subscription.number);
  }
}

void Front::rejoin(std::vector<Batch*> unanswered, Output& out) {
  std::map<PoolNumber, std::int64_t> agains;  // that the unanswered settles will bring
  for (Batch* batch : unanswered) {
    on_refused(batch->drop(Pending::Kind::pool), {Code::unavailable, "the engine joins again"},
               out);
    for (const PoolNumber pool : batch->agains()) ++agains[pool];
  }
  if (leaving_) return;
  std::vector<WorkerPool*> open;
  pools_.for_each([&](WorkerPool& pool) { open.push_back(&pool); });
  for (const WorkerPool* pool : open) {
    out.commands.add_own(Pending::Kind::pool, open_command(*pool));
    std::int64_t credit = -agains[pool->number];
    for (const Subscription* subscription : pool->subscriptions) {
      credit += static_cast<std::int64_t>(subscription->credit);
      resume_leases(*subscription, out);
    }
    if (credit > 0) out.commands.add_own(Pending::Kind::pool, WantCommand{pool->number, credit});
  }
}

}  // namespace jack

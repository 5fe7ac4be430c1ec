#include "apps/api/claims.h"

#include <algorithm>
#include <array>

#include "apps/api/api.h"
#include "apps/cli/values.h"
#include "engine/format/spec.h"
#include "engine/runtime/replies.h"

namespace jack::api {
namespace {

// The lengths of leases that the engine knows; the exact one is set by an extension. It decides how
// long a lease outlasts a restart, so it is never shorter than what was asked for.
constexpr std::array<Duration, 6> kLeases = {std::chrono::seconds{30}, std::chrono::minutes{2},
                                             std::chrono::minutes{10}, std::chrono::hours{1},
                                             std::chrono::hours{4},    std::chrono::hours{12}};

constexpr std::uint32_t kClaimMax = 100;
constexpr Duration kLeaseMin = std::chrono::seconds{1};

// A subscription that nobody has used for so long ends.
constexpr std::chrono::minutes kUnused{5};

Duration class_of(Duration lease) {
  const auto fits = std::find_if(kLeases.begin(), kLeases.end(),
                                 [lease](Duration length) { return lease <= length; });
  return fits == kLeases.end() ? kLeases.back() : *fits;
}

}  // namespace

std::string lease_text(const Lease& lease) {
  return std::to_string(lease.token.value) + "." + std::to_string(lease.length.count()) + "." +
         lease.queue;
}

bool read_lease_text(std::string_view text, Lease& target) {
  const auto next_part = [&text] {
    const std::string_view part = text.substr(0, text.find('.'));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    return part;
  };
  const bool is_plain = text.find('.') == text.npos;
  std::uint64_t token = 0;
  std::uint64_t length = 0;
  if (!app::read_value(next_part(), token) || token == kNoLease.value) return false;
  if (!is_plain && (!app::read_value(next_part(), length) || !is_queue_name(text))) return false;
  const auto longest = static_cast<std::uint64_t>(kLeases.back().count());
  target.token = LeaseToken{token};
  target.length = Duration{static_cast<std::int64_t>(std::min(length, longest))};
  target.queue = text;
  return true;
}

Input<ClaimRequest> read_claim(const http::Request& request, Duration lease_default) {
  ClaimRequest claim;
  claim.queue = request.parameter("queue");
  claim.lease = lease_default;
  for (const http::Field& field : request.query) {
    if (field.name == "max") {
      if (!app::read_value(field.value, claim.max) || claim.max < 1 || claim.max > kClaimMax) {
        return wrong_input("max", "must be a number from 1 to " + std::to_string(kClaimMax));
      }
    } else if (field.name == "wait") {
      if (!app::read_value(field.value, claim.wait)) return wrong_input("wait", kDurationRule);
      claim.wait = std::min(claim.wait, kWaitMax);
    } else if (field.name == "lease") {
      if (!app::read_value(field.value, claim.lease)) return wrong_input("lease", kDurationRule);
      if (claim.lease < kLeaseMin || claim.lease > kLeases.back()) {
        return wrong_input("lease", "must be 1s to 12h");
      }
    }
  }
  return claim;
}

Claims::Claims(EngineSession& engine) : engine_(engine) {
  engine_.on_deliver = [this](const wire::Deliver& deliver) { on_deliver(deliver); };
  engine_.on_ended = [this](const wire::Ended& ended) { on_ended(ended); };
  engine_.on_renewed = [this] { on_renewed(); };
}

Claims::~Claims() { on_renewed(); }

Claims::Subscription& Claims::subscription_for(const std::string& queue, Duration lease) {
  const auto key = std::pair(queue, class_of(lease));
  const auto [at, made] = numbers_.try_emplace(key, last_number_ + 1);
  Subscription& subscription = subscriptions_[at->second];
  if (made) {
    subscription.number = ++last_number_;
    subscription.queue = queue;
    subscription.lease = key.second;
  }
  subscription.used = Clock::now();
  return subscription;
}

void Claims::claim(ClaimRequest request, http::Responder to) {
  Subscription& subscription = subscription_for(request.queue, request.lease);
  const auto claim =
      std::make_shared<Claim>(Claim{std::move(request), to, {}, {}, 0, false, false, false, false});
  claim->until = Clock::now() + claim->request.wait;
  subscription.claims.push_back(claim);
  const std::uint32_t number = subscription.number;
  engine_.ask(work_of(subscription, claim->request.max),
              [this, number, claim](Result<wire::Reply> reply) {
                const Result<void> opened = expect_done(std::move(reply));
                if (!opened) return finish(number, claim, opened);
                claim->opened = true;
                // What was queued has been assigned by now, and is told next.
                if (claim->request.wait == Duration{0} || claim->abandoned) {
                  withdraw(subscriptions_.at(number), claim);
                } else {
                  end_on_time(number, claim);
                }
              });
  const std::weak_ptr<Claim> weak = claim;
  to.on_closed([this, number, weak] {
    const ClaimPointer gone = weak.lock();
    if (!gone) return;
    gone->abandoned = true;
    if (const auto found = subscriptions_.find(number); found != subscriptions_.end()) {
      withdraw(found->second, gone);
    }
  });
  to.on_stopping([this, number, weak] {
    const ClaimPointer waiting = weak.lock();
    const auto found = subscriptions_.find(number);
    if (waiting && found != subscriptions_.end()) withdraw(found->second, waiting);
  });
}

void Claims::on_deliver(const wire::Deliver& deliver) {
  const auto found = subscriptions_.find(deliver.subscription);
  std::vector<ClaimPointer> served;
  for (const wire::Deliver::Item& item : deliver.items) {
    Unpacker unpacker;
    const Result<SpecView> spec = decode_spec(unpacker, item.spec);
    if (!spec) continue;  // it is lost when its lease ends, and shows in the engine's log
    ClaimPointer claim;
    if (found != subscriptions_.end()) {
      for (const ClaimPointer& waiting : found->second.claims) {
        if (waiting->taken.size() >= waiting->request.max) continue;
        claim = waiting;
        break;
      }
    }
    held_[item.token.value] = deliver.subscription;
    if (const auto taking = takings_.extract(spec->id)) {
      const LeaseToken token = item.token;
      engine_.ask(wire::Extend{0, {{spec->id, token, taking.mapped().lease}}},
                  [](const Result<wire::Reply>&) {});
      taking.mapped().then(token);
      continue;
    }
    if (!claim) {
      release(spec->id, item.token);
      continue;
    }
    claim->taken.push_back({item.token, item.attempt, to_spec(*spec)});
    if (claim->withdrawn) ++claim->taken_late;
    if (served.empty() || served.back() != claim) served.push_back(claim);
  }
  // Who has something does not wait for more.
  for (const ClaimPointer& claim : served) {
    if (claim->withdrawn) continue;
    if (claim->taken.size() == claim->request.max) {
      finish(deliver.subscription, claim, {});
    } else {
      withdraw(found->second, claim);
    }
  }
}

// Where its wait is over before the next tick. A timer for each wait from its beginning on would
// outlive those that end early.
void Claims::end_on_time(std::uint32_t number, const ClaimPointer& claim) {
  const auto left = claim->until - Clock::now();
  if (claim->timed || !claim->opened || claim->withdrawn || left > kTick) return;
  claim->timed = true;
  const auto end = [this, number, weak = std::weak_ptr<Claim>(claim)] {
    const ClaimPointer waiting = weak.lock();
    if (!waiting) return;
    const auto found = subscriptions_.find(number);
    if (found != subscriptions_.end()) withdraw(found->second, waiting);
  };
  call_after(std::max(std::chrono::ceil<std::chrono::milliseconds>(left), {}), end);
}

// What is under way already when the engine hears of it still comes, before its answer.
void Claims::withdraw(Subscription& subscription, const ClaimPointer& claim) {
  if (std::exchange(claim->withdrawn, true)) return;
  const std::uint32_t number = subscription.number;
  const auto rest = static_cast<std::int64_t>(claim->request.max - claim->taken.size());
  engine_.ask(work_of(subscription, -rest), [this, number, claim](Result<wire::Reply> reply) {
    finish(number, claim, expect_done(std::move(reply)));
  });
}

void Claims::finish(std::uint32_t number, const ClaimPointer& claim, const Result<void>& outcome) {
  const auto found = subscriptions_.find(number);
  if (found != subscriptions_.end()) {
    found->second.claims.remove(claim);
    // Its late tasks used up credit of those behind it.
    if (claim->taken_late > 0 && !found->second.claims.empty()) {
      engine_.ask(work_of(found->second, claim->taken_late), [](const Result<wire::Reply>&) {});
    }
  }
  if (claim->taken.empty() && !outcome) return refuse(claim->to, outcome.error());
  if (claim->abandoned || !claim->to.wanted()) {
    for (const Taken& taken : claim->taken) release(taken.spec.id, taken.token);
    return;
  }
  app::Json tasks = app::Json::array();
  wire::Extend exact;
  for (Taken& taken : claim->taken) {
    const TaskId task = taken.spec.id;
    app::Json json = json_of_spec(std::move(taken.spec));
    json.set("attempt", taken.attempt)
        .set("token", lease_text({task, taken.token, claim->request.lease, claim->request.queue}))
        .set("lease_ms", claim->request.lease.count());
    exact.items.push_back({task, taken.token, claim->request.lease});
    tasks.add(std::move(json));
  }
  if (!exact.items.empty()) engine_.ask(std::move(exact), [](const Result<wire::Reply>&) {});
  answer(claim->to, 200, std::move(app::Json::object().set("tasks", std::move(tasks))));
}

void Claims::release(const TaskId& task, LeaseToken token) {
  held_.erase(token.value);
  wire::Settle::Item item;
  item.task = task;
  item.token = token;
  item.outcome = Outcome::released;
  engine_.ask(wire::Settle{0, {std::move(item)}}, [](const Result<wire::Reply>&) {});
}

void Claims::on_ended(const wire::Ended& ended) {
  for (const wire::Ended::Item& item : ended.items) held_.erase(item.token.value);
}

// Subscriptions are opened again by the next claim; the leases are held again one by one.
void Claims::on_renewed() {
  held_.clear();
  numbers_.clear();
  const Error lost{Code::unavailable, "the engine lost sight of this claim; repeat it"};
  for (auto& [task, taking] : std::exchange(takings_, {})) taking.then(lost);
  for (auto& [number, subscription] : std::exchange(subscriptions_, {})) {
    for (const ClaimPointer& claim : subscription.claims) {
      refuse(claim->to, lost);
    }
  }
}

// Tells the engine of it, which may know it already. Gives its number.
std::uint32_t Claims::open(const Subscription& subscription) {
  engine_.ask(work_of(subscription, 0), [](const Result<wire::Reply>&) {});
  return subscription.number;
}

wire::Work Claims::work_of(const Subscription& subscription, std::int64_t credit) {
  wire::Work work;
  work.subscription = subscription.number;
  work.credit = credit;
  work.lease = subscription.lease;
  work.queues = {subscription.queue};
  work.own_signs = true;
  return work;
}

void Claims::take(const std::string& queue, const TaskId& task, Duration lease,
                  std::function<void(const Result<LeaseToken>&)> then) {
  if (!takings_.try_emplace(task, Taking{lease, then}).second) {
    return then(Error{Code::failed_precondition, "somebody else is taking this task"});
  }
  const std::uint32_t number = open(subscription_for(queue, lease));
  engine_.ask(wire::Take{0, number, {task}}, [this, task](Result<wire::Reply> reply) {
    const Result<void> taken = expect_done(std::move(reply));
    if (taken) return;  // it is delivered next
    if (const auto node = takings_.extract(task)) node.mapped().then(taken.error());
  });
}

void Claims::hold(std::vector<Lease> leases, std::function<void()> then) {
  const auto unknown = std::find_if(leases.begin(), leases.end(), [this](const Lease& lease) {
    return !held_.contains(lease.token.value);
  });
  if (unknown == leases.end()) return then();
  const Lease lease = *unknown;
  leases.erase(leases.begin(), unknown + 1);
  auto go_on = [this, leases = std::move(leases), then = std::move(then)]() mutable {
    hold(std::move(leases), std::move(then));
  };
  // Given out before a restart: its queue tells by which subscription it goes on.
  if (!lease.queue.empty()) return resume(lease, lease.queue, std::move(go_on));
  engine_.ask(wire::Get{0, lease.task, false, 0},
              [this, lease, go_on = std::move(go_on)](Result<wire::Reply> reply) mutable {
                const auto message = expect<wire::TaskMessage>(std::move(reply));
                if (!message) return go_on();
                const Result<Task> task =
                    to_task(message->spec, message->status, message->wall_offset);
                if (!task || task->status.token != lease.token) return go_on();
                resume(lease, task->spec.queue, std::move(go_on));
              });
}

void Claims::resume(const Lease& lease, const std::string& queue, std::function<void()> then) {
  const Duration length =
      lease.length == Duration{0} ? engine_.facts().lease_default : lease.length;
  const std::uint32_t number = open(subscription_for(queue, length));
  engine_.ask(
      wire::Resume{0, number, {{lease.task, lease.token}}},
      [this, number, token = lease.token, then = std::move(then)](Result<wire::Reply> reply) {
        if (expect_done(std::move(reply))) held_[token.value] = number;
        then();
      });
}

void Claims::refuse_all(const Error& error) {
  for (auto& [number, subscription] : subscriptions_) {
    for (const ClaimPointer& claim : std::list(subscription.claims)) {
      if (std::exchange(claim->abandoned, true)) continue;
      refuse(claim->to, error);
      withdraw(subscription, claim);
    }
  }
}

void Claims::on_time() {
  const Clock::time_point now = Clock::now();
  std::vector<std::uint32_t> unused;
  for (auto& [number, subscription] : subscriptions_) {
    for (const ClaimPointer& claim : std::list(subscription.claims)) end_on_time(number, claim);
    if (subscription.claims.empty() && now - subscription.used > kUnused) unused.push_back(number);
  }
  for (const std::uint32_t number : unused) {
    Subscription& subscription = subscriptions_.at(number);
    subscription.used = now;  // it is tried again later, where leases came by it
    engine_.ask(wire::Unwork{0, number}, [this, number](Result<wire::Reply> reply) {
      const auto found = subscriptions_.find(number);
      if (!expect_done(std::move(reply)) || found == subscriptions_.end()) return;
      if (!found->second.claims.empty()) return;  // opened anew meanwhile, by its number
      numbers_.erase({found->second.queue, found->second.lease});
      subscriptions_.erase(found);
    });
  }
}

}  // namespace jack::api

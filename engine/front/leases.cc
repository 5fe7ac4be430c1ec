#include "engine/front/leases.h"

#include "engine/assert.h"

namespace jack {
namespace {

void unlink(HeldLease& lease) {
  if (lease.session == nullptr) return;
  (lease.previous == nullptr ? lease.session->leases : lease.previous->next) = lease.next;
  if (lease.next != nullptr) lease.next->previous = lease.previous;
  if (lease.stage == HeldLease::Stage::ended) --lease.session->ended_leases;
  lease.session = nullptr;
  lease.subscription = nullptr;
}

}  // namespace

HeldLease* Leases::find(LeaseToken token) const {
  HeldLease* const* found = by_token_.find(token);
  return found == nullptr ? nullptr : *found;
}

HeldLease& Leases::add(const TaskId& task, LeaseToken token, WorkerPool& pool) {
  HeldLease* lease = free_;
  if (lease == nullptr) {
    lease = &leases_.emplace_back();
  } else {
    free_ = lease->next;
    *lease = HeldLease{};
  }
  lease->task = task;
  lease->token = token;
  lease->pool = &pool;
  lease->lease = pool.lease;
  ++pool.leases;
  by_token_[token] = lease;
  return *lease;
}

void Leases::erase(HeldLease& lease) {
  end(lease);
  unlink(lease);
  by_token_.erase(lease.token);
  lease.next = free_;
  free_ = &lease;
}

void Leases::move(HeldLease& lease, WorkerPool& pool) {
  --lease.pool->leases;
  lease.pool = &pool;
  ++pool.leases;
}

void Leases::give(HeldLease& lease, Subscription* subscription) {
  JACK_ASSERT(lease.stage != HeldLease::Stage::ended);
  unlink(lease);
  if (subscription == nullptr) return;
  lease.subscription = subscription;
  lease.session = subscription->session;
  lease.previous = nullptr;
  lease.next = lease.session->leases;
  if (lease.next != nullptr) lease.next->previous = &lease;
  lease.session->leases = &lease;
}

void Leases::end(HeldLease& lease) {
  if (lease.pool == nullptr) return;
  --lease.pool->leases;
  lease.pool = nullptr;
  if (lease.session != nullptr) ++lease.session->ended_leases;
  lease.stage = HeldLease::Stage::ended;
}

}  // namespace jack

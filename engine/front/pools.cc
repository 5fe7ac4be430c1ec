#include "engine/front/pools.h"

#include <algorithm>

namespace jack {
namespace {

// Queue names have no commas.
std::string key_of(const std::vector<std::string>& queues, bool remote, Duration lease) {
  std::string key = std::to_string(lease.count()) + (remote ? " remote" : " here");
  for (const std::string& queue : queues) key += ',' + queue;
  return key;
}

void line_up(WorkerPool& pool, Subscription& subscription) {
  pool.line.push_back(&subscription);
  subscription.in_line = true;
}

}  // namespace

WorkerPools::Found WorkerPools::find_or_open(std::vector<std::string> queues, bool remote,
                                             Duration lease) {
  const std::string key = key_of(queues, remote, lease);
  if (const auto found = by_key_.find(key); found != by_key_.end()) return {*found->second, false};

  auto pool = std::make_unique<WorkerPool>();
  pool->number = ++last_number_;
  pool->queues = std::move(queues);
  pool->remote = remote;
  pool->lease = lease;
  WorkerPool& opened = *pool;
  by_key_[key] = &opened;
  by_number_[opened.number] = &opened;
  pools_[opened.number] = std::move(pool);
  return {opened, true};
}

WorkerPool* WorkerPools::find(PoolNumber number) const {
  WorkerPool* const* found = by_number_.find(number);
  return found == nullptr ? nullptr : *found;
}

void WorkerPools::erase(WorkerPool& pool) {
  by_key_.erase(key_of(pool.queues, pool.remote, pool.lease));
  by_number_.erase(pool.number);
  pools_.erase(pool.number);
}

void WorkerPools::join(WorkerPool& pool, Subscription& subscription) {
  subscription.pool = &pool;
  pool.subscriptions.push_back(&subscription);
}

void WorkerPools::leave(Subscription& subscription) {
  std::erase(subscription.pool->line, &subscription);
  std::erase(subscription.pool->subscriptions, &subscription);
}

std::int64_t WorkerPools::change_credit(Subscription& subscription, std::int64_t by,
                                        std::uint64_t max) {
  const auto before = static_cast<std::int64_t>(subscription.credit);
  const auto highest = static_cast<std::int64_t>(max);
  // Bounded first, so that the sum cannot overflow.
  const std::int64_t after = std::clamp(before + std::clamp(by, -highest, highest), std::int64_t{0},
                                        std::max(before, highest));
  subscription.credit = static_cast<std::uint64_t>(after);
  if (after > 0 && !subscription.in_line) line_up(*subscription.pool, subscription);
  return after - before;
}

Subscription* WorkerPools::next(WorkerPool& pool) {
  while (!pool.line.empty()) {
    Subscription& subscription = *pool.line.front();
    pool.line.pop_front();
    subscription.in_line = false;
    if (subscription.credit == 0) continue;  // withdrawn while it stood in line
    if (--subscription.credit > 0) line_up(pool, subscription);
    return &subscription;
  }
  return nullptr;
}

std::map<std::string_view, std::uint64_t> WorkerPools::credit_by_queue() const {
  std::map<std::string_view, std::uint64_t> credit;
  for (const auto& [number, pool] : pools_) {
    std::uint64_t sum = 0;
    for (const Subscription* subscription : pool->subscriptions) sum += subscription->credit;
    for (const std::string& queue : pool->queues) credit[queue] += sum;
  }
  return credit;
}

}  // namespace jack

// What workers say: how much they take, and how their attempts go.
#include <algorithm>
#include <utility>

#include "engine/front/front.h"

namespace jack {
namespace {

// What a progress report counts against the session's bytes per second.
constexpr std::uint64_t kProgressBytes = 256;

Error lease_lost(const TaskId& task) {
  return {Code::lease_lost, "the lease of task " + to_string(task) + " is not held here"};
}

Error too_much_output(std::uint64_t bytes_per_second) {
  return {Code::rate_limited, "a session may send " + std::to_string(bytes_per_second) +
                                  " bytes of output and progress per second"};
}

}  // namespace

Duration Front::clamp_lease(Duration lease) const {
  if (lease <= Duration{0}) return limits_.lease_default;
  return std::clamp(lease, limits_.lease_min, limits_.lease_max);
}

void Front::on(const Now&, Session& session, const wire::Work& message, Output& out) {
  if (refuse_change(session, message.correlation, Taking::settles, out)) return;
  out.commands.begin(Pending::Kind::pool, session.id, message.correlation);
  Subscription* subscription = session.subscription(message.subscription);
  if (subscription != nullptr) {
    out.commands.name_pool(subscription->pool->number, false);
  } else {
    Result<Subscription*> made = subscribe(session, message, out);
    if (!made) {
      out.commands.refuse(std::move(made).error());
      finish_request(session.id, out);
      return;
    }
    subscription = *made;
  }
  const std::int64_t change =
      WorkerPools::change_credit(*subscription, message.credit, limits_.credit_max);
  if (change != 0) out.commands.add_to_item(WantCommand{subscription->pool->number, change});
  out.commands.set_items(1);
  finish_request(session.id, out);
}

Result<Subscription*> Front::subscribe(Session& session, const wire::Work& message, Output& out) {
  if (message.queues.empty() || message.queues.size() > kQueuesPerWorkerMax) {
    return Error{Code::invalid_argument,
                 "a worker takes from 1–" + std::to_string(kQueuesPerWorkerMax) + " queues"};
  }
  std::vector<std::string> queues(message.queues.begin(), message.queues.end());
  if (!std::all_of(queues.begin(), queues.end(), is_queue_name)) {
    return Error{Code::invalid_argument, kQueueNameRule};
  }
  if (session.is_remote() &&
      session.subscriptions.size() >= limits_.subscriptions_per_session_max) {
    return Error{Code::rate_limited, "a session may have " +
                                         std::to_string(limits_.subscriptions_per_session_max) +
                                         " subscriptions"};
  }
  std::sort(queues.begin(), queues.end());
  queues.erase(std::unique(queues.begin(), queues.end()), queues.end());
  // A session of this process that stands for others does not end their work with its own life.
  const bool remote = session.is_remote() || message.own_signs;
  const auto [pool, opened] =
      pools_.find_or_open(std::move(queues), remote, clamp_lease(message.lease));
  out.commands.name_pool(pool.number, opened);
  if (opened) out.commands.add_to_item(open_command(pool));

  auto subscription = std::make_unique<Subscription>();
  subscription->number = message.subscription;
  subscription->session = &session;
  subscription->own_signs = message.own_signs;
  WorkerPools::join(pool, *subscription);
  session.subscriptions.push_back(std::move(subscription));
  look_at(session, silence_end(session));
  return session.subscriptions.back().get();
}

void Front::on(const Now&, Session& session, const wire::Unwork& message, Output& out) {
  Subscription* subscription = session.subscription(message.subscription);
  if (subscription == nullptr) {
    refuse_without_subscription(session, message.correlation, message.subscription, out);
    return;
  }
  for (const HeldLease* lease = session.leases; lease != nullptr; lease = lease->next) {
    if (lease->subscription != subscription) continue;
    refuse(session.id, message.correlation,
           {Code::failed_precondition, "leases that came by this subscription stand"}, out);
    return;
  }
  if (subscription->credit > 0) {
    const auto credit = static_cast<std::int64_t>(subscription->credit);
    out.commands.add_own(Pending::Kind::pool, WantCommand{subscription->pool->number, -credit});
  }
  WorkerPool* const pool = subscription->pool;
  WorkerPools::leave(*subscription);
  std::erase_if(session.subscriptions,
                [&](const auto& each) { return each.get() == subscription; });
  close_if_unused(pool, out);
  done_.correlation = message.correlation;
  done_.items.assign(1, {});
  out.send(session.id, done_);
}

void Front::on(const Now&, Session& session, const wire::Take& message, Output& out) {
  if (refuse_change(session, message.correlation, Taking::settles, out)) return;
  if (refuse_batch(session, message.correlation, message.tasks.size(), out)) return;
  const Subscription* subscription = session.subscription(message.subscription);
  if (subscription == nullptr) {
    refuse_without_subscription(session, message.correlation, message.subscription, out);
    return;
  }
  out.commands.begin(Pending::Kind::take, session.id, message.correlation);
  for (const TaskId& task : message.tasks) {
    if (refuse_denied(out)) continue;
    out.commands.add(TakeCommand{task, subscription->pool->number});
    out.commands.add(LeaseRef{task, kNoLease, message.subscription});
  }
  finish_request(session.id, out);
}

void Front::refuse_without_subscription(Session& session, Correlation correlation,
                                        std::uint32_t number, Output& out) {
  refuse(session.id, correlation,
         {Code::failed_precondition,
          "this session has no subscription " + std::to_string(number) + "; send `work` first"},
         out);
}

void Front::on(const Now& now, Session& session, const wire::Settle& message, Output& out) {
  if (refuse_change(session, message.correlation, Taking::settles, out)) return;
  if (refuse_batch(session, message.correlation, message.items.size(), out)) return;
  // What is wanted again although its settle has no command.
  std::vector<PoolNumber> wants;
  out.commands.begin(Pending::Kind::settle, session.id, message.correlation);
  for (const wire::Settle::Item& item : message.items) {
    PoolNumber pool = 0;
    const bool again = take_again(session, item, pool);
    if (refuse_denied(out)) {
      if (again) wants.push_back(pool);
      continue;
    }
    Result<SettleCommand> command = settle_command(now, item);
    if (!command) {
      out.commands.refuse(std::move(command).error());
      if (again) wants.push_back(pool);
      continue;
    }
    command->pool = pool;
    command->again = again;
    command->worker = session.name;
    out.commands.add(*command);
    out.commands.add(LeaseRef{item.task, item.token});
    if (again) out.commands.count_again(pool);
  }
  if (out.commands.request_bytes() > commands_bytes_max_) {
    const std::span<const PoolNumber> agains = out.commands.request_agains();
    wants.insert(wants.end(), agains.begin(), agains.end());
  }
  finish_request(session.id, out);
  for (const PoolNumber pool : wants) {
    out.commands.add_own(Pending::Kind::pool, WantCommand{pool, 1});
  }
}

// Whether the worker's slot counts as free again: once for each lease that this session was given,
// whatever becomes of its settle. A settle that is repeated in a later session finds it counted by
// what that session said in `work`.
bool Front::take_again(Session& session, const wire::Settle::Item& item, PoolNumber& pool) {
  HeldLease* lease = leases_.find(item.token);
  if (lease == nullptr || lease->session != &session || lease->task != item.task) return false;
  Subscription& subscription = *lease->subscription;
  pool = subscription.pool->number;
  const bool again = item.again && !lease->again_said &&
                     WorkerPools::change_credit(subscription, 1, limits_.credit_max) == 1;
  lease->again_said = lease->again_said || again;
  if (lease->stage == HeldLease::Stage::ended) leases_.erase(*lease);
  return again;
}

Result<SettleCommand> Front::settle_command(const Now& now, const wire::Settle::Item& item) {
  const bool known = item.outcome == Outcome::succeeded || item.outcome == Outcome::failed ||
                     item.outcome == Outcome::released;
  if (!known) {
    return Error{Code::invalid_argument, "a worker may say succeeded, failed or released"};
  }
  if (item.follow_ups.size() > kFollowUpsMax) {
    return Error{Code::invalid_argument,
                 "a settle may have " + std::to_string(kFollowUpsMax) + " follow-up tasks"};
  }
  SettleCommand command;
  command.task = item.task;
  command.token = item.token;
  command.outcome = item.outcome;
  command.result = item.result;
  command.content_type = item.content_type;
  command.error = item.error;
  command.retry = item.retry;
  command.delay = item.delay;
  for (const wire::NewTask& task : item.follow_ups) {
    Result<SubmitCommand> next = submit_command(now, task);
    if (!next) {
      return Error{next.error().code, "a follow-up task is refused: " + next.error().message};
    }
    command.follow_ups.push_back(*next);
  }
  command.changes = item.changes;
  return command;
}

void Front::on(const Now& now, Session& session, const wire::Extend& message, Output& out) {
  if (refuse_batch(session, message.correlation, message.items.size(), out)) return;
  out.commands.begin(Pending::Kind::change, session.id, message.correlation);
  for (const wire::Extend::Item& item : message.items) {
    if (refuse_denied(out)) continue;
    HeldLease* lease = leases_.find(item.token);
    const bool stands = lease != nullptr && lease->task == item.task && lease->session != nullptr &&
                        lease->stage == HeldLease::Stage::held;
    if (!stands) {
      out.commands.refuse(lease_lost(item.task));
      continue;
    }
    lease->lease = item.lease <= Duration{0} ? lease->pool->lease : clamp_lease(item.lease);
    renew(now, *lease);
    out.commands.accept();
  }
  finish_request(session.id, out);
}

void Front::on(const Now& now, Session& session, const wire::Output& message, Output& out) {
  if (refuse_change(session, message.correlation, Taking::all, out)) return;
  if (refuse_batch(session, message.correlation, message.items.size(), out)) return;
  out.commands.begin(Pending::Kind::change, session.id, message.correlation);
  for (const wire::Output::Item& item : message.items) {
    if (refuse_denied(out)) continue;
    const std::uint64_t rate = limits_.output_bytes_per_second_max;
    if (session.output.take(now.steady, item.bytes.size(), rate)) {
      hear(now, item.task, item.token);
      out.commands.add(OutputCommand{item.task, item.token, item.bytes});
    } else {
      out.commands.refuse(too_much_output(rate));
    }
  }
  finish_request(session.id, out);
}

void Front::on(const Now& now, Session& session, const wire::Progress& message, Output& out) {
  if (refuse_change(session, message.correlation, Taking::all, out)) return;
  if (refuse_batch(session, message.correlation, message.items.size(), out)) return;
  out.commands.begin(Pending::Kind::change, session.id, message.correlation);
  for (const wire::Progress::Item& item : message.items) {
    if (refuse_denied(out)) continue;
    const std::uint64_t rate = limits_.output_bytes_per_second_max;
    if (item.permille > 1000 || item.note.size() > kShortTextBytesMax) {
      out.commands.refuse(
          {Code::invalid_argument, "progress goes up to 1000 ‰, with a note of at most " +
                                       std::to_string(kShortTextBytesMax) + " bytes"});
    } else if (session.output.take(now.steady, kProgressBytes + item.note.size(), rate)) {
      hear(now, item.task, item.token);
      out.commands.add(ProgressCommand{item.task, item.token, item.permille, item.note});
    } else {
      out.commands.refuse(too_much_output(rate));
    }
  }
  finish_request(session.id, out);
}

void Front::on(const Now& now, Session& session, const wire::Resume& message, Output& out) {
  if (refuse_change(session, message.correlation, Taking::settles, out)) return;
  if (refuse_batch(session, message.correlation, message.items.size(), out)) return;
  Subscription* subscription = session.subscription(message.subscription);
  if (subscription == nullptr) {
    refuse_without_subscription(session, message.correlation, message.subscription, out);
    return;
  }
  out.commands.begin(Pending::Kind::resume, session.id, message.correlation);
  for (const wire::Resume::Item& item : message.items) {
    if (refuse_denied(out)) continue;
    HeldLease* lease = leases_.find(item.token);
    const bool known = lease != nullptr && lease->task == item.task;
    if (known &&
        (lease->stage == HeldLease::Stage::ended || lease->stage == HeldLease::Stage::assigned)) {
      out.commands.refuse(lease_lost(item.task));
      continue;
    }
    if (known && lease->stage == HeldLease::Stage::held) {
      hold(now, *lease, *subscription);
      if (lease->pool == subscription->pool) {
        out.commands.accept();
        continue;
      }
    }
    out.commands.add(ResumeCommand{item.task, item.token, subscription->pool->number});
    out.commands.add(LeaseRef{item.task, item.token, message.subscription});
  }
  finish_request(session.id, out);
}

}  // namespace jack

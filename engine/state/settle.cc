// How attempts end, and tasks with them.
#include <algorithm>
#include <map>

#include "engine/format/pack.h"
#include "engine/state/state.h"

namespace jack {
namespace {

CommandOutcome lease_lost(const TaskId& id) {
  return {Code::lease_lost, "the lease of task " + to_string(id) +
                                " has ended; its outcome is decided by whoever holds it now"};
}

// Tells whether a settle that comes again says the same.
std::uint64_t settle_digest(const SettleCommand& command) {
  std::string said;
  Packer packer(said);
  packer.u64(static_cast<std::uint64_t>(command.outcome)).boolean(command.retry);
  packer.u64(digest_of(command.result)).text(command.content_type).text(command.error);
  packer.i64(command.delay ? command.delay->count() : -1);
  for (const SubmitCommand& next : command.follow_ups) {
    packer.u64(digest_of(next.spec));
    if (next.result) packer.u64(digest_of(*next.result));
  }
  return digest_of(said);
}

std::string_view cut_to(std::string_view text, std::uint64_t bytes_max) {
  return text.substr(0, static_cast<std::size_t>(bytes_max));
}

}  // namespace

// A task that was submitted with its result has been settled so, as far as a later settle can tell.
std::uint64_t State::settle_digest_of(const SubmitCommand& done) {
  SettleCommand command;
  command.outcome = Outcome::succeeded;
  command.result = *done.result;
  command.content_type = done.content_type;
  return settle_digest(command);
}

Result<CommandOutcome> State::apply(const EntryHeader& header, const SettleCommand& command) {
  Result<CommandOutcome> outcome = settle(command);
  if (!outcome || !command.again) return outcome;
  // The slot on the worker's side is free whatever became of the settle.
  if (const auto pool = pool_of(header.incarnation, command.pool)) want(*pool, 1);
  return outcome;
}

Result<CommandOutcome> State::settle(const SettleCommand& command) {
  const bool held = command.token != kNoLease;
  if (!held && command.outcome != Outcome::succeeded) {
    return CommandOutcome{Code::invalid_argument, "without a lease a task can only succeed"};
  }
  const Slot slot = retained_slot(command.task);
  if (slot == kNoSlot) return settle_absent(command);
  TaskRecord& task = tasks_[slot];
  if ((held ? task.settled_token == command.token : is_terminal(task.state)) &&
      task.settled_digest == settle_digest(command)) {
    return CommandOutcome{Code::ok, {}, true};
  }
  if (!held) {
    if (auto refusal = unheld_refusal(slot)) return *refusal;
  } else if (task.state != TaskState::running || task.token != command.token) {
    return lease_lost(command.task);
  }
  if (command.worker.size() > kShortTextBytesMax) {
    return CommandOutcome{Code::invalid_argument, "the worker's name is too long"};
  }
  if (command.delay &&
      (*command.delay < Duration{0} || *command.delay > register_.limits.delay_max)) {
    return CommandOutcome{Code::invalid_argument,
                          "the delay must be between 0 and " +
                              std::to_string(register_.limits.delay_max.count()) + " ms"};
  }
  if (command.outcome == Outcome::succeeded) {
    if (auto refusal = result_refusal(command.result, command.content_type)) return *refusal;
    Result<std::optional<CommandOutcome>> refusal = follow_up_refusal(command);
    if (!refusal) return refusal.error();
    if (*refusal) return **refusal;
  }
  Result<Annotations> annotations = Annotations();
  if (!command.changes.empty()) {
    annotations = changed(annotations_of(task), command.changes);
    if (!annotations) return CommandOutcome{annotations.error().code, annotations.error().message};
  }
  const std::uint64_t digest = settle_digest(command);
  if (!held) begin_unheld(slot);
  switch (command.outcome) {
    case Outcome::succeeded:
      if (!command.changes.empty()) tasks_[slot].more().annotations = *std::move(annotations);
      succeed(slot, command);
      if (Result<void> done = submit_follow_ups(command); !done) return done.error();
      break;
    case Outcome::released: release(slot, command.delay); break;
    default:
      end_attempt(slot, {command.outcome, cut_to(command.error, register_.limits.error_bytes_max),
                         command.worker, command.retry, command.delay});
      break;
  }
  tasks_[slot].settled_token = held ? command.token : tasks_[slot].token;
  tasks_[slot].settled_digest = digest;
  return CommandOutcome{};
}

// Of a task that is not in memory: finished and stored, or never there.
Result<CommandOutcome> State::settle_absent(const SettleCommand& command) {
  const bool held = command.token != kNoLease;
  Result<std::optional<Archived>> archived = find_archived(command.task);
  if (!archived) return archived.error();
  if (!*archived) return held ? lease_lost(command.task) : not_found(command.task);
  const TaskRecord& task = (*archived)->task.record;
  const bool same = (!held || task.settled_token == command.token) &&
                    task.settled_digest == settle_digest(command);
  if (same) return CommandOutcome{Code::ok, {}, true};
  return held ? lease_lost(command.task) : ended_already(command.task, task.state);
}

// Whether a task can be ended by somebody who has no lease of it.
std::optional<CommandOutcome> State::unheld_refusal(Slot slot) const {
  const TaskRecord& task = tasks_[slot];
  if (is_terminal(task.state)) return ended_already(task.id, task.state);
  if (task.state == TaskState::running) {
    return CommandOutcome{Code::failed_precondition,
                          "task " + to_string(task.id) + " is held by a worker, who alone ends it"};
  }
  if (task.expires <= register_.now || (task.state == TaskState::scheduled && task.attempt == 0)) {
    return CommandOutcome{Code::failed_precondition,
                          "task " + to_string(task.id) + " is not to be done now: it " +
                              (task.expires <= register_.now ? "has expired" : "is not due")};
  }
  return std::nullopt;
}

// The attempt of nobody's lease, which ends as soon as it begins.
void State::begin_unheld(Slot slot) {
  unlist(slot);
  TaskRecord& task = tasks_[slot];
  set_state(slot, TaskState::running);
  ++task.attempt;
  task.token = {register_.epoch << 48 | register_.next_token++};
  task.started = register_.now;
  task.pool = kNoPool;
  emit(EventKind::started, slot);
}

// The result has been looked at.
void State::succeed(Slot slot, const SettleCommand& command) {
  detach_lease(slot);
  tasks_[slot].outcome = Outcome::succeeded;
  bytes_of(slot).worker = command.worker;
  finish(slot, TaskState::succeeded, {command.result, command.content_type, {}});
}

// All follow-ups are judged before anything changes: one that is refused refuses the settle, and
// the lease goes on.
Result<std::optional<CommandOutcome>> State::follow_up_refusal(const SettleCommand& command) {
  using Refusal = std::optional<CommandOutcome>;
  const auto refused = [](std::size_t number, CommandOutcome why) {
    why.message = "follow-up " + std::to_string(number) + ": " + why.message;
    return Refusal(std::move(why));
  };
  if (command.follow_ups.empty()) return Refusal();
  if (command.follow_ups.size() > kFollowUpsMax) {
    return Refusal(CommandOutcome{Code::invalid_argument,
                                  "more than " + std::to_string(kFollowUpsMax) + " follow-ups"});
  }
  std::map<std::string_view, std::uint64_t> fresh;  // per queue
  std::uint64_t fresh_in_all = 0;
  std::map<TaskId, std::uint64_t> digests;
  for (std::size_t i = 0; i < command.follow_ups.size(); ++i) {
    const std::string_view encoded = command.follow_ups[i].spec;
    Result<SpecView> spec = decode_spec(spec_unpacker_, encoded);
    if (!spec) return refused(i + 1, {spec.error().code, spec.error().message});
    if (Result<void> ok = check(*spec, register_.limits); !ok) {
      return refused(i + 1, {ok.error().code, ok.error().message});
    }
    if (auto refusal = refusal_beside_spec(command.follow_ups[i])) return refused(i + 1, *refusal);
    const std::uint64_t digest = digest_of(encoded);
    const TaskId id = spec->id;
    const std::string_view queue = spec->queue;
    const auto [twin, first] = digests.emplace(id, digest);
    if (!first && twin->second != digest) {
      return refused(i + 1, {Code::already_exists, "its id is that of another follow-up"});
    }
    Result<std::optional<CommandOutcome>> known = find_repeated(command.follow_ups[i], id);
    if (!known) return known.error();
    if (*known && (*known)->code != Code::ok) return refused(i + 1, **known);
    if (*known || !first) continue;
    std::uint64_t& in_queue = fresh[queue];
    if (!command.follow_ups[i].result) ++in_queue, ++fresh_in_all;
    if (auto full = queue_refusal(queue, in_queue, fresh_in_all)) {
      return refused(i + 1, *full);
    }
  }
  std::uint64_t more = 0;
  for (const auto& [queue, count] : fresh) more += queues_.find(queue) == nullptr ? 1 : 0;
  if (more > 1 && queues_.size() + more > register_.limits.queues_max) {
    return Refusal(CommandOutcome{Code::queue_full, "the follow-ups would make too many queues"});
  }
  return Refusal();
}

Result<void> State::submit_follow_ups(const SettleCommand& command) {
  for (const SubmitCommand& follow_up : command.follow_ups) {
    Result<SpecView> spec = decode_spec(spec_unpacker_, follow_up.spec);
    if (!spec) return spec.error();
    Result<std::optional<CommandOutcome>> known = find_repeated(follow_up, spec->id);
    if (!known) return known.error();
    if (*known) continue;
    create({*spec, follow_up, digest_of(follow_up.spec)});
  }
  return {};
}

// Not a success: the task waits for its next attempt, or has failed.
void State::end_attempt(Slot slot, const Ending& ending) {
  TaskRecord& task = tasks_[slot];
  record_attempt(slot, ending);
  task.more().error = ending.error;
  detach_lease(slot);
  if (!ending.retry || task.attempt >= task.max_attempts) {
    task.outcome = ending.outcome;
    finish(slot, TaskState::failed, {{}, {}, ending.error});
    return;
  }
  emit(EventKind::attempt_failed, slot, ending.error);
  schedule(slot, register_.now + ending.delay.value_or(backoff_of(task)));
}

// Given back: the attempt does not count, and the task is the next of its lane.
void State::release(Slot slot, std::optional<Duration> delay) {
  TaskRecord& task = tasks_[slot];
  detach_lease(slot);
  --task.attempt;
  emit(EventKind::released, slot);
  if (delay && *delay > Duration{0}) {
    schedule(slot, register_.now + *delay);
  } else {
    set_state(slot, TaskState::queued);
    offer(slot, true);
  }
}

void State::record_attempt(Slot slot, const Ending& ending) {
  TaskRecord& task = tasks_[slot];
  std::vector<AttemptRecord>& attempts = task.more().attempts;
  if (attempts.size() == kAttemptRecordsMax) attempts.erase(attempts.begin());
  attempts.push_back({task.attempt, ending.outcome, task.started, register_.now,
                      std::string(ending.error), std::string(ending.worker), task.cycle});
}

void State::detach_lease(Slot slot) {
  TaskRecord& task = tasks_[slot];
  if (task.pool == kNoPool) return;
  Pool& pool = pools_[task.pool];
  pool.leases.remove(tasks_, slot);
  --pool.lease_count;
  timers_.set(slot, kNever);
  drop_if_done(task.pool);
}

// Whole numbers only, so that it is the same on every engine (rules 1).
Duration State::backoff_of(const TaskRecord& task) const {
  const Backoff backoff = task.extras ? task.extras->backoff : Backoff{};
  const std::int64_t max = backoff.max.count();
  std::int64_t delay = std::min(backoff.initial.count(), max);
  for (std::uint32_t i = 1; i < task.attempt && delay < max && delay > 0; ++i) {
    // At most a year (3·10^10 ms) times 10^5, which fits.
    delay = std::min(delay * backoff.factor_permille / 1000, max);
    if (backoff.factor_permille == 1000) break;
  }
  std::string seed(task.id.view());
  Packer(seed).u64(task.cycle).u64(task.attempt);
  const auto span = static_cast<std::int64_t>(2 * backoff.jitter_permille + 1);
  const std::int64_t jitter =
      static_cast<std::int64_t>(digest_of(seed) % static_cast<std::uint64_t>(span)) -
      static_cast<std::int64_t>(backoff.jitter_permille);
  return Duration{delay + delay / 1000 * jitter + delay % 1000 * jitter / 1000};
}

void State::finish(Slot slot, TaskState state, const Ended& ended) {
  TaskRecord& task = tasks_[slot];
  set_state(slot, state);
  timers_.set(slot, kNever);
  --unfinished_;
  UnflushedBytes& bytes = bytes_of(slot);
  bytes.result = ended.result;
  bytes.content_type = ended.content_type;
  PartitionSum& partition = register_.partitions[partition_of(task)];
  ++partition.count;
  partition.ids.add(task.id);
  queues_[task.queue].used = register_.now;
  switch (state) {
    case TaskState::succeeded: emit(EventKind::succeeded, slot); break;
    case TaskState::failed: emit(EventKind::failed, slot, ended.error); break;
    case TaskState::cancelled: emit(EventKind::cancelled, slot, ended.error); break;
    default: emit(EventKind::expired, slot); break;
  }
  if (task.extras && !task.extras->reply_to.empty()) {
    create_reply(slot, ended.result, ended.content_type);
  }
}

}  // namespace jack

// How tasks come to be: submits, follow-ups, replies.
#include <algorithm>

#include "engine/format/pack.h"
#include "engine/state/state.h"

namespace jack {
namespace {

// The id of a reply follows from what it replies to, so that it is the same wherever it is made.
TaskId reply_id(const TaskRecord& task, Instant now) {
  std::string seed(task.id.view());
  seed.append(reinterpret_cast<const char*>(&task.cycle), sizeof task.cycle);
  const std::uint64_t high = digest_of(seed);
  return TaskId::from(WallTime{Duration{now.ms}}, high, digest_of(seed + "reply"));
}

}  // namespace

Result<CommandOutcome> State::apply(const SubmitCommand& command) {
  Result<SpecView> spec = decode_spec(spec_unpacker_, command.spec);
  if (!spec) return CommandOutcome{spec.error().code, std::move(spec).error().message};
  if (Result<void> ok = check(*spec, register_.limits); !ok) {
    return CommandOutcome{ok.error().code, std::move(ok).error().message};
  }
  if (auto refusal = refusal_beside_spec(command)) return *refusal;
  Result<std::optional<CommandOutcome>> known = find_repeated(command, spec->id);
  if (!known) return known.error();
  if (*known) return **known;
  const std::uint64_t more = command.result ? 0 : 1;
  if (auto refusal = queue_refusal(spec->queue, more, more)) return *refusal;
  create({*spec, command, digest_of(command.spec)});
  return CommandOutcome{};
}

// Of what a submit says beside the spec.
std::optional<CommandOutcome> State::refusal_beside_spec(const SubmitCommand& command) const {
  if (command.other_ids.size() > kOtherIdsMax) {
    return CommandOutcome{Code::invalid_argument,
                          "a submit may name " + std::to_string(kOtherIdsMax) + " other ids"};
  }
  if (Result<Annotations> noted = changed({}, command.annotations); !noted) {
    return CommandOutcome{noted.error().code, noted.error().message};
  }
  if (!command.result) return std::nullopt;
  return result_refusal(*command.result, command.content_type);
}

std::optional<CommandOutcome> State::result_refusal(std::string_view result,
                                                    std::string_view content_type) const {
  const Limits& limits = register_.limits;
  if (result.size() > limits.result_bytes_max) {
    return CommandOutcome{Code::payload_too_large,
                          "the result has " + std::to_string(result.size()) +
                              " bytes, the limit is " + std::to_string(limits.result_bytes_max)};
  }
  if (content_type.size() > kShortTextBytesMax || !is_plain_text(content_type)) {
    return CommandOutcome{Code::invalid_argument, "content_type must be at most " +
                                                      std::to_string(kShortTextBytesMax) +
                                                      " bytes of UTF-8 without control characters"};
  }
  return std::nullopt;
}

// Under its id, or under one of the others.
Result<std::optional<CommandOutcome>> State::find_repeated(const SubmitCommand& command,
                                                           const TaskId& id) {
  Result<std::optional<CommandOutcome>> known = find_submitted(id, digest_of(command.spec));
  if (!known || *known || command.other_ids.empty()) return known;
  // The id stands in the spec at one place, whatever else it says.
  std::string spec(command.spec);
  const std::size_t place = spec.find(id.view());
  for (const TaskId& other : command.other_ids) {
    if (find_slot(other) == kNoSlot && !known_.may_be_known(other)) continue;
    spec.replace(place, id.bytes.size(), other.view());
    Result<std::optional<CommandOutcome>> repeated = find_submitted(other, digest_of(spec));
    if (!repeated) return repeated;
    const bool forgotten = *repeated && (*repeated)->code == Code::invalid_argument;
    if (*repeated && !forgotten) return repeated;
  }
  return std::optional<CommandOutcome>();
}

Result<std::optional<CommandOutcome>> State::find_submitted(const TaskId& id,
                                                            std::uint64_t digest) {
  using Found = std::optional<CommandOutcome>;
  const auto answer = [&](std::uint64_t known) {
    if (known == digest) return CommandOutcome{Code::ok, {}, true};
    return CommandOutcome{Code::already_exists,
                          "task " + to_string(id) + " exists with another spec"};
  };
  if (const Slot slot = find_slot(id); slot != kNoSlot) {
    return Found(answer(tasks_[slot].spec_digest));
  }
  if (known_.may_be_known(id)) {
    Result<std::optional<StoredTask>> stored = archive_.find(id);
    if (!stored) return stored.error();
    if (*stored && register_.partitions.contains((*stored)->partition)) {
      Result<DecodedTask> task = decode_task(spec_unpacker_, (*stored)->status);
      if (!task) return task.error();
      return Found(answer(task->record.spec_digest));
    }
  }
  // Judged by what was really forgotten, not by how long ago it is: journal time may be ahead of
  // the clocks that make ids, and the window may have been another.
  if (register_.forgotten.has(id)) {
    return Found(CommandOutcome{
        Code::invalid_argument,
        "the id was made at a time of which ids have been forgotten, so it could be a repeat; make "
        "a new id (or is the submitter's clock wrong?)"});
  }
  return Found();
}

std::optional<CommandOutcome> State::queue_refusal(std::string_view name, std::uint64_t in_queue,
                                                   std::uint64_t in_all) const {
  const Limits& limits = register_.limits;
  if (unfinished_ + in_all > limits.unfinished_max) {
    return CommandOutcome{Code::queue_full, "the engine holds " + std::to_string(unfinished_) +
                                                " unfinished tasks, the limit is " +
                                                std::to_string(limits.unfinished_max)};
  }
  const Queue* queue = queues_.find(name);
  const std::uint64_t unfinished = queue == nullptr ? 0 : queue->counts.unfinished();
  if (unfinished + in_queue > limits.unfinished_per_queue_max) {
    return CommandOutcome{Code::queue_full, "queue " + std::string(name) + " holds " +
                                                std::to_string(unfinished) +
                                                " unfinished tasks, the limit is " +
                                                std::to_string(limits.unfinished_per_queue_max)};
  }
  if (queue == nullptr && queues_.size() >= limits.queues_max) {
    return CommandOutcome{Code::queue_full, "there are " + std::to_string(queues_.size()) +
                                                " queues, the limit is " +
                                                std::to_string(limits.queues_max)};
  }
  return std::nullopt;
}

// The spec is checked, the id is free.
void State::create(const NewTask& made) {
  const SpecView& spec = made.spec;
  const SubmitCommand& command = made.command;
  Queue* queue = queues_.find(spec.queue);
  if (queue == nullptr) queue = &queues_.create(spec.queue);

  const Slot slot = tasks_.insert(spec.id);
  TaskRecord& task = tasks_[slot];
  bytes_of(slot).spec = command.spec;
  task.serial = register_.next_serial++;
  numbered_.push_back(spec.id);
  task.spec_digest = made.digest;
  task.submitted = task.changed = register_.now;
  task.queue = queue->number;
  task.priority = spec.priority;
  task.max_attempts = spec.max_attempts;
  task.timeout = spec.timeout;
  if (!command.annotations.empty()) {
    if (Result<Annotations> noted = changed({}, command.annotations)) {
      task.more().annotations = *std::move(noted);
    }
  }
  if (spec.backoff != Backoff{}) task.more().backoff = spec.backoff;
  if (!spec.reply_to.empty()) {
    task.more().reply_to = spec.reply_to;
    Packer headers(task.extras->headers);
    for (Fields fields = spec.headers; fields.more(); ++task.extras->header_count) {
      headers.text(fields.text());
      headers.text(fields.text());
    }
  }
  task.expires = command.expires.value_or(
      spec.expires_in > Duration{0} ? register_.now + spec.expires_in : kNever);
  const Instant due = command.not_before.value_or(register_.now + spec.delay);

  ++unfinished_;
  queue->used = register_.now;
  const bool waits = due > register_.now && !command.result;
  task.state = waits ? TaskState::scheduled : TaskState::queued;
  ++queue->counts.of(task.state);
  touch(slot);
  emit(EventKind::submitted, slot);
  if (command.result) {
    task.attempt = 1;
    task.started = register_.now;
    task.outcome = Outcome::succeeded;
    task.settled_digest = settle_digest_of(command);
    finish(slot, TaskState::succeeded, {*command.result, command.content_type, {}});
  } else if (waits) {
    task.due = due;
    timers_.set(slot, std::min(due, task.expires));
  } else {
    offer(slot, false);
  }
}

// The terminal outcome, as a task for the queue that asked for it. Queue limits do not apply: the
// work is done, and refusing its reply would only make it be done again.
void State::create_reply(Slot slot, std::string_view result, std::string_view content_type) {
  const TaskRecord& task = tasks_[slot];
  const TaskExtras& extras = *task.extras;
  const bool succeeded = task.state == TaskState::succeeded;
  std::string encoded;
  Packer packer(encoded);
  const TaskId id = reply_id(task, register_.now);
  packer.array(4).id(id).text(extras.reply_to).bytes(succeeded ? result : extras.error);

  const std::string_view type = succeeded ? content_type : "text/plain";
  packer.map(type.empty() ? 4 : 5);
  packer.u64(static_cast<std::uint64_t>(SpecField::type)).text("reply");
  if (!type.empty()) packer.u64(static_cast<std::uint64_t>(SpecField::content_type)).text(type);
  packer.u64(static_cast<std::uint64_t>(SpecField::parent)).id(task.id);
  packer.u64(static_cast<std::uint64_t>(SpecField::from)).text(queues_[task.queue].name);
  // The outcome goes in its place among the sorted headers of the task.
  packer.u64(static_cast<std::uint64_t>(SpecField::headers));
  std::map<std::string, std::string> headers;
  Unpacker unpacker;
  std::string wrapped;
  Packer(wrapped).array(2 * extras.header_count).packed(extras.headers);
  if (Result<Fields> fields = unpacker.unpack(wrapped, wrapped.size())) {
    while (fields->more()) {
      const std::string_view name = fields->text();
      headers.insert_or_assign(std::string(name), std::string(fields->text()));
    }
  }
  headers.insert_or_assign("jack-outcome", std::string(name_of(task.state)));
  packer.map(headers.size());
  for (const auto& [name, value] : headers) packer.text(name).text(value);

  const std::string_view kept = keep(std::move(encoded));
  Unpacker reply_unpacker;
  Result<SpecView> spec = decode_spec(reply_unpacker, kept);
  if (!spec || find_slot(id) != kNoSlot) return;  // the reply of this cycle is there already
  create({*spec, SubmitCommand{.spec = kept}, digest_of(kept)});
}

}  // namespace jack

#include "engine/format/command.h"

#include "engine/format/pack.h"

namespace jack {
namespace {

// The limits as the journal numbers them. Never renumber, never reuse a retired value.
struct LimitField {
  std::uint8_t number;
  std::uint64_t (*get)(const Limits&);
  void (*set)(Limits&, std::uint64_t);
};

template <auto Member>
constexpr LimitField limit(std::uint8_t number) {
  using Value = std::remove_cvref_t<decltype(std::declval<Limits>().*Member)>;
  return {number,
          [](const Limits& limits) -> std::uint64_t {
            if constexpr (std::is_same_v<Value, Duration>) {
              return static_cast<std::uint64_t>((limits.*Member).count());
            } else {
              return limits.*Member;
            }
          },
          [](Limits& limits, std::uint64_t value) {
            if constexpr (std::is_same_v<Value, Duration>) {
              limits.*Member = Duration{static_cast<std::int64_t>(value)};
            } else {
              limits.*Member = static_cast<Value>(value);
            }
          }};
}

constexpr LimitField kLimitFields[] = {
    limit<&Limits::payload_bytes_max>(1),
    limit<&Limits::result_bytes_max>(2),
    limit<&Limits::error_bytes_max>(3),
    limit<&Limits::output_bytes_max>(4),
    limit<&Limits::unfinished_per_queue_max>(5),
    limit<&Limits::unfinished_max>(6),
    limit<&Limits::queues_max>(7),
    limit<&Limits::attempts_max>(8),
    limit<&Limits::delay_max>(9),
    limit<&Limits::retention>(10),
    limit<&Limits::dedup_window>(11),
    limit<&Limits::timers_per_tick_max>(12),
    limit<&Limits::engine_liveness>(13),
    limit<&Limits::heartbeat_interval>(14),
    limit<&Limits::watch_retention>(15),
    limit<&Limits::absence_max>(16),
};

// Larger values would not fit the types behind them, and mean nothing.
constexpr std::uint64_t kLimitValueMax = 1ull << 40;

Packer& begin(Packer& packer, CommandKind kind, std::size_t fields) {
  return packer.array(fields + 1).u64(static_cast<std::uint64_t>(kind));
}

template <typename T>
void optional_ms(Packer& packer, const std::optional<T>& value) {
  if (!value) {
    packer.nil();
  } else if constexpr (std::is_same_v<T, Instant>) {
    packer.i64(value->ms);
  } else {
    packer.i64(value->count());
  }
}

// The three fields that each submit has, and those of the few that need more.
std::size_t fields_of(const SubmitCommand& command) {
  if (!command.annotations.empty()) return 7;
  return command.result || !command.other_ids.empty() ? 6 : 3;
}

void pack_submit(Packer& packer, const SubmitCommand& command) {
  packer.bytes(command.spec);
  optional_ms(packer, command.not_before);
  optional_ms(packer, command.expires);
  if (fields_of(command) == 3) return;
  command.result ? packer.bytes(*command.result) : packer.nil();
  packer.text(command.content_type).array(command.other_ids.size());
  for (const TaskId& id : command.other_ids) packer.id(id);
  if (!command.annotations.empty()) pack(packer, command.annotations);
}

std::optional<Instant> optional_instant(Fields& fields) {
  if (fields.nil()) return std::nullopt;
  return Instant{fields.i64()};
}

std::optional<Duration> optional_duration(Fields& fields) {
  if (fields.nil()) return std::nullopt;
  return Duration{fields.i64()};
}

PoolNumber pool_number(Fields& fields) { return static_cast<PoolNumber>(fields.u64(UINT32_MAX)); }

SubmitCommand decode_submit(Fields& fields) {
  SubmitCommand command;
  command.spec = fields.bytes();
  command.not_before = optional_instant(fields);
  command.expires = optional_instant(fields);
  if (!fields.more()) return command;
  if (!fields.nil()) command.result = fields.bytes();
  command.content_type = fields.text();
  for (Fields ids = fields.array(); ids.more();) {
    command.other_ids.push_back(ids.id());
    if (ids.failed()) fields.fail();
  }
  if (fields.more()) command.annotations = read_annotation_changes(fields);
  return command;
}

SettleCommand decode_settle(Fields& fields) {
  SettleCommand command;
  command.task = fields.id();
  command.token = {fields.u64()};
  command.outcome = static_cast<Outcome>(fields.u64(UINT8_MAX));
  command.pool = pool_number(fields);
  command.again = fields.boolean();
  command.worker = fields.text();
  switch (command.outcome) {
    case Outcome::succeeded:
      command.result = fields.bytes();
      command.content_type = fields.text();
      for (Fields follow_ups = fields.array(); follow_ups.more();) {
        Fields follow_up = follow_ups.array();
        command.follow_ups.push_back(decode_submit(follow_up));
        if (follow_up.failed()) fields.fail();
      }
      if (fields.more()) command.changes = read_annotation_changes(fields);
      break;
    case Outcome::failed:
      command.error = fields.text();
      command.retry = fields.boolean();
      command.delay = optional_duration(fields);
      break;
    case Outcome::released: command.delay = optional_duration(fields); break;
    case Outcome::lost: command.error = fields.text(); break;
    default: fields.fail(); break;  // the other outcomes follow from the state, nobody says them
  }
  return command;
}

OpenPoolCommand decode_open_pool(Fields& fields) {
  OpenPoolCommand command;
  command.pool = pool_number(fields);
  command.remote = fields.boolean();
  command.lease = Duration{fields.i64()};
  for (Fields queues = fields.array(); queues.more();) {
    command.queues.push_back(queues.text());
    if (queues.failed()) fields.fail();
  }
  return command;
}

WantCommand decode_want(Fields& fields) {
  WantCommand command;
  command.pool = pool_number(fields);
  command.delta = fields.i64();
  return command;
}

CancelCommand decode_cancel(Fields& fields) {
  CancelCommand command;
  command.task = fields.id();
  command.reason = fields.text();
  return command;
}

ProgressCommand decode_progress(Fields& fields) {
  ProgressCommand command;
  command.task = fields.id();
  command.token = {fields.u64()};
  command.permille = static_cast<std::uint32_t>(fields.u64(1000));
  command.note = fields.text();
  return command;
}

OutputCommand decode_output(Fields& fields) {
  OutputCommand command;
  command.task = fields.id();
  command.token = {fields.u64()};
  command.bytes = fields.bytes();
  return command;
}

PauseCommand decode_pause(Fields& fields) {
  PauseCommand command;
  command.queue = fields.text();
  command.paused = fields.boolean();
  return command;
}

JoinCommand decode_join(Fields& fields) {
  JoinCommand command;
  command.rules_oldest = static_cast<std::uint32_t>(fields.u64(UINT32_MAX));
  command.rules_newest = static_cast<std::uint32_t>(fields.u64(UINT32_MAX));
  command.clock = optional_instant(fields);
  return command;
}

SetLimitsCommand decode_set_limits(Fields& fields, const Limits& limits) {
  SetLimitsCommand command{limits};
  if (!decode_limits(fields.map(), command.limits)) fields.fail();
  return command;
}

ResumeCommand decode_resume(Fields& fields) {
  ResumeCommand command;
  command.task = fields.id();
  command.token = {fields.u64()};
  command.pool = pool_number(fields);
  return command;
}

TakeCommand decode_take(Fields& fields) {
  TakeCommand command;
  command.task = fields.id();
  command.pool = pool_number(fields);
  return command;
}

AnnotateCommand decode_annotate(Fields& fields) {
  AnnotateCommand command;
  command.task = fields.id();
  command.changes = read_annotation_changes(fields);
  return command;
}

std::optional<Command> decode_kind(CommandKind kind, Fields& fields, const Limits& limits) {
  switch (kind) {
    case CommandKind::submit: return decode_submit(fields);
    case CommandKind::settle: return decode_settle(fields);
    case CommandKind::want: return decode_want(fields);
    case CommandKind::open_pool: return decode_open_pool(fields);
    case CommandKind::close_pool: return ClosePoolCommand{pool_number(fields)};
    case CommandKind::cancel: return decode_cancel(fields);
    case CommandKind::retry: return RetryCommand{fields.id()};
    case CommandKind::progress: return decode_progress(fields);
    case CommandKind::output: return decode_output(fields);
    case CommandKind::pause: return decode_pause(fields);
    case CommandKind::tick: return TickCommand{};
    case CommandKind::join: return decode_join(fields);
    case CommandKind::leave: return LeaveCommand{};
    case CommandKind::set_limits: return decode_set_limits(fields, limits);
    case CommandKind::resume: return decode_resume(fields);
    case CommandKind::take: return decode_take(fields);
    case CommandKind::annotate: return decode_annotate(fields);
    case CommandKind::remove: return RemoveCommand{fields.id()};
    case CommandKind::alive: return AliveCommand{fields.u64()};
  }
  return std::nullopt;
}

}  // namespace

void encode(const SubmitCommand& command, std::string& out) {
  Packer packer(out);
  begin(packer, CommandKind::submit, fields_of(command));
  pack_submit(packer, command);
}

void encode(const SettleCommand& command, std::string& out) {
  Packer packer(out);
  begin(packer, CommandKind::settle,
        command.outcome == Outcome::failed      ? 9
        : command.outcome != Outcome::succeeded ? 7
        : command.changes.empty()               ? 9
                                                : 10);
  packer.id(command.task).u64(command.token.value);
  packer.u64(static_cast<std::uint64_t>(command.outcome)).u64(command.pool).boolean(command.again);
  packer.text(command.worker);
  switch (command.outcome) {
    case Outcome::succeeded:
      packer.bytes(command.result).text(command.content_type);
      packer.array(command.follow_ups.size());
      for (const SubmitCommand& follow_up : command.follow_ups) {
        packer.array(fields_of(follow_up));
        pack_submit(packer, follow_up);
      }
      if (!command.changes.empty()) pack(packer, command.changes);
      break;
    case Outcome::failed:
      packer.text(command.error).boolean(command.retry);
      optional_ms(packer, command.delay);
      break;
    case Outcome::released: optional_ms(packer, command.delay); break;
    default: packer.text(command.error); break;
  }
}

void encode(const WantCommand& command, std::string& out) {
  Packer packer(out);
  begin(packer, CommandKind::want, 2).u64(command.pool).i64(command.delta);
}

void encode(const OpenPoolCommand& command, std::string& out) {
  Packer packer(out);
  begin(packer, CommandKind::open_pool, 4);
  packer.u64(command.pool).boolean(command.remote).i64(command.lease.count());
  packer.array(command.queues.size());
  for (const std::string_view queue : command.queues) packer.text(queue);
}

void encode(const ClosePoolCommand& command, std::string& out) {
  Packer packer(out);
  begin(packer, CommandKind::close_pool, 1).u64(command.pool);
}

void encode(const CancelCommand& command, std::string& out) {
  Packer packer(out);
  begin(packer, CommandKind::cancel, 2).id(command.task).text(command.reason);
}

void encode(const RetryCommand& command, std::string& out) {
  Packer packer(out);
  begin(packer, CommandKind::retry, 1).id(command.task);
}

void encode(const ProgressCommand& command, std::string& out) {
  Packer packer(out);
  begin(packer, CommandKind::progress, 4)
      .id(command.task)
      .u64(command.token.value)
      .u64(command.permille)
      .text(command.note);
}

void encode(const OutputCommand& command, std::string& out) {
  Packer packer(out);
  begin(packer, CommandKind::output, 3)
      .id(command.task)
      .u64(command.token.value)
      .bytes(command.bytes);
}

void encode(const PauseCommand& command, std::string& out) {
  Packer packer(out);
  begin(packer, CommandKind::pause, 2).text(command.queue).boolean(command.paused);
}

void encode(const TickCommand&, std::string& out) {
  Packer packer(out);
  begin(packer, CommandKind::tick, 0);
}

void encode(const JoinCommand& command, std::string& out) {
  Packer packer(out);
  begin(packer, CommandKind::join, 3);
  packer.u64(command.rules_oldest).u64(command.rules_newest);
  optional_ms(packer, command.clock);
}

void encode(const LeaveCommand&, std::string& out) {
  Packer packer(out);
  begin(packer, CommandKind::leave, 0);
}

void encode(const SetLimitsCommand& command, std::string& out) {
  Packer packer(out);
  begin(packer, CommandKind::set_limits, 1);
  encode_limits(command.limits, out);
}

void encode(const ResumeCommand& command, std::string& out) {
  Packer packer(out);
  begin(packer, CommandKind::resume, 3).id(command.task).u64(command.token.value).u64(command.pool);
}

void encode(const TakeCommand& command, std::string& out) {
  Packer packer(out);
  begin(packer, CommandKind::take, 2).id(command.task).u64(command.pool);
}

void encode(const AnnotateCommand& command, std::string& out) {
  Packer packer(out);
  begin(packer, CommandKind::annotate, 2).id(command.task);
  pack(packer, command.changes);
}

void encode(const RemoveCommand& command, std::string& out) {
  Packer packer(out);
  begin(packer, CommandKind::remove, 1).id(command.task);
}

void encode(const AliveCommand& command, std::string& out) {
  Packer packer(out);
  begin(packer, CommandKind::alive, 1).u64(command.flushed);
}

Result<Command> decode_command(Fields fields, const Limits& limits) {
  const std::uint64_t kind = fields.u64(UINT8_MAX);
  std::optional<Command> command = decode_kind(static_cast<CommandKind>(kind), fields, limits);
  if (fields.failed()) {
    return Error{Code::invalid_argument,
                 "a command of kind " + std::to_string(kind) + " is malformed"};
  }
  if (!command) {
    return Error{Code::unsupported, "unknown command of kind " + std::to_string(kind)};
  }
  return *std::move(command);
}

void encode_limits(const Limits& limits, std::string& out) {
  Packer packer(out);
  packer.map(std::size(kLimitFields));
  for (const LimitField& field : kLimitFields) packer.u64(field.number).u64(field.get(limits));
}

bool decode_limits(Fields map, Limits& limits) {
  while (map.more()) {
    const std::uint64_t number = map.u64();
    const std::uint64_t value = map.u64(kLimitValueMax);
    if (map.failed()) return false;
    for (const LimitField& field : kLimitFields) {
      if (field.number != number) continue;
      field.set(limits, value);
      if (field.get(limits) != value) return false;  // more than its type holds
    }
  }
  return !map.failed();
}

}  // namespace jack

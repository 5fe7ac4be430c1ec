#include "engine/format/status.h"

#include "engine/format/pack.h"

namespace jack {
namespace {

void pack_optional(Packer& out, const std::optional<Instant>& at) {
  at ? out.i64(at->ms) : out.nil();
}

std::optional<Instant> read_optional(Fields& fields) {
  if (fields.nil()) return std::nullopt;
  return Instant{fields.i64()};
}

std::uint32_t read_u32(Fields& fields, std::uint32_t max = UINT32_MAX) {
  return static_cast<std::uint32_t>(fields.u64(max));
}

void pack(Packer& out, const AttemptRecord& record) {
  out.array(7).u64(record.attempt).u64(static_cast<std::uint64_t>(record.outcome));
  out.i64(record.started.ms).i64(record.ended.ms).text(record.error).text(record.worker);
  out.u64(record.cycle);
}

AttemptRecord read_attempt(Fields& fields) {
  AttemptRecord record;
  record.attempt = read_u32(fields);
  record.outcome = static_cast<Outcome>(fields.u64(UINT8_MAX));
  record.started = Instant{fields.i64()};
  record.ended = Instant{fields.i64()};
  record.error = fields.text();
  record.worker = fields.text();
  record.cycle = read_u32(fields);
  return record;
}

std::vector<AttemptRecord> read_attempts(Fields& fields) {
  std::vector<AttemptRecord> records;
  Fields list = fields.array();
  while (list.more()) {
    Fields record = list.array();
    records.push_back(read_attempt(record));
    if (record.failed()) list.fail();
    if (list.failed()) fields.fail();
  }
  return records;
}

}  // namespace

void encode(const TaskStatus& status, std::string& out) {
  Packer packer(out);
  packer.array(16).u64(static_cast<std::uint64_t>(status.state)).u64(status.serial);
  packer.u64(status.attempt).u64(status.cycle).u64(status.token.value);
  packer.i64(status.submitted.ms).i64(status.changed.ms);
  pack_optional(packer, status.due);
  pack_optional(packer, status.expires);
  packer.u64(status.progress_permille).text(status.progress_note).u64(status.output_bytes);
  packer.text(status.error).array(status.attempts.size());
  for (const AttemptRecord& record : status.attempts) pack(packer, record);
  packer.text(status.worker).map(status.annotations.size());
  for (const auto& [name, value] : status.annotations) packer.text(name).bytes(value);
}

Result<TaskStatus> decode_status(Unpacker& unpacker, std::string_view bytes) {
  const Error malformed{Code::invalid_argument, "not a task's status"};
  Result<Fields> unpacked = unpacker.unpack(bytes);
  if (!unpacked) return malformed;
  Fields& fields = *unpacked;
  TaskStatus status;
  status.state = static_cast<TaskState>(fields.u64(static_cast<std::uint64_t>(TaskState::expired)));
  status.serial = fields.u64();
  status.attempt = read_u32(fields);
  status.cycle = read_u32(fields);
  status.token = LeaseToken{fields.u64()};
  status.submitted = Instant{fields.i64()};
  status.changed = Instant{fields.i64()};
  status.due = read_optional(fields);
  status.expires = read_optional(fields);
  status.progress_permille = read_u32(fields, 1000);
  status.progress_note = fields.text();
  status.output_bytes = fields.u64();
  status.error = fields.text();
  status.attempts = read_attempts(fields);
  status.worker = fields.text();
  for (Fields annotations = fields.map(); annotations.more();) {
    const std::string_view name = annotations.text();
    status.annotations.insert_or_assign(std::string(name), std::string(annotations.bytes()));
    if (annotations.failed()) fields.fail();
  }
  if (fields.failed()) return malformed;
  return status;
}

void encode(const EventView& event, std::string& out) {
  Packer packer(out);
  packer.array(10).u64(event.position.entry).u64(event.position.ordinal);
  packer.u64(static_cast<std::uint64_t>(event.kind)).i64(event.at.ms);
  packer.bytes(event.task.empty() ? std::string_view() : event.task.view()).text(event.queue);
  packer.u64(event.attempt).bytes(event.text).u64(event.progress_permille);
  packer.u64(event.cycle);
}

Result<EventView> decode_event(Unpacker& unpacker, std::string_view bytes) {
  const Error malformed{Code::invalid_argument, "not an event"};
  Result<Fields> unpacked = unpacker.unpack(bytes);
  if (!unpacked) return malformed;
  Fields& fields = *unpacked;
  EventView event;
  event.position.entry = fields.u64();
  event.position.ordinal = read_u32(fields);
  event.kind = static_cast<EventKind>(fields.u64(UINT8_MAX));
  event.at = Instant{fields.i64()};
  const std::string_view task = fields.bytes();
  const std::optional<TaskId> id = TaskId::from_bytes(task);
  if (!task.empty() && !id) fields.fail();
  event.task = id.value_or(TaskId{});
  event.queue = fields.text();
  event.attempt = read_u32(fields);
  event.text = fields.bytes();
  event.progress_permille = read_u32(fields, 1000);
  event.cycle = read_u32(fields);
  if (fields.failed()) return malformed;
  return event;
}

Event to_event(const EventView& view) {
  Event event;
  event.position = view.position;
  event.kind = view.kind;
  event.at = view.at;
  event.task = view.task;
  event.queue = view.queue;
  event.attempt = view.attempt;
  event.text = view.text;
  event.progress_permille = view.progress_permille;
  event.cycle = view.cycle;
  return event;
}

}  // namespace jack

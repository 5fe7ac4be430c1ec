#include "engine/state/stored.h"

#include <cstring>

#include "engine/format/pack.h"
#include "engine/format/unpack.h"

namespace jack {
namespace {

std::string_view view(const Id128& id) {
  return {reinterpret_cast<const char*>(id.data()), id.size()};
}

Id128 read_id128(Fields& fields) {
  Id128 id{};
  const std::string_view bytes = fields.bytes();
  if (bytes.size() == id.size()) {
    std::memcpy(id.data(), bytes.data(), id.size());
  } else {
    fields.fail();
  }
  return id;
}

std::uint32_t read_u32(Fields& fields) {
  return static_cast<std::uint32_t>(fields.u64(UINT32_MAX));
}
Instant read_instant(Fields& fields) { return Instant{fields.i64()}; }
Duration read_duration(Fields& fields) { return Duration{fields.i64()}; }

template <typename Enum>
Enum read_enum(Fields& fields, Enum max) {
  return static_cast<Enum>(fields.u64(static_cast<std::uint64_t>(max)));
}

// Opens a stored row: an array whose first field is a format that this build reads.
Result<Fields> open_row(Unpacker& unpacker, std::string_view bytes, std::string_view what) {
  Result<Fields> fields = unpacker.unpack(bytes, bytes.size());
  const std::uint64_t format = fields ? fields->u64() : 0;
  if (!fields || fields->failed() || format == 0) {
    return Error{Code::corruption, "a stored " + std::string(what) + " is damaged"};
  }
  if (format > kStoredFormat) {
    return Error{Code::unsupported, "a stored " + std::string(what) + " has format " +
                                        std::to_string(format) + ", this engine reads up to " +
                                        std::to_string(kStoredFormat) + "; use a newer version"};
  }
  return fields;
}

void encode_attempt(const AttemptRecord& attempt, Packer& packer) {
  packer.array(7).u64(attempt.attempt).u64(static_cast<std::uint64_t>(attempt.outcome));
  packer.i64(attempt.started.ms).i64(attempt.ended.ms).bytes(attempt.error).text(attempt.worker);
  packer.u64(attempt.cycle);
}

AttemptRecord decode_attempt(Fields fields, bool& failed) {
  AttemptRecord attempt;
  attempt.attempt = read_u32(fields);
  attempt.outcome = read_enum(fields, Outcome::cancelled);
  attempt.started = read_instant(fields);
  attempt.ended = read_instant(fields);
  attempt.error = fields.bytes();
  attempt.worker = fields.text();
  attempt.cycle = read_u32(fields);
  failed |= fields.failed();
  return attempt;
}

void encode_extras(const TaskExtras& extras, Packer& packer) {
  packer.array(11).text(extras.reply_to).u64(extras.header_count).bytes(extras.headers);
  packer.array(4).i64(extras.backoff.initial.count()).u64(extras.backoff.factor_permille);
  packer.i64(extras.backoff.max.count()).u64(extras.backoff.jitter_permille);
  packer.bytes(extras.error).text(extras.progress_note).u64(extras.progress_permille);
  packer.u64(extras.output_bytes).array(extras.attempts.size());
  for (const AttemptRecord& attempt : extras.attempts) encode_attempt(attempt, packer);
  packer.map(extras.annotations.size());
  for (const auto& [name, value] : extras.annotations) packer.text(name).bytes(value);
  packer.boolean(extras.removed);
}

std::unique_ptr<TaskExtras> decode_extras(Fields fields, bool& failed) {
  auto extras = std::make_unique<TaskExtras>();
  extras->reply_to = fields.text();
  extras->header_count = read_u32(fields);
  extras->headers = fields.bytes();
  Fields backoff = fields.array();
  extras->backoff.initial = read_duration(backoff);
  extras->backoff.factor_permille = read_u32(backoff);
  extras->backoff.max = read_duration(backoff);
  extras->backoff.jitter_permille = read_u32(backoff);
  extras->error = fields.bytes();
  extras->progress_note = fields.text();
  extras->progress_permille = read_u32(fields);
  extras->output_bytes = fields.u64();
  for (Fields attempts = fields.array(); attempts.more() && !failed;) {
    extras->attempts.push_back(decode_attempt(attempts.array(), failed));
    failed |= attempts.failed();
  }
  for (Fields annotations = fields.map(); annotations.more();) {
    const std::string_view name = annotations.text();
    extras->annotations.insert_or_assign(std::string(name), std::string(annotations.bytes()));
    failed |= annotations.failed();
  }
  extras->removed = fields.boolean();
  failed |= fields.failed() || backoff.failed();
  return extras;
}

void encode_member(const Member& member, Packer& packer) {
  packer.array(7).bytes(view(member.engine)).bytes(view(member.incarnation));
  packer.u64(member.last_number).i64(member.last_seen.ms);
  packer.u64(member.rules_oldest).u64(member.rules_newest).u64(member.flushed);
}

Member decode_member(Fields fields, bool& failed) {
  Member member;
  member.engine = read_id128(fields);
  member.incarnation = read_id128(fields);
  member.last_number = fields.u64();
  member.last_seen = {fields.i64()};
  member.rules_oldest = read_u32(fields);
  member.rules_newest = read_u32(fields);
  member.flushed = fields.u64();
  failed |= fields.failed();
  return member;
}

void encode_times(const IdTimes& times, Packer& packer) {
  packer.array(2 * times.stretches().size());
  for (const IdTimes::Stretch& stretch : times.stretches()) {
    packer.i64(stretch.from_ms).i64(stretch.to_ms);
  }
}

IdTimes decode_times(Fields fields, bool& failed) {
  IdTimes times;
  while (fields.more()) {
    const std::int64_t from_ms = fields.i64();
    const std::int64_t to_ms = fields.i64();
    if (!fields.failed()) times.add(IdTimes::Stretch{from_ms, to_ms});
  }
  failed |= fields.failed();
  return times;
}

void encode_pool(PoolSlot slot, const Pool& pool, Packer& packer) {
  packer.array(10).u64(slot).bytes(view(pool.incarnation)).u64(pool.number).boolean(pool.remote);
  packer.i64(pool.lease.count()).array(pool.queues.size());
  for (const std::uint32_t queue : pool.queues) packer.u64(queue);
  packer.u64(pool.turn).u64(pool.appetite).boolean(pool.open);
  pool.leases_end ? packer.i64(pool.leases_end->ms) : packer.nil();
}

void decode_pool(Fields fields, Pools& pools, bool& failed) {
  const PoolSlot slot = static_cast<PoolSlot>(fields.u64(1u << 24));
  failed |= fields.failed();
  if (failed) return;
  Pool& pool = pools.restore(slot);
  pool.incarnation = read_id128(fields);
  pool.number = read_u32(fields);
  pool.remote = fields.boolean();
  pool.lease = read_duration(fields);
  for (Fields queues = fields.array(); queues.more();) {
    pool.queues.push_back(read_u32(queues));
    failed |= queues.failed();
  }
  pool.turn = read_u32(fields);
  pool.appetite = fields.u64();
  pool.open = fields.boolean();
  if (!fields.nil()) pool.leases_end = LivenessTime{fields.i64()};
  failed |= fields.failed();
}

}  // namespace

void encode_task(const TaskRecord& task, const UnflushedBytes* bytes, std::string& out) {
  Packer packer(out);
  packer.array(24).u64(kStoredFormat).u64(task.queue).u64(static_cast<std::uint64_t>(task.state));
  packer.u64(static_cast<std::uint64_t>(task.priority)).i64(task.order).u64(task.serial);
  packer.u64(task.token.value).u64(task.settled_token.value).u64(task.settled_digest);
  packer.u64(task.spec_digest).i64(task.submitted.ms).i64(task.changed.ms).i64(task.started.ms);
  packer.i64(task.due.ms).i64(task.expires.ms).i64(task.timeout.count()).u64(task.pool);
  packer.u64(task.attempt).u64(task.max_attempts).u64(task.cycle);
  packer.u64(static_cast<std::uint64_t>(task.outcome));
  const bool finished = is_terminal(task.state) && bytes != nullptr;
  packer.text(finished ? bytes->content_type : std::string_view());
  packer.text(finished ? bytes->worker : std::string_view());
  task.extras ? encode_extras(*task.extras, packer) : void(packer.nil());
}

Result<DecodedTask> decode_task(Unpacker& unpacker, std::string_view bytes) {
  Result<Fields> row = open_row(unpacker, bytes, "task");
  if (!row) return row.error();
  Fields& fields = *row;
  DecodedTask decoded;
  TaskRecord& task = decoded.record;
  task.queue = read_u32(fields);
  task.state = read_enum(fields, TaskState::expired);
  task.priority = read_enum(fields, Priority::urgent);
  task.order = fields.i64();
  task.serial = fields.u64();
  task.token = {fields.u64()};
  task.settled_token = {fields.u64()};
  task.settled_digest = fields.u64();
  task.spec_digest = fields.u64();
  task.submitted = read_instant(fields);
  task.changed = read_instant(fields);
  task.started = read_instant(fields);
  task.due = read_instant(fields);
  task.expires = read_instant(fields);
  task.timeout = read_duration(fields);
  task.pool = read_u32(fields);
  task.attempt = read_u32(fields);
  task.max_attempts = read_u32(fields);
  task.cycle = read_u32(fields);
  task.outcome = read_enum(fields, Outcome::cancelled);
  decoded.content_type = fields.text();
  decoded.worker = fields.text();
  bool failed = false;
  if (!fields.nil()) task.extras = decode_extras(fields.array(), failed);
  if (failed || fields.failed()) return Error{Code::corruption, "a stored task is damaged"};
  return decoded;
}

void encode_queue(const Queue& queue, std::string& out) {
  Packer packer(out);
  packer.array(11).u64(kStoredFormat).boolean(queue.paused).i64(queue.used.ms);
  const QueueCounts& counts = queue.counts;
  packer.u64(counts.scheduled).u64(counts.queued).u64(counts.running).u64(counts.succeeded);
  packer.u64(counts.failed).u64(counts.cancelled).u64(counts.expired);
  packer.array(queue.hungry.size());
  for (const PoolSlot pool : queue.hungry) packer.u64(pool);
}

Result<void> decode_queue(std::string_view bytes, Queue& queue) {
  Unpacker unpacker;
  Result<Fields> row = open_row(unpacker, bytes, "queue");
  if (!row) return row.error();
  Fields& fields = *row;
  queue.paused = fields.boolean();
  queue.used = read_instant(fields);
  for (std::uint64_t* count : {&queue.counts.scheduled, &queue.counts.queued, &queue.counts.running,
                               &queue.counts.succeeded, &queue.counts.failed,
                               &queue.counts.cancelled, &queue.counts.expired}) {
    *count = fields.u64();
  }
  for (Fields pools = fields.array(); pools.more();) {
    queue.hungry.push_back(read_u32(pools));
    if (pools.failed()) fields.fail();
  }
  if (fields.failed()) return Error{Code::corruption, "a stored queue is damaged"};
  return {};
}

void encode_meta(const Register& values, const Pools& pools, std::string& out) {
  Packer packer(out);
  packer.array(20).u64(kStoredFormat).u64(values.epoch).u64(values.rules).u64(values.index);
  packer.u64(values.entries).u64(values.chain).i64(values.now.ms).i64(values.liveness.ms);
  packer.u64(values.next_serial).u64(values.next_token).i64(values.next_order);
  packer.i64(values.next_front_order).u64(values.sum).u64(values.queue_sum);
  std::string limits;
  encode_limits(values.limits, limits);
  packer.packed(limits).array(values.members.size());
  for (const Member& member : values.members) encode_member(member, packer);
  packer.array(values.partitions.size());
  for (const auto& [partition, sum] : values.partitions) {
    packer.array(5).i64(partition).u64(sum.count).u64(sum.sum).boolean(sum.emptied);
    encode_times(sum.ids, packer);
  }
  encode_times(values.forgotten, packer);
  std::size_t pool_count = 0;
  pools.for_each([&](PoolSlot, const Pool&) { ++pool_count; });
  packer.array(pool_count);
  pools.for_each([&](PoolSlot slot, const Pool& pool) { encode_pool(slot, pool, packer); });
  packer.array(values.absent.size());
  for (const auto& [engine, absence] : values.absent) {
    packer.array(3).bytes(view(engine)).u64(absence.flushed).i64(absence.until.ms);
  }
}

Result<void> decode_meta(std::string_view bytes, Register& values, Pools& pools) {
  Unpacker unpacker;
  Result<Fields> row = open_row(unpacker, bytes, "state");
  if (!row) return row.error();
  Fields& fields = *row;
  values.epoch = fields.u64(UINT16_MAX);
  values.rules = read_u32(fields);
  values.index = fields.u64();
  values.entries = fields.u64();
  values.chain = fields.u64();
  values.now = read_instant(fields);
  values.liveness = {fields.i64()};
  values.next_serial = fields.u64();
  values.next_token = fields.u64();
  values.next_order = fields.i64();
  values.next_front_order = fields.i64();
  values.sum = fields.u64();
  values.queue_sum = fields.u64();
  bool failed = !decode_limits(fields.map(), values.limits);
  for (Fields members = fields.array(); members.more() && !failed;) {
    values.members.push_back(decode_member(members.array(), failed));
    failed |= members.failed();
  }
  for (Fields partitions = fields.array(); partitions.more() && !failed;) {
    Fields partition = partitions.array();
    PartitionSum& sum = values.partitions[partition.i64()];
    sum.count = partition.u64();
    sum.sum = partition.u64();
    sum.emptied = partition.boolean();
    sum.ids = decode_times(partition.array(), failed);
    failed |= partition.failed() || partitions.failed();
  }
  if (!failed) values.forgotten = decode_times(fields.array(), failed);
  for (Fields rows = fields.array(); rows.more() && !failed;) {
    decode_pool(rows.array(), pools, failed);
    failed |= rows.failed();
  }
  for (Fields absent = fields.array(); absent.more() && !failed;) {
    Fields row_of = absent.array();
    Absence& absence = values.absent[read_id128(row_of)];
    absence.flushed = row_of.u64();
    absence.until = read_instant(row_of);
    failed |= row_of.failed() || absent.failed();
  }
  if (failed || fields.failed()) return Error{Code::corruption, "the stored state is damaged"};
  pools.for_each([&](PoolSlot slot, const Pool& pool) {
    for (Member& member : values.members) {
      if (member.incarnation == pool.incarnation && pool.open) member.pools[pool.number] = slot;
    }
  });
  return {};
}

}  // namespace jack

// The forms in which the state rests in the store: a row for each task and queue, and one for all
// the rest. Versioned msgpack; golden files in tests/unit hold them fast.
//
// Changing one: raise its format number, keep reading the older ones, add a golden file.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/limits.h>

#include "engine/format/unpack.h"
#include "engine/state/id_times.h"
#include "engine/state/pools.h"
#include "engine/state/queues.h"
#include "engine/state/task_table.h"

namespace jack {

inline constexpr std::uint64_t kStoredFormat = 1;

// [1, queue, state, priority, order, serial, token, settled token, settled digest, spec digest,
//  submitted, changed, started, due, expires, timeout, pool, attempt, max_attempts, cycle, outcome,
//  content_type, worker, nil | [reply_to, header count, headers bin, [initial, factor, max,
//  jitter], error, note, permille, output bytes, [[attempt, outcome, started, ended, error,
//  worker, cycle], …], {annotation: value bin}, removed]]
// Later fields come at the end. Times are journal milliseconds, kNever is the
// largest.
void encode_task(const TaskRecord& task, const UnflushedBytes* bytes, std::string& out);

struct DecodedTask {
  TaskRecord record;         // without id; list places as kNoSlot
  std::string content_type;  // of the result
  std::string worker;        // of the attempt that finished the task
};
// Errors: corruption, unsupported
Result<DecodedTask> decode_task(Unpacker& unpacker, std::string_view bytes);

// [1, paused, used, scheduled, queued, running, succeeded, failed, cancelled, expired,
//  [hungry pool, …]]
void encode_queue(const Queue& queue, std::string& out);
Result<void> decode_queue(std::string_view bytes, Queue& queue);

// What was finished in one hour.
struct PartitionSum {
  std::uint64_t count = 0;
  std::uint64_t sum = 0;  // of the tasks' contributions to the state's hash
  bool emptied = false;   // past retention: only ids and digests are left
  IdTimes ids;            // of all that finished in it, those retried since included
};

// The state beside tasks, queues and pools.
struct Register {
  std::uint64_t epoch = 1;
  std::uint32_t rules = 1;
  Index index = 0;            // of the last entry applied
  std::uint64_t entries = 0;  // how many were seen in all
  std::uint64_t chain = 0;    // digest of all entries up to here
  Instant now;                // journal time
  LivenessTime liveness;
  std::uint64_t next_serial = 1;
  std::uint64_t next_token = 1;
  std::int64_t next_order = 1;
  std::int64_t next_front_order = -1;
  std::uint64_t sum = 0;  // of all tasks' contributions, finished ones included
  std::uint64_t queue_sum = 0;
  Limits limits;
  std::vector<Member> members;
  std::map<Id128, Absence> absent;  // by engine
  std::map<Partition, PartitionSum> partitions;
  IdTimes forgotten;  // ids of dropped partitions: those unknown could be repeats of them
};

// [1, epoch, rules, index, entries, chain, now, liveness, next serial, next token, next order,
//  next front order, sum, queue sum, limits,
//  [[engine, incarnation, last number, last seen, rules oldest, rules newest, flushed], …],
//  [[partition, count, sum, emptied, ids], …], forgotten,
//  [[slot, incarnation, number, remote, lease, [queue, …], turn, appetite, open, leases
//  end|nil],…], [[engine, flushed, until], …]]
// Times of ids (`ids`, `forgotten`): [from, to, from, to, …].
void encode_meta(const Register& values, const Pools& pools, std::string& out);
Result<void> decode_meta(std::string_view bytes, Register& values, Pools& pools);

}  // namespace jack

// The load that `jack bench` puts on an engine, and what it measured.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <jack_engine/client.h>
#include <jack_engine/worker.h>

namespace jack::app {

struct LoadOptions {
  std::string queue = "bench";
  std::uint64_t tasks = 100'000;
  std::uint32_t payload_bytes = 256;  // and of the result; at least 8
  std::uint32_t clients = 4;          // each with a thread of its own
  std::uint32_t workers = 2;          // 0: the tasks stay queued
  std::uint32_t threads = 1;          // of each worker
  std::uint32_t prefetch = 0;         // of each worker
  std::uint32_t batch = 1;            // tasks of one submit
  bool wait = false;                  // for the result of each submit before the next
};

// Where clients and workers come from.
struct LoadEngine {
  std::function<Result<Client>()> client;
  std::function<Result<Worker>(const WorkerOptions&, Handler)> worker;
};

struct LoadProgress {
  std::atomic<std::uint64_t> submitted{0};
  std::atomic<std::uint64_t> handled{0};
};

// Latencies are in nanoseconds, sorted.
struct LoadReport {
  double submit_seconds = 0;            // until the last submit was acknowledged
  double total_seconds = 0;             // until all had succeeded
  std::vector<std::int64_t> to_start;   // of each task: from its submit call to its handler
  std::vector<std::int64_t> to_result;  // of the tasks that were waited for: to the wait's return
};

// Clients submit batch after batch. One by one, each waits until its task is accepted; with larger
// batches for the last result of the batch before, so that two are under way; and with `wait` for
// the (last) result of each.
Result<LoadReport> run_load(const LoadOptions& options, const LoadEngine& engine,
                            LoadProgress& progress);

// The value that a part `share` of the sorted samples do not exceed; 0 where there are none.
std::int64_t percentile(const std::vector<std::int64_t>& sorted, double share);

}  // namespace jack::app

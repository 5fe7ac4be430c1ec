#include "apps/bench/load.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>

#include "apps/commands/outcome.h"
#include "engine/guarded_by.h"
#include "engine/thread_name.h"

namespace jack::app {
namespace {

std::int64_t now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

// The payload begins with the number of its task.
void put_number(std::string& payload, std::uint64_t number) {
  std::memcpy(payload.data(), &number, sizeof number);
}

std::optional<std::uint64_t> number_of(const std::string& payload) {
  std::uint64_t number = 0;
  if (payload.size() < sizeof number) return std::nullopt;
  std::memcpy(&number, payload.data(), sizeof number);
  return number;
}

class Load {
 public:
  Load(const LoadOptions& options, const LoadEngine& engine, LoadProgress& progress)
      : options_(options),
        engine_(engine),
        progress_(progress),
        submitted_at_(options.tasks),
        started_at_(options.workers == 0 ? 0 : options.tasks) {}

  Result<LoadReport> run();

 private:
  struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };

  Result<std::vector<Worker>> start_workers();
  Settlement handle(const Attempt& attempt);
  void run_client(Range range);
  Result<void> submit_all(Client& client, Range range);
  Result<TaskId> submit_batch(Client& client, Range batch);
  Result<void> wait_for(Client& client, const TaskId& task, std::uint64_t number);
  Result<void> wait_for_rest();
  void fail(const Error& error);

  const LoadOptions& options_;
  const LoadEngine& engine_;
  LoadProgress& progress_;
  // An element belongs to the thread that submits, or handles, the task of that number.
  std::vector<std::int64_t> submitted_at_;
  std::vector<std::int64_t> started_at_;
  std::atomic<std::int64_t> last_submit_{0};
  std::atomic<bool> failed_{false};

  std::mutex mutex_;  // clients add to these when they end
  std::optional<Error> error_ JACK_GUARDED_BY(mutex_);
  std::vector<std::int64_t> to_result_ JACK_GUARDED_BY(mutex_);
};

Result<LoadReport> Load::run() {
  Result<std::vector<Worker>> workers = start_workers();
  if (!workers) return workers.error();
  const std::int64_t begun = now_ns();
  {
    std::vector<std::jthread> clients;
    for (std::uint64_t i = 0; i < options_.clients; ++i) {
      const Range range{options_.tasks * i / options_.clients,
                        options_.tasks * (i + 1) / options_.clients};
      clients.emplace_back([this, range] { run_client(range); });
    }
  }
  if (!error_ && options_.workers != 0) {
    if (const Result<void> waited = wait_for_rest(); !waited) error_ = waited.error();
  }
  const std::int64_t ended = now_ns();
  workers->clear();  // stops them
  if (error_) return *error_;

  LoadReport report;
  report.submit_seconds = static_cast<double>(last_submit_ - begun) / 1e9;
  report.total_seconds = static_cast<double>(ended - begun) / 1e9;
  for (std::uint64_t i = 0; i < started_at_.size(); ++i) {
    report.to_start.push_back(started_at_[i] - submitted_at_[i]);
  }
  report.to_result = std::move(to_result_);
  std::ranges::sort(report.to_start);
  std::ranges::sort(report.to_result);
  return report;
}

Result<std::vector<Worker>> Load::start_workers() {
  WorkerOptions worker;
  worker.queues = {options_.queue};
  worker.threads = options_.threads;
  worker.prefetch = options_.prefetch;
  std::vector<Worker> workers;
  for (std::uint32_t i = 0; i < options_.workers; ++i) {
    Result<Worker> started =
        engine_.worker(worker, [this](const Attempt& attempt) { return handle(attempt); });
    if (!started) return started.error();
    workers.push_back(*std::move(started));
  }
  return workers;
}

Settlement Load::handle(const Attempt& attempt) {
  const std::optional<std::uint64_t> number = number_of(attempt.task().payload);
  if (!number || *number >= started_at_.size())
    return Settlement::fail_for_good("not of this bench");
  if (attempt.number() == 1) started_at_[*number] = now_ns();
  ++progress_.handled;
  return attempt.task().payload;
}

void Load::run_client(Range range) {
  name_thread("jack-client");
  Result<Client> client = engine_.client();
  if (!client) return fail(client.error());
  if (const Result<void> submitted = submit_all(*client, range); !submitted) {
    fail(submitted.error());
  }
}

Result<void> Load::submit_all(Client& client, Range range) {
  const bool waits = options_.workers != 0 && (options_.batch > 1 || options_.wait);
  std::optional<TaskId> before;
  std::uint64_t before_number = 0;
  std::vector<std::int64_t> to_result;
  const auto wait = [&]() -> Result<void> {
    if (!before || !waits) return {};
    const Result<TaskResult> result = client.wait(*before, kForever);
    if (!result) return result.error();
    to_result.push_back(now_ns() - submitted_at_[before_number]);
    return {};
  };
  for (std::uint64_t next = range.begin; next < range.end && !failed_; next += options_.batch) {
    const Range batch{next, std::min<std::uint64_t>(next + options_.batch, range.end)};
    const Result<TaskId> last = submit_batch(client, batch);
    if (!last) return last.error();
    if (!options_.wait) {  // for the batch before, so that there is always one at work
      if (Result<void> waited = wait(); !waited) return waited;
    }
    before = *last;
    before_number = batch.end - 1;
    if (options_.wait) {
      if (Result<void> waited = wait(); !waited) return waited;
    }
  }
  if (!options_.wait) {
    if (Result<void> waited = wait(); !waited) return waited;
  }
  const std::lock_guard lock(mutex_);
  to_result_.insert(to_result_.end(), to_result.begin(), to_result.end());
  return {};
}

// Gives the id of its last task.
Result<TaskId> Load::submit_batch(Client& client, Range batch) {
  std::vector<TaskSpec> specs;
  for (std::uint64_t number = batch.begin; number < batch.end; ++number) {
    TaskSpec& spec = specs.emplace_back();
    spec.id = new_task_id();
    spec.queue = options_.queue;
    spec.payload.assign(options_.payload_bytes, 'x');
    put_number(spec.payload, number);
  }
  const TaskId last = specs.back().id;
  const std::int64_t now = now_ns();
  std::fill(submitted_at_.begin() + static_cast<std::ptrdiff_t>(batch.begin),
            submitted_at_.begin() + static_cast<std::ptrdiff_t>(batch.end), now);
  const Result<std::vector<Result<Submitted>>> outcomes = client.submit(specs);
  if (!outcomes) return outcomes.error();
  for (const Result<Submitted>& outcome : *outcomes) {
    if (!outcome) return outcome.error();
  }
  progress_.submitted += specs.size();
  const std::int64_t done = now_ns();
  std::int64_t latest = last_submit_;
  while (latest < done && !last_submit_.compare_exchange_weak(latest, done)) {
  }
  return last;
}

// Tasks that nobody waited for may be under way when those that somebody did have ended.
Result<void> Load::wait_for_rest() {
  Result<Client> client = engine_.client();
  if (!client) return client.error();
  ListFilter unfinished;
  unfinished.queue = options_.queue;
  unfinished.finished_too = false;
  unfinished.count_max = 1;
  while (true) {
    const Result<TaskPage> page = client->list(unfinished);
    if (!page) return page.error();
    if (page->tasks.empty()) {
      if (page->next.empty()) return {};
      unfinished.before = page->next;
      continue;
    }
    const Result<TaskResult> ended = client->wait(page->tasks.front().spec.id, kForever);
    if (!ended) return ended.error();
  }
}

void Load::fail(const Error& error) {
  failed_ = true;
  const std::lock_guard lock(mutex_);
  if (!error_) error_ = error;
}

}  // namespace

Result<LoadReport> run_load(const LoadOptions& options, const LoadEngine& engine,
                            LoadProgress& progress) {
  return Load(options, engine, progress).run();
}

std::int64_t percentile(const std::vector<std::int64_t>& sorted, double share) {
  if (sorted.empty()) return 0;
  const auto at = static_cast<std::size_t>(share * static_cast<double>(sorted.size()));
  return sorted[std::min(at, sorted.size() - 1)];
}

}  // namespace jack::app

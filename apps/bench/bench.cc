// `jack bench`: how fast this is, here.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>

#include <fmt/format.h>
#include <unistd.h>

#include <jack_engine/engine.h>
#include <jack_engine/version.h>

#include "apps/bench/load.h"
#include "apps/bench/progress_bar.h"
#include "apps/bench/usage.h"
#include "apps/commands/commands.h"
#include "apps/commands/connection.h"
#include "apps/json.h"
#include "apps/signals.h"
#include "apps/terminal.h"
#include "engine/guarded_by.h"

namespace jack::app {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kPrefetchMax = 1000;

struct BenchFlags {
  EngineFlags engine;
  LoadOptions load;
  std::optional<std::uint32_t> prefetch;
  std::optional<std::string> durability;
  std::optional<std::string> transport;
  std::optional<std::string> folder;
  bool json = false;

  bool is_embedded() const { return !engine.engine && !engine.data_dir; }
  // The first flag that says how the embedded engine is to be.
  std::string of_embedded_engine() const {
    return durability ? "--durability" : transport ? "--transport" : folder ? "--in" : "";
  }
  std::string durability_name() const { return durability.value_or("full"); }
  std::string transport_name() const { return transport.value_or("local"); }
};

// A folder that vanishes with everything in it.
class TemporaryFolder {
 public:
  static Result<TemporaryFolder> make(const std::string& within) {
    std::string path =
        (within.empty() ? fs::temp_directory_path().string() : within) + "/jack-bench-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) {
      return Error{Code::unavailable,
                   fmt::format("cannot make {}: {}", path, std::strerror(errno))};
    }
    return TemporaryFolder(path);
  }
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// What was seen beside the load itself.
struct Around {
  Usage before;
  Usage after;
  std::optional<double> reopen_seconds;  // of an engine with all tasks queued
};

EngineOptions embedded_options(const BenchFlags& flags, const std::string& folder) {
  EngineOptions options;
  options.data_dir = folder + "/data";
  options.transport = flags.transport_name();
  options.durability = flags.durability_name() == "normal" ? Durability::normal : Durability::full;
  return options;
}

Result<LoadReport> load_with_bar(const BenchFlags& flags, const LoadEngine& engine) {
  LoadProgress progress;
  const bool works = flags.load.workers != 0;
  const ProgressBar bar(works ? "working" : "submitting", flags.load.tasks, [&progress, works] {
    return works ? progress.handled.load() : progress.submitted.load();
  });
  return run_load(flags.load, engine, progress);
}

// The engine in this process, which a signal stops: then all that is under way ends as stopped, and
// what cleans up does.
class EmbeddedEngine {
 public:
  Result<void> open(const EngineOptions& options) {
    Result<Engine> opened = Engine::open(options);
    if (!opened) return opened.error();
    const std::lock_guard lock(mutex_);
    if (stopped_) return Error{Code::stopped, "told to stop"};
    engine_.emplace(*std::move(opened));
    return {};
  }

  void close() {
    const std::lock_guard lock(mutex_);
    engine_.reset();
  }

  // Any thread.
  void stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    if (engine_) engine_->stop();
  }

  // Between open() and close(), by those who do neither.
  Engine* operator->() { return &*engine_; }

 private:
  std::mutex mutex_;  // keeps the signal's thread from an engine that comes or goes
  std::optional<Engine> engine_;
  bool stopped_ JACK_GUARDED_BY(mutex_) = false;
};

Result<double> reopen(EmbeddedEngine& engine, const EngineOptions& options) {
  engine.close();
  const auto begun = std::chrono::steady_clock::now();
  if (Result<void> opened = engine.open(options); !opened) return opened.error();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

Result<LoadReport> bench_embedded(const BenchFlags& flags, Around& around, EmbeddedEngine& engine) {
  const Result<TemporaryFolder> folder = TemporaryFolder::make(flags.folder.value_or(""));
  if (!folder) return folder.error();
  const EngineOptions options = embedded_options(flags, folder->path());
  if (Result<void> opened = engine.open(options); !opened) return opened.error();
  const LoadEngine load{[&engine] { return engine->client(); },
                        [&engine](const WorkerOptions& worker, Handler handler) {
                          return engine->work(worker, std::move(handler));
                        }};
  around.before = usage_now();
  Result<LoadReport> report = load_with_bar(flags, load);
  around.after = usage_now();
  if (report && flags.load.workers == 0 && flags.transport_name() == "local") {
    const Result<double> seconds = reopen(engine, options);
    if (!seconds) return seconds.error();
    around.reopen_seconds = *seconds;
  }
  engine.close();  // before its folder goes
  return report;
}

// A signal ends it as it would have without any of this, but not before the folder is gone.
Result<LoadReport> bench_until_signalled(const BenchFlags& flags, Around& around) {
  EmbeddedEngine engine;
  std::optional<int> signal;
  {
    const SignalWatch signals([&engine] { engine.stop(); }, [] {});
    Result<LoadReport> report = bench_embedded(flags, around, engine);
    signal = signals.first();
    if (!signal) return report;
  }
  end_by(*signal);
  return Error{Code::stopped, "told to stop"};
}

Result<LoadReport> bench_running(const BenchFlags& flags, Around& around) {
  const Result<Settings> settings = load_settings(flags.engine);
  if (!settings) return settings.error();
  const ClientOptions client = client_options(*settings);
  const LoadEngine load{[&client] { return Client::connect(client); },
                        [&client](WorkerOptions worker, Handler handler) {
                          worker.engine = client;
                          return Worker::start(worker, std::move(handler));
                        }};
  around.before = usage_now();
  Result<LoadReport> report = load_with_bar(flags, load);
  around.after = usage_now();
  return report;
}

double per_second(std::uint64_t tasks, double seconds) {
  return seconds <= 0 ? 0 : static_cast<double>(tasks) / seconds;
}

constexpr std::array<std::pair<const char*, double>, 4> kShares = {
    {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}}};

double microseconds(std::int64_t ns) { return static_cast<double>(ns) / 1000; }

Json json_of(const std::vector<std::int64_t>& sorted) {
  Json json = Json::object();
  json.set("samples", sorted.size());
  for (const auto& [name, share] : kShares) {
    json.set(name, microseconds(percentile(sorted, share)));
  }
  json.set("max", microseconds(sorted.empty() ? 0 : sorted.back()));
  return json;
}

Json settings_json(const BenchFlags& flags) {
  const LoadOptions& load = flags.load;
  Json json = Json::object();
  json.set("version", version())
      .set("tasks", load.tasks)
      .set("payload_bytes", load.payload_bytes)
      .set("clients", load.clients)
      .set("workers", load.workers)
      .set("threads", load.threads)
      .set("prefetch", load.prefetch)
      .set("batch", load.batch)
      .set("wait", load.wait)
      .set("embedded", flags.is_embedded());
  if (flags.is_embedded()) {
    json.set("durability", flags.durability_name()).set("transport", flags.transport_name());
  }
  return json;
}

std::string json_text(const BenchFlags& flags, const LoadReport& report, const Around& around) {
  const std::uint64_t tasks = flags.load.tasks;
  Json latency = Json::object();
  latency.set("submit_to_start", json_of(report.to_start))
      .set("submit_to_result", json_of(report.to_result));
  Json json = Json::object();
  json.set("settings", settings_json(flags))
      .set("submit_seconds", report.submit_seconds)
      .set("submitted_per_second", per_second(tasks, report.submit_seconds));
  if (flags.load.workers != 0) {
    json.set("total_seconds", report.total_seconds)
        .set("finished_per_second", per_second(tasks, report.total_seconds))
        .set("latency_us", std::move(latency));
  }
  json.set("cpu_seconds", around.after.cpu_seconds - around.before.cpu_seconds)
      .set("memory_before_bytes", around.before.memory_bytes)
      .set("memory_after_bytes", around.after.memory_bytes)
      .set("memory_peak_bytes", around.after.memory_peak_bytes)
      .set("written_bytes", around.after.written_bytes - around.before.written_bytes);
  if (around.reopen_seconds) json.set("reopen_seconds", *around.reopen_seconds);
  return json.line() + "\n";
}

std::string latency_text(const char* what, const std::vector<std::int64_t>& sorted) {
  if (sorted.empty()) return {};
  std::string text = fmt::format("{:<18}", what);
  for (const auto& [name, share] : kShares) {
    text += fmt::format("{} {:.3f} ms  ", name, microseconds(percentile(sorted, share)) / 1000);
  }
  return text + fmt::format("max {:.3f} ms\n", microseconds(sorted.back()) / 1000);
}

double mebibytes(std::uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

std::string people_text(const BenchFlags& flags, const LoadReport& report, const Around& around) {
  const LoadOptions& load = flags.load;
  const Usage& before = around.before;
  const Usage& after = around.after;
  std::string text = fmt::format(
      "{} tasks of {} bytes, {} clients, {} workers × {} threads, batches of {}, {}\n", load.tasks,
      load.payload_bytes, load.clients, load.workers, load.threads, load.batch,
      flags.is_embedded() ? fmt::format("{} transport, durability {}", flags.transport_name(),
                                        flags.durability_name())
                          : "a running engine");
  text += fmt::format("{:<18}{:.0f} tasks/s ({:.3f} s)\n", "submitted",
                      per_second(load.tasks, report.submit_seconds), report.submit_seconds);
  if (load.workers != 0) {
    text += fmt::format("{:<18}{:.0f} tasks/s ({:.3f} s)\n", "end to end",
                        per_second(load.tasks, report.total_seconds), report.total_seconds);
  }
  text += latency_text("submit to start", report.to_start);
  text += latency_text("submit to result", report.to_result);
  text += fmt::format("{:<18}{:.2f} s\n", "processor", after.cpu_seconds - before.cpu_seconds);
  text += fmt::format("{:<18}{:.1f} MiB before, {:.1f} MiB after, {:.1f} MiB at most\n", "memory",
                      mebibytes(before.memory_bytes), mebibytes(after.memory_bytes),
                      mebibytes(after.memory_peak_bytes));
  const std::uint64_t written = after.written_bytes - before.written_bytes;
  text += fmt::format("{:<18}{:.1f} MiB, {:.0f} bytes per task\n", "written", mebibytes(written),
                      static_cast<double>(written) / static_cast<double>(load.tasks));
  if (around.reopen_seconds) {
    text +=
        fmt::format("{:<18}{:.3f} s with all of them queued\n", "reopened", *around.reopen_seconds);
  }
  return text;
}

Result<ExitStatus> bench(BenchFlags flags) {
  LoadOptions& load = flags.load;
  if (const std::string misplaced = flags.of_embedded_engine();
      !flags.is_embedded() && !misplaced.empty()) {
    complain(fmt::format("{} is of the embedded engine: leave it out with --engine or --data-dir",
                         misplaced));
    return ExitStatus::usage;
  }
  load.payload_bytes = std::max<std::uint32_t>(load.payload_bytes, sizeof(std::uint64_t));
  load.prefetch =
      flags.prefetch.value_or(std::min(std::max(load.batch, load.clients), kPrefetchMax));
  // Beside tasks of others, and of earlier runs.
  if (!flags.is_embedded()) load.queue = fmt::format("bench-{}", to_string(new_task_id()));

  Around around;
  const Result<LoadReport> report =
      flags.is_embedded() ? bench_until_signalled(flags, around) : bench_running(flags, around);
  if (!report) return report.error();
  print(flags.json ? json_text(flags, *report, around) : people_text(flags, *report, around));
  return ExitStatus::done;
}

}  // namespace

Command bench_command() {
  const auto flags = std::make_shared<BenchFlags>();
  LoadOptions& load = flags->load;
  Command command("bench", "submit and work tasks, and measure how fast that goes");
  command.option("--tasks", "N", load.tasks, "how many (default: 100000)")
      .above_zero()
      .option("--payload", "BYTES", load.payload_bytes, "of each, and of its result (default: 256)")
      .option("--clients", "N", load.clients, "that submit at the same time (default: 4)")
      .above_zero()
      .option("--batch", "N", load.batch,
              "tasks of one submit (default: 1); of more than one, a client has two batches under "
              "way")
      .above_zero()
      .flag("--wait", load.wait,
            "each client waits for the result before it submits again; else until the task is "
            "accepted")
      .option("--workers", "N", load.workers, "0: the tasks stay queued (default: 2)")
      .option("--threads", "N", load.threads, "of each worker (default: 1)")
      .above_zero()
      .option("--prefetch", "N", flags->prefetch,
              "tasks that each worker holds beyond those it runs (default: as many as there are "
              "clients or tasks in a batch)")
      .option("--durability", "LEVEL", flags->durability, "of the embedded engine (default: full)")
      .choices({"full", "normal"})
      .option("--transport", "NAME", flags->transport, "of the embedded engine (default: local)")
      .choices({"local", "memory"})
      .option("--in", "DIR", flags->folder,
              "where the embedded engine's temporary folder is made (default: $TMPDIR)")
      .flag("--json", flags->json, "print all figures and settings as JSON")
      .details(
          "Without --engine or --data-dir the engine is in this process, in a temporary folder "
          "that "
          "is removed; then processor, memory and bytes written are those of everything together. "
          "SIGINT and SIGTERM end it, and remove that too. With --workers 0 it also tells how long "
          "the engine takes to open again with all tasks "
          "queued.")
      .example("jack bench --batch 1000", "throughput in batches")
      .example("jack bench --clients 64", "one by one, 64 at a time")
      .example("jack bench --wait --clients 1 --workers 1 --tasks 10000",
               "latency of one task at a time")
      .example("jack bench --workers 0 --batch 1000 --tasks 1000000", "a million tasks queued")
      .status(ExitStatus::done, "measured")
      .run([flags] { return bench(*flags); });
  add_engine_flags(command, flags->engine);
  return command;
}

}  // namespace jack::app

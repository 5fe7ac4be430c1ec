// An engine inside a program: no process to start, no port.
//
//   auto engine = jack::Engine::open({.data_dir = "demo"}).value();
//   auto worker = engine.work("greet", [](jack::Attempt& attempt) {
//     return "Hello, " + attempt.task().payload;
//   }).value();
//   auto client = engine.client().value();
//   auto task = client.submit({.queue = "greet", .payload = "Ada"}).value();
//   std::puts(client.wait(task, 10s).value().result.c_str());
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/client.h>
#include <jack_engine/durability.h>
#include <jack_engine/error.h>
#include <jack_engine/limits.h>
#include <jack_engine/worker.h>

namespace jack {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

struct EngineOptions {
  // Where tasks rest. One engine at a time; created where missing, for this user only.
  std::string data_dir;
  // "local" (the default: SQLite in data_dir) or "memory" (nothing survives; data_dir is not
  // used).
  std::string transport = "local";
  Durability durability = Durability::full;
  // Where other processes reach this engine: ipc:// paths and tcp:// addresses (those beyond
  // loopback need keys). Empty: only this process.
  std::vector<std::string> listen;
  // For tcp://: the file with this engine's CURVE secret key, and the list of keys, of which the
  // CURVE keys may connect. It says what each key may do, also where a session of this process acts
  // for one.
  std::string key_file;
  std::string allowed_keys_file;
  // Keeps every entry of the journal instead of trimming it behind the store.
  bool keep_journal = false;
  // Changes the limits in the journal to these where they differ.
  std::optional<Limits> limits;
  SessionLimits sessions;
  // Receives the engine's log lines, on its threads; none: nothing is logged.
  std::function<void(LogLevel, std::string_view)> log;
};

// Its functions may be called from any thread.
class Engine {
 public:
  // Returns when the engine accepts work: what a crash left behind has been recovered by then.
  // Errors: invalid_argument  an option that makes no sense
  //         unavailable       the data directory is in use, an address cannot be bound
  //         permission_denied listening beyond loopback without keys; a directory of others
  //         unsupported       files of a newer version, an unknown transport
  //         corruption        stored bytes are not what was written; `jack doctor` explains
  static Result<Engine> open(const EngineOptions& options);

  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;
  ~Engine();  // stop()

  // A client in this process. It must not outlive the engine.
  Result<Client> client();

  // A worker in this process, one thread. It must not outlive the engine.
  Result<Worker> work(std::string_view queue, Handler handler);
  Result<Worker> work(WorkerOptions options, Handler handler);

  // The addresses bound, port numbers filled in.
  const std::vector<std::string>& endpoints() const;

  // Stops taking work, writes what is due, closes the files. Calls in progress get `stopped`.
  void stop();

 private:
  class Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  friend struct Attach;  // engine/runtime/attach.h
  std::unique_ptr<Impl> impl_;
};

}  // namespace jack

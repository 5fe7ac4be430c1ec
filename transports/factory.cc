// Puts engines together: data directory, store, transport, sockets, and a thread that drives the
// loop. A new transport is one function and one line in the table.
#include <array>
#include <atomic>
#include <future>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

#include <jack_engine/engine.h>

#include "engine/guarded_by.h"
#include "engine/runtime/attach.h"
#include "engine/runtime/clock.h"
#include "engine/runtime/driver.h"
#include "engine/runtime/loop.h"
#include "engine/thread_name.h"
#include "engine/wire/router.h"
#include "engine/wire/socket.h"
#include "engine/wire/wake.h"
#include "storage/data_directory.h"
#include "storage/task_store.h"
#include "transports/local/local_transport.h"
#include "transports/memory/memory_store.h"
#include "transports/memory/memory_transport.h"

namespace jack {
namespace {

// How long stop() waits for the last entry and flush. What is not written by then is recovered at
// the next start, like after a crash.
constexpr Duration kStopWithin = std::chrono::seconds{10};

Id128 random_id() {
  std::random_device device;
  Id128 id{};
  for (std::uint8_t& byte : id) byte = static_cast<std::uint8_t>(device());
  return id;
}

// What is under a loop. Destroyed from the last to the first.
struct Parts {
  Id128 engine{};
  std::unique_ptr<DataDirectory> directory{};  // none in memory
  std::unique_ptr<Store> store{};
  std::unique_ptr<Transport> transport{};
};

Result<Parts> open_local(const EngineOptions& options, const Clock& clock) {
  if (options.data_dir.empty()) {
    return Error{Code::invalid_argument, "the local transport needs a data directory"};
  }
  Parts parts;
  auto directory = DataDirectory::open({.path = options.data_dir}, clock);
  if (!directory) return std::move(directory).error();
  parts.directory = *std::move(directory);
  parts.engine = parts.directory->engine_id();

  TaskStoreOptions store_options;
  store_options.path = parts.directory->tasks_path();
  store_options.directory = parts.directory.get();
  auto store = TaskStore::open(store_options);
  // On a full disk even this takes some room, for SQLite's index of the WAL.
  const bool full = !store && store.error().code == Code::storage_full;
  if (full && parts.directory->reserve().release()) store = TaskStore::open(store_options);
  if (!store) return std::move(store).error();
  parts.store = *std::move(store);

  LocalTransportOptions transport_options;
  transport_options.path = parts.directory->journal_path();
  transport_options.durability = options.durability;
  transport_options.keep_all = options.keep_journal;
  transport_options.directory = parts.directory.get();
  auto transport = LocalTransport::open(transport_options);
  if (!transport) return std::move(transport).error();
  const std::string& warning = (*transport)->warning();
  if (options.log && !warning.empty()) options.log(LogLevel::warning, warning);
  parts.transport = *std::move(transport);
  return parts;
}

Result<Parts> open_memory(const EngineOptions&, const Clock&) {
  Parts parts;
  parts.engine = random_id();
  parts.store = std::make_unique<MemoryStore>(std::make_shared<MemoryTables>());
  parts.transport = std::make_unique<MemoryTransport>(std::make_shared<MemoryJournal>());
  return parts;
}

struct TransportKind {
  std::string_view name;
  Result<Parts> (*open)(const EngineOptions& options, const Clock& clock);
};

constexpr std::array kTransports = {
    TransportKind{"local", open_local},
    TransportKind{"memory", open_memory},
};

Result<Parts> open_parts(const EngineOptions& options, const Clock& clock) {
  for (const TransportKind& kind : kTransports) {
    if (kind.name == options.transport) return kind.open(options, clock);
  }
  return Error{Code::unsupported, "there is no transport \"" + options.transport + "\""};
}

void log_last_stop(const EngineOptions& options, const Parts& parts) {
  if (!options.log || parts.directory == nullptr) return;
  if (parts.directory->last_stop().kind != LastStop::Kind::unclean) return;
  options.log(LogLevel::warning,
              "the engine did not stop in order the last time: recovering from the journal");
}

// What the keys of a list allow; made anew where the list has changed.
class RightsSource {
 public:
  explicit RightsSource(std::shared_ptr<wire::KeyRing> keys) : keys_(std::move(keys)) {}

  std::shared_ptr<const RightsTable> operator()() {
    std::shared_ptr<const wire::KeyTable> list = keys_->last_table();
    if (list == list_) return rights_;
    list_ = std::move(list);
    auto rights = std::make_shared<RightsTable>();
    for (const wire::Key& key : list_->keys()) {
      if (!key.revoked) rights->add(key.name, key.rights, key.expires);
    }
    rights_ = std::move(rights);
    return rights_;
  }

 private:
  std::shared_ptr<wire::KeyRing> keys_;
  std::shared_ptr<const wire::KeyTable> list_;
  std::shared_ptr<const RightsTable> rights_;
};

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) {
    if (!all.empty()) all += ' ';
    all += text;
  }
  return all;
}

}  // namespace

class Engine::Impl {
 public:
  static Result<std::unique_ptr<Impl>> open(const EngineOptions& options);
  Impl(EngineOptions options, std::unique_ptr<zmq::context_t> context, wire::Wake wake)
      : options_(std::move(options)), context_(std::move(context)), wake_(std::move(wake)) {}
  ~Impl() { stop(); }

  void stop();

  zmq::context_t& context() { return *context_; }
  const std::vector<std::string>& endpoints() const { return endpoints_; }
  const Attach::Keys& keys() const { return keys_; }

 private:
  // The engine's thread. Tells `opened` when it takes work, or why it does not.
  void run(std::promise<Result<void>> opened);
  LoopOptions loop_options(const Parts& parts) const;
  Attach::Keys open_keys(const Parts& parts) const;

  const EngineOptions options_;
  const std::unique_ptr<zmq::context_t> context_;
  wire::Wake wake_;
  std::vector<std::string> endpoints_;  // written before `opened` is told, then never again
  Attach::Keys keys_;                   // likewise
  std::atomic<bool> stop_{false};
  std::mutex mutex_;  // stop() may come from several threads
  std::thread thread_ JACK_GUARDED_BY(mutex_);
};

Result<std::unique_ptr<Engine::Impl>> Engine::Impl::open(const EngineOptions& options) {
  auto context = wire::open_context();
  if (!context) return std::move(context).error();
  auto wake = wire::Wake::open();
  if (!wake) return std::move(wake).error();
  auto impl = std::make_unique<Impl>(options, *std::move(context), *std::move(wake));
  std::promise<Result<void>> promise;
  std::future<Result<void>> opened = promise.get_future();
  impl->thread_ = std::thread(&Impl::run, impl.get(), std::move(promise));
  if (Result<void> result = opened.get(); !result) return std::move(result).error();
  return impl;
}

void Engine::Impl::stop() {
  const std::lock_guard lock(mutex_);
  if (!thread_.joinable()) return;
  stop_.store(true);
  wake_.set();
  thread_.join();
  context_->shutdown();  // calls of clients and workers in this process end as stopped
}

LoopOptions Engine::Impl::loop_options(const Parts& parts) const {
  LoopOptions loop;
  loop.engine = parts.engine;
  loop.new_incarnation = random_id;
  loop.sessions = options_.sessions;
  loop.limits = options_.limits;
  loop.keep_journal = options_.keep_journal;
  loop.longest_sleep = Driver::kLongestSleep;
  loop.rights = RightsSource(keys_.ring);
  loop.facts = {{"transport", options_.transport}, {"endpoints", joined(endpoints_)}};
  loop.log = options_.log;
  return loop;
}

// A list that is not there has no keys, which is an error only where peers need one.
Attach::Keys Engine::Impl::open_keys(const Parts& parts) const {
  const auto log = [this](LogLevel level, const std::string& what, const Error& error) {
    if (options_.log) options_.log(level, what + error.message);
  };
  Attach::Keys keys;
  keys.ring =
      std::make_shared<wire::KeyRing>(options_.allowed_keys_file, [this, log](const Error& error) {
        if (error.code == Code::not_found && options_.key_file.empty()) return;
        log(LogLevel::error, "nobody is let in until this is mended: ", error);
      });
  if (parts.directory && !options_.allowed_keys_file.empty()) {
    keys.last_used = std::make_shared<wire::LastUsed>(
        parts.directory->path() + "/keys/used", [log](const Error& error) {
          log(LogLevel::warning, "it is not noted when keys are used: ", error);
        });
  }
  return keys;
}

void Engine::Impl::run(std::promise<Result<void>> opened) {
  name_thread("jack-engine");
  const SystemClock clock;
  Result<Parts> parts = open_parts(options_, clock);
  if (!parts) return opened.set_value(std::move(parts).error());
  log_last_stop(options_, *parts);

  wire::RouterOptions router_options;
  router_options.listen = options_.listen;
  if (parts->directory) router_options.data_dir = parts->directory->path();
  router_options.key_file = options_.key_file;
  keys_ = open_keys(*parts);
  router_options.keys = keys_.ring;
  router_options.last_used = keys_.last_used;
  auto router = wire::Router::open(*context_, router_options);
  if (!router) return opened.set_value(std::move(router).error());
  endpoints_ = (*router)->endpoints();

  Loop::Phase end = Loop::Phase::stopped;
  {
    Loop loop({clock, *parts->transport, *parts->store, **router}, loop_options(*parts));
    Driver driver({clock, *parts->transport, *parts->store, **router, wake_, loop});
    Result<void> started = driver.start();
    if (started && parts->directory) started = parts->directory->begin_run();
    const bool runs = started.has_value();
    opened.set_value(std::move(started));
    if (!runs) return;
    driver.run(stop_, kStopWithin);
    end = loop.phase();
  }
  router->reset();
  parts->transport.reset();
  parts->store.reset();
  if (end != Loop::Phase::left || parts->directory == nullptr) return;
  const Result<void> marked = parts->directory->stop_cleanly();
  if (!marked && options_.log) options_.log(LogLevel::warning, to_string(marked.error()));
}

Result<Engine> Engine::open(const EngineOptions& options) {
  Result<std::unique_ptr<Impl>> impl = Impl::open(options);
  if (!impl) return std::move(impl).error();
  return Engine(*std::move(impl));
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

Result<Link> Attach::link(Engine& engine, std::string name, std::string key, std::string answers) {
  return Link::open(wire::route_within(engine.impl_->context(), wire::Router::kInProcess),
                    std::move(name), std::move(key), std::move(answers));
}

Attach::Keys Attach::keys(Engine& engine) { return engine.impl_->keys(); }

Result<Client> Engine::client() {
  return Attach::client(impl_->context(), wire::Router::kInProcess, {});
}

Result<Worker> Engine::work(std::string_view queue, Handler handler) {
  WorkerOptions options;
  options.queues = {std::string(queue)};
  return work(std::move(options), std::move(handler));
}

Result<Worker> Engine::work(WorkerOptions options, Handler handler) {
  return Attach::worker(impl_->context(), wire::Router::kInProcess, options, std::move(handler));
}

const std::vector<std::string>& Engine::endpoints() const { return impl_->endpoints(); }

void Engine::stop() { impl_->stop(); }

}  // namespace jack

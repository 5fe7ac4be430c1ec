// An engine with its thread, files and sockets: what the harness leaves out.
#include <filesystem>
#include <future>
#include <mutex>

#include <jack_engine/engine.h>

#include "engine/guarded_by.h"
#include "tests/catch.hpp"

using namespace std::chrono_literals;
using namespace jack;

namespace {

// A folder that goes with the test.
class Folder {
 public:
  Folder() : path_(std::filesystem::temp_directory_path() / "jack-engine-XXXXXX") {
    REQUIRE(mkdtemp(path_.data()) != nullptr);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

EngineOptions options_in(const Folder& folder) {
  EngineOptions options;
  options.data_dir = folder.path();
  return options;
}

TaskSpec spec_for(std::string queue, std::string payload = {}) {
  TaskSpec spec;
  spec.queue = std::move(queue);
  spec.payload = std::move(payload);
  return spec;
}

}  // namespace

TEST_CASE("a program embeds an engine, a worker and a client") {
  const Folder folder;
  EngineOptions options = options_in(folder);
  options.transport = GENERATE("local", "memory");
  auto engine = Engine::open(options).value();
  auto worker =
      engine.work("greet", [](Attempt& attempt) { return "Hello, " + attempt.task().payload; });
  REQUIRE(worker);
  auto client = engine.client().value();
  const TaskId task = client.submit(spec_for("greet", "Ada")).value();
  CHECK(client.wait(task, 30s).value().result == "Hello, Ada");
  CHECK(client.get(task).value().status.state == TaskState::succeeded);
  CHECK(client.info().value().at("transport") == options.transport);
}

TEST_CASE("a client completes a task that nobody holds, and no other") {
  const Folder folder;
  auto engine = Engine::open(options_in(folder)).value();
  auto client = engine.client().value();
  std::promise<void> begun;
  std::promise<void> go_on;

  const TaskId task = client.submit(spec_for("mail")).value();
  CHECK(client.complete(task, "done", "text/plain").has_value());
  CHECK(client.complete(task, "done", "text/plain").has_value());
  CHECK(client.complete(task, "other").error().code == Code::failed_precondition);
  const TaskResult result = client.wait(task, 0s).value();
  CHECK(result.state == TaskState::succeeded);
  CHECK(result.result == "done");
  CHECK(result.content_type == "text/plain");

  const std::vector<RecordedTask> kept_elsewhere = {{spec_for("mail"), "done", {}},
                                                    {spec_for("mail"), std::nullopt, {}}};
  const auto recorded = client.record(kept_elsewhere).value();
  const TaskId finished = recorded.at(0).value().id;
  const Task open = client.get(recorded.at(1).value().id).value();
  CHECK(open.status.state == TaskState::queued);
  CHECK(open.status.serial == client.get(finished).value().status.serial + 1);
  REQUIRE(client.cancel(open.spec.id));
  const std::vector<Completion> again = {{finished, "done", {}}, {task, "other", {}}};
  const auto outcomes = client.complete(again).value();
  CHECK(outcomes.at(0).value().repeated);
  CHECK(outcomes.at(1).error().code == Code::failed_precondition);

  TaskSpec spec = spec_for("mail");
  spec.delay = 1h;
  const TaskId later = client.submit(spec).value();
  const TaskId cancelled = client.submit(spec).value();
  REQUIRE(client.cancel(cancelled).has_value());
  for (const TaskId& other : {later, cancelled}) {
    CHECK(client.complete(other, "done").error().code == Code::failed_precondition);
  }
  CHECK(client.complete(new_task_id(), "done").error().code == Code::not_found);

  const TaskId held = client.submit(spec_for("mail")).value();
  auto worker = engine.work("mail", [&](Attempt&) {
    begun.set_value();
    go_on.get_future().wait();
    return std::string("ours");
  });
  REQUIRE(worker);
  begun.get_future().wait();
  CHECK(client.complete(held, "theirs").error().code == Code::failed_precondition);
  go_on.set_value();
  CHECK(client.wait(held, 30s).value().result == "ours");
}

TEST_CASE("tasks outlive the engine, and a clean stop is noticed") {
  const Folder folder;
  TaskId done;
  TaskId waiting;
  {
    auto engine = Engine::open(options_in(folder)).value();
    auto client = engine.client().value();
    waiting = client.submit(spec_for("later", "payload")).value();
    auto worker = engine.work("now", [](Attempt&) { return "done"; }).value();
    done = client.submit(spec_for("now")).value();
    REQUIRE(client.wait(done, 30s));
  }
  std::mutex mutex;  // the log comes from the engine's thread
  std::vector<std::string> lines JACK_GUARDED_BY(mutex);
  EngineOptions options = options_in(folder);
  options.log = [&](LogLevel, std::string_view line) {
    const std::lock_guard lock(mutex);
    lines.emplace_back(line);
  };
  auto engine = Engine::open(options).value();
  auto client = engine.client().value();
  CHECK(client.wait(done, 0s).value().result == "done");
  CHECK(client.get(waiting, true).value().spec.payload == "payload");
  const std::lock_guard lock(mutex);
  REQUIRE_FALSE(lines.empty());
  CHECK(lines.front().find(" 0 entries recovered") != std::string::npos);
}

TEST_CASE("options that make no sense, and what is in use, are refused by name") {
  const Folder folder;
  EngineOptions options = options_in(folder);
  options.transport = "pigeon";
  CHECK(Engine::open(options).error().code == Code::unsupported);
  options.transport = "local";
  options.data_dir.clear();
  CHECK(Engine::open(options).error().code == Code::invalid_argument);
  options = options_in(folder);
  options.listen = {"nonsense"};
  CHECK(Engine::open(options).error().code == Code::invalid_argument);
  options.listen = {"tcp://0.0.0.0:0"};
  CHECK(Engine::open(options).error().code == Code::permission_denied);
  options.listen.clear();
  options.limits.emplace().payload_bytes_max = 1ull << 40;
  CHECK(Engine::open(options).error().code == Code::invalid_argument);

  auto engine = Engine::open(options_in(folder)).value();
  CHECK(Engine::open(options_in(folder)).error().code == Code::unavailable);
}

TEST_CASE("after stop() calls end as stopped, and stopping twice is fine") {
  const Folder folder;
  auto engine = Engine::open(options_in(folder)).value();
  auto client = engine.client().value();
  const TaskId task = client.submit(spec_for("nobody")).value();
  auto waiting = std::async(std::launch::async, [&] { return client.wait(task, 1h).error().code; });
  engine.stop();
  engine.stop();
  CHECK(waiting.get() == Code::stopped);
  CHECK(client.submit(spec_for("nobody")).error().code == Code::stopped);
}

TEST_CASE("clients and workers of other processes come by a socket, and outlive a restart") {
  const Folder folder;
  EngineOptions options = options_in(folder);
  options.listen = {"ipc://" + folder.path() + "/jack.sock"};
  auto engine = std::make_unique<Engine>(Engine::open(options).value());
  REQUIRE(engine->endpoints().size() == 1);
  ClientOptions remote;
  remote.endpoint = engine->endpoints()[0];
  remote.patience = 30s;
  auto client = Client::connect(remote).value();

  std::promise<void> started;
  std::promise<void> finish;
  std::shared_future<void> may_finish = finish.get_future().share();
  std::atomic<int> runs = 0;
  WorkerOptions worker_options;
  worker_options.engine = remote;
  worker_options.queues = {"slow"};
  auto worker = Worker::start(worker_options, [&](Attempt&) -> Settlement {
                  if (++runs == 1) started.set_value();
                  may_finish.wait();
                  return "three engines later";
                }).value();
  const TaskId task = client.submit(spec_for("slow")).value();
  started.get_future().wait();
  for (int restarts = 0; restarts < 2; ++restarts) {
    engine.reset();
    engine = std::make_unique<Engine>(Engine::open(options).value());
    // Once the worker is back, the engine knows of its lease again.
    while (client.info().value().at("leases") != "1") std::this_thread::yield();
  }
  finish.set_value();
  CHECK(client.wait(task, 30s).value().result == "three engines later");
  const Task read = client.get(task).value();
  CHECK(runs == 1);
  CHECK(read.status.attempt == 1);
}

TEST_CASE("many clients and workers at once lose nothing") {
  const Folder folder;
  auto engine = Engine::open(options_in(folder)).value();
  std::atomic<int> runs = 0;
  WorkerOptions options;
  options.queues = {"work"};
  options.threads = 4;
  options.prefetch = 4;
  auto worker = engine
                    .work(options,
                          [&](Attempt& attempt) {
                            ++runs;
                            return attempt.task().payload;
                          })
                    .value();
  std::vector<std::future<int>> clients;
  for (int c = 0; c < 4; ++c) {
    clients.push_back(std::async(std::launch::async, [&engine, c] {
      auto client = engine.client().value();
      int right = 0;
      for (int i = 0; i < 50; ++i) {
        const std::string payload = std::to_string(c) + ":" + std::to_string(i);
        const TaskId task = client.submit(spec_for("work", payload)).value();
        right += client.wait(task, 30s).value().result == payload ? 1 : 0;
      }
      return right;
    }));
  }
  for (auto& client : clients) CHECK(client.get() == 50);
  CHECK(runs == 200);
}

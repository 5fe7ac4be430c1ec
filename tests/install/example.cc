// What a program outside the project builds against the installed library: all of it that such a
// program can use, on an engine of its own and on the Harness.
#include <chrono>
#include <iostream>
#include <string>

#include <jack_engine/client.h>
#include <jack_engine/engine.h>
#include <jack_engine/testing/harness.h>
#include <jack_engine/version.h>
#include <jack_engine/worker.h>

namespace {

using namespace std::chrono_literals;

jack::Settlement answer(jack::Attempt& attempt) {
  return jack::Settlement(attempt.task().payload + "!");
}

// An engine with a socket, and a client and a worker that reach it as another process would.
std::string by_engine() {
  jack::EngineOptions options;
  options.transport = "memory";
  options.listen = {"tcp://127.0.0.1:0"};
  jack::Engine engine = jack::Engine::open(options).value();
  jack::ClientOptions there;
  there.endpoint = engine.endpoints().front();
  jack::WorkerOptions working;
  working.engine = there;
  working.queues = {"greet"};
  jack::Worker worker = jack::Worker::start(working, answer).value();
  jack::Client client = jack::Client::connect(there).value();
  jack::TaskSpec spec;
  spec.queue = "greet";
  spec.payload = "engine";
  return client.wait(client.submit(spec).value(), 30s).value().result;
}

// The first attempt fails, the second comes a day later and takes no time here.
std::string by_harness() {
  jack::testing::Harness harness;
  harness.on("greet", [](jack::Attempt& attempt) {
    return attempt.number() == 1 ? jack::Settlement::fail("not yet") : answer(attempt);
  });
  jack::TaskSpec spec;
  spec.queue = "greet";
  spec.payload = "harness";
  spec.backoff.initial = 24h;
  spec.backoff.max = 24h;
  spec.backoff.jitter_permille = 0;
  const jack::TaskId task = harness.submit(spec);
  harness.advance(24h);
  harness.run_until_idle();
  return harness.result(task);
}

}  // namespace

int main() { std::cout << jack::version() << ' ' << by_engine() << ' ' << by_harness() << '\n'; }

// A program with an engine inside, whose handler ends the whole program.
//
//   aborting_program DIR [ATTEMPTS]
//
// With ATTEMPTS it submits a task first and prints its id. It ends in order, with status 0, once
// that task or any left by an earlier run has failed, and says how often it was tried.
#include <cstdlib>
#include <iostream>
#include <string>

#include <jack_engine/engine.h>

namespace {

constexpr std::chrono::seconds kPatience{60};

jack::TaskSpec poison(int attempts) {
  jack::TaskSpec spec;
  spec.queue = "poison";
  spec.max_attempts = static_cast<std::uint32_t>(attempts);
  spec.backoff.initial = jack::Duration{1};
  return spec;
}

int run(const std::string& data_dir, int attempts) {
  jack::EngineOptions options;
  options.data_dir = data_dir;
  jack::Engine engine = jack::Engine::open(options).value();
  jack::Client client = engine.client().value();
  if (attempts > 0) {
    const jack::TaskId submitted = client.submit(poison(attempts)).value();
    std::cout << jack::to_string(submitted) << std::endl;
  }
  const jack::TaskId id = client.list({}).value().tasks.front().spec.id;
  jack::Worker worker =
      engine.work("poison", [](jack::Attempt&) -> jack::Settlement { std::abort(); }).value();
  const jack::TaskResult result = client.wait(id, kPatience).value();
  const jack::Task task = client.get(id).value();
  std::cout << jack::name_of(result.state) << " after " << task.status.attempt << std::endl;
  for (const jack::AttemptRecord& attempt : task.status.attempts) {
    std::cout << jack::name_of(attempt.outcome) << std::endl;
  }
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  return run(arguments[1], count > 2 ? std::atoi(arguments[2]) : 0);
}

// An engine as a worker sees it, which says what the test tells it to.
#pragma once

#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/worker.h>

#include "engine/format/spec.h"
#include "tests/catch.hpp"
#include "tests/wire/fake_engine.h"
#include "tests/wire/folder.h"

namespace jack::test {

// An engine and the worker's side of it.
struct Stage {
  Folder folder;
  std::unique_ptr<FakeEngine> engine = std::make_unique<FakeEngine>(FakeEngine::in(folder.path()));
  std::uint32_t subscription = 0;

  WorkerOptions options() const {
    WorkerOptions options;
    options.engine.data_dir = folder.path();
    options.engine.patience = std::chrono::seconds{20};
    options.queues = {"mail", "post"};
    options.grace = std::chrono::seconds{20};
    return options;
  }

  // Takes the greeting and the first `work`, and returns its credit.
  std::int64_t begin(std::uint64_t result_bytes_max = 1 << 20) {
    engine->welcome(result_bytes_max);
    const auto work = engine->take<wire::Work>();
    CHECK(work.queues == std::vector<std::string_view>{"mail", "post"});
    subscription = work.subscription;
    const std::int64_t credit = work.credit;
    engine->agree(work.correlation);
    return credit;
  }

  void restart() {
    engine.reset();
    engine = std::make_unique<FakeEngine>(FakeEngine::in(folder.path()));
  }

  // Hands out one task per token.
  void deliver(std::vector<std::uint64_t> tokens, Duration lease = std::chrono::seconds{30}) {
    std::vector<std::string> specs;
    for (const std::uint64_t token : tokens) {
      TaskSpec spec;
      spec.id = id_of(token);
      spec.queue = "mail";
      spec.payload = std::to_string(token);
      encode(spec, specs.emplace_back());
    }
    wire::Deliver deliver;
    deliver.subscription = subscription;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      deliver.items.push_back({{tokens[i]}, 1, lease, specs[i]});
    }
    engine->say(deliver);
  }

  void end(std::uint64_t token, Outcome outcome) {
    engine->say(wire::Ended{{{id_of(token), {token}, outcome, "because"}}});
  }

  static TaskId id_of(std::uint64_t token) {
    return TaskId::from(WallTime{Duration{1'700'000'000'000}}, 1, token);
  }

  // Stops the worker, whose last words are a withdrawal (where it had credit) and a farewell.
  void expect_bye(bool withdrawal) {
    if (withdrawal) {
      const auto work = engine->take<wire::Work>();
      CHECK(work.credit < 0);
      engine->agree(work.correlation);
    }
    engine->take<wire::Bye>();
  }

  // The same from beginning to end.
  void stop(Worker& worker, bool withdrawal = true) {
    const auto stopped = std::async(std::launch::async, [&] { worker.stop(); });
    expect_bye(withdrawal);
  }
};

inline wire::Done refused(wire::Correlation correlation, Code code, std::string_view message) {
  wire::Done done;
  done.correlation = correlation;
  done.items = {{code, false, message}};
  return done;
}

}  // namespace jack::test

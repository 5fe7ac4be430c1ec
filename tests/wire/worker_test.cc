// A Worker against an engine that says what the test tells it to: how it begins, goes on and ends.
#include <atomic>
#include <future>
#include <latch>
#include <memory>
#include <semaphore>
#include <set>
#include <stdexcept>

#include <jack_engine/worker.h>

#include "engine/runtime/attach.h"
#include "tests/catch.hpp"
#include "tests/wire/worker_stage.h"

namespace jack {

using namespace std::chrono_literals;
using test::FakeEngine;
using test::Folder;
using test::refused;
using test::Stage;

TEST_CASE("a worker asks for as many tasks as it has threads and places ahead, and settles them") {
  Stage stage;
  WorkerOptions options = stage.options();
  options.threads = 2;
  options.prefetch = 3;
  Worker worker = Worker::start(options, [](Attempt& attempt) {
                    return Settlement::succeed("did " + attempt.task().payload, "text/plain");
                  }).value();
  CHECK(stage.begin() == 5);

  for (std::uint64_t token = 1; token <= 20; ++token) {
    stage.deliver({token});
    // Nothing but settles, whose `again` keeps the credit up.
    const auto settle = stage.engine->take<wire::Settle>();
    REQUIRE(settle.items.size() == 1);
    CHECK(settle.items[0].task == Stage::id_of(token));
    CHECK(settle.items[0].token == LeaseToken{token});
    CHECK(settle.items[0].outcome == Outcome::succeeded);
    CHECK(settle.items[0].again);
    CHECK(settle.items[0].result == "did " + std::to_string(token));
    CHECK(settle.items[0].content_type == "text/plain");
    stage.engine->agree(settle.correlation);
  }

  stage.stop(worker);
  CHECK(worker.settled() == 20);
  CHECK(worker.wait().has_value());
}

TEST_CASE("what a handler returns or throws is what is settled") {
  Stage stage;
  Worker worker = Worker::start(stage.options(), [](Attempt& attempt) -> Settlement {
                    switch (attempt.token().value) {
                      case 1: return "plain";
                      case 2: return Settlement::fail("bad", 7s);
                      case 3: return Settlement::fail_for_good("worse");
                      case 4: return Settlement::release(9s);
                      case 5: return Settlement::release();
                      case 6: throw std::runtime_error("thrown");
                      case 7: throw 7;
                      default: {
                        TaskSpec next;
                        next.queue = "next";
                        next.payload = "go on";
                        TaskSpec named = next;
                        named.id = Stage::id_of(99);
                        named.parent = Stage::id_of(98);
                        return Settlement::succeed("r").then(next).then(named);
                      }
                    }
                  }).value();
  stage.begin();
  const auto settled = [&](std::uint64_t token) {
    stage.deliver({token});
    const auto settle = stage.engine->take<wire::Settle>();
    stage.engine->agree(settle.correlation);
    return settle.items.at(0);
  };

  CHECK(settled(1).result == "plain");
  auto item = settled(2);
  CHECK(item.outcome == Outcome::failed);
  CHECK(item.error == "bad");
  CHECK(item.retry);
  CHECK(item.delay == Duration{7s});
  item = settled(3);
  CHECK(item.error == "worse");
  CHECK_FALSE(item.retry);
  item = settled(4);
  CHECK(item.outcome == Outcome::released);
  CHECK(item.delay == Duration{9s});
  CHECK_FALSE(settled(5).delay.has_value());
  item = settled(6);
  CHECK(item.outcome == Outcome::failed);
  CHECK(item.error == "thrown");
  CHECK(item.retry);
  CHECK(settled(7).outcome == Outcome::failed);
  item = settled(8);
  REQUIRE(item.follow_ups.size() == 2);
  Unpacker unpacker;
  SpecView next = decode_spec(unpacker, item.follow_ups[0].spec).value();
  CHECK(next.id.is_version_7());
  CHECK(next.parent == Stage::id_of(8));
  CHECK(next.payload == "go on");
  next = decode_spec(unpacker, item.follow_ups[1].spec).value();
  CHECK(next.id == Stage::id_of(99));
  CHECK(next.parent == Stage::id_of(98));

  stage.stop(worker);
}

TEST_CASE("a task that the worker cannot read is failed by name") {
  Stage stage;
  std::atomic<int> called = 0;
  Worker worker = Worker::start(stage.options(), [&](Attempt&) {
                    ++called;
                    return "";
                  }).value();
  stage.begin();
  TaskSpec spec;
  spec.id = Stage::id_of(1);
  std::string bytes;
  encode(spec, bytes);
  bytes.back() = '\x81';  // a map with one field …
  bytes += "\x63\x01";    // … that this version does not know
  stage.engine->say(wire::Deliver{stage.subscription, {{{1}, 1, 30s, bytes}}});

  const auto settle = stage.engine->take<wire::Settle>();

  CHECK(settle.items.at(0).task == Stage::id_of(1));
  CHECK(settle.items.at(0).outcome == Outcome::failed);
  CHECK(called == 0);
  stage.engine->agree(settle.correlation);
  stage.stop(worker);
}

TEST_CASE("a lease that ends stops its handler, and what it returns is thrown away") {
  for (const Outcome outcome : {Outcome::cancelled, Outcome::timed_out, Outcome::lost}) {
    Stage stage;
    std::binary_semaphore running{0};
    Worker worker = Worker::start(stage.options(), [&](Attempt& attempt) {
                      running.release();
                      std::binary_semaphore stopped{0};
                      std::stop_callback on_stop(attempt.stop_token(), [&] { stopped.release(); });
                      stopped.acquire();
                      return "too late";
                    }).value();
    stage.begin();
    stage.deliver({1});
    REQUIRE(running.try_acquire_for(test::kSoon));

    stage.end(1, outcome);

    const auto settle = stage.engine->take<wire::Settle>();
    CHECK(settle.items.at(0).outcome == Outcome::released);
    CHECK(settle.items.at(0).again);  // there is room again
    stage.engine->say(refused(settle.correlation, Code::lease_lost, "ended"));
    auto stopped = std::async(std::launch::async, [&] { worker.stop(); });
    stage.expect_bye(true);
    stopped.get();
    CHECK(worker.settled() == 0);
  }
}

TEST_CASE(
    "an engine that asks who this is gets the subscription, the leases and the settles again") {
  Stage stage;
  WorkerOptions options = stage.options();
  options.threads = 2;
  options.prefetch = 2;
  std::counting_semaphore<8> go{0};
  Worker worker = Worker::start(options, [&](Attempt& attempt) {
                    if (attempt.token().value != 1) go.acquire();
                    return attempt.task().payload;
                  }).value();
  CHECK(stage.begin() == 4);
  stage.deliver({1, 2});
  auto settle = stage.engine->take<wire::Settle>();
  CHECK(settle.items.at(0).again);

  stage.engine->say(wire::Who{settle.correlation});

  // One task runs and one is settled without an answer: there is room for three.
  CHECK(stage.begin() == 3);
  const auto resume = stage.engine->take<wire::Resume>();
  CHECK(resume.subscription == stage.subscription);
  std::set<std::uint64_t> resumed;
  for (const auto& item : resume.items) {
    CHECK(item.task == Stage::id_of(item.token.value));
    resumed.insert(item.token.value);
  }
  CHECK(resumed == std::set<std::uint64_t>{1, 2});
  stage.engine->agree(resume.correlation, 2);
  settle = stage.engine->take<wire::Settle>();
  REQUIRE(settle.items.size() == 1);
  CHECK(settle.items[0].token == LeaseToken{1});
  CHECK_FALSE(settle.items[0].again);  // the new credit counts it already
  stage.engine->agree(settle.correlation);

  go.release();
  settle = stage.engine->take<wire::Settle>();
  CHECK(settle.items.at(0).token == LeaseToken{2});
  CHECK(settle.items.at(0).again);
  stage.engine->agree(settle.correlation);
  stage.stop(worker);
  CHECK(worker.settled() == 2);
}

TEST_CASE("a running attempt goes on over a restart of its engine") {
  Stage stage;
  std::binary_semaphore running{0};
  std::binary_semaphore go{0};
  std::atomic<bool> stop_seen = false;
  Worker worker = Worker::start(stage.options(), [&](Attempt& attempt) {
                    running.release();
                    go.acquire();
                    stop_seen = attempt.stop_token().stop_requested();
                    return "done";
                  }).value();
  CHECK(stage.begin() == 1);
  stage.deliver({1});
  REQUIRE(running.try_acquire_for(test::kSoon));

  for (int restart = 0; restart < 3; ++restart) {
    stage.restart();
    CHECK(stage.begin() == 0);
    const auto resume = stage.engine->take<wire::Resume>();
    REQUIRE(resume.items.size() == 1);
    CHECK(resume.items[0].token == LeaseToken{1});
    stage.engine->agree(resume.correlation);
  }
  go.release();

  const auto settle = stage.engine->take<wire::Settle>();
  CHECK(settle.items.at(0).result == "done");
  CHECK(settle.items.at(0).again);
  CHECK_FALSE(stop_seen);
  stage.engine->agree(settle.correlation);
  stage.stop(worker);
}

TEST_CASE("a lease that cannot be resumed stops its handler") {
  Stage stage;
  std::binary_semaphore running{0};
  Worker worker = Worker::start(stage.options(), [&](Attempt& attempt) {
                    running.release();
                    std::binary_semaphore stopped{0};
                    std::stop_callback on_stop(attempt.stop_token(), [&] { stopped.release(); });
                    stopped.acquire();
                    return "too late";
                  }).value();
  stage.begin();
  stage.deliver({1});
  REQUIRE(running.try_acquire_for(test::kSoon));
  stage.restart();
  stage.begin();
  const auto resume = stage.engine->take<wire::Resume>();

  stage.engine->say(refused(resume.correlation, Code::lease_lost, "too late"));

  const auto settle = stage.engine->take<wire::Settle>();
  CHECK(settle.items.at(0).outcome == Outcome::released);
  stage.engine->say(refused(settle.correlation, Code::lease_lost, "too late"));
  const auto work = stage.engine->take<wire::Work>();  // or a new task would never come
  CHECK(work.credit == 1);
  stage.engine->agree(work.correlation);
  stage.stop(worker);
}

TEST_CASE("a resume that the engine cannot take yet is asked again") {
  Stage stage;
  std::binary_semaphore running{0};
  std::binary_semaphore go{0};
  Worker worker = Worker::start(stage.options(), [&](Attempt&) {
                    running.release();
                    go.acquire();
                    return "done";
                  }).value();
  stage.begin();
  stage.deliver({1});
  REQUIRE(running.try_acquire_for(test::kSoon));
  stage.restart();
  stage.begin();
  auto resume = stage.engine->take<wire::Resume>();
  stage.engine->say(wire::Refused{resume.correlation, Code::unavailable, "joining"});

  resume = stage.engine->take<wire::Resume>();

  CHECK(resume.items.at(0).token == LeaseToken{1});
  stage.engine->agree(resume.correlation);
  go.release();
  const auto settle = stage.engine->take<wire::Settle>();
  CHECK(settle.items.at(0).result == "done");
  stage.engine->agree(settle.correlation);
  stage.stop(worker);
}

TEST_CASE("signs of life come by themselves, three in the shortest lease") {
  Stage stage;
  std::binary_semaphore go{0};
  Worker worker = Worker::start(stage.options(), [&](Attempt&) {
                    go.acquire();
                    return "";
                  }).value();
  stage.begin();
  const auto start = std::chrono::steady_clock::now();
  stage.deliver({1}, 300ms);

  stage.engine->idle_until([&] { return stage.engine->pings() >= 5; });

  CHECK(std::chrono::steady_clock::now() - start > 400ms);
  go.release();
  stage.engine->agree(stage.engine->take<wire::Settle>().correlation);
  stage.stop(worker);
}

// A worker that had got nothing yet kept to the engine's own lease, and was forgotten between two
// signs of life if its lease was shorter.
TEST_CASE("signs of life of an idle worker come in time for the lease that it asked for") {
  Stage stage;
  WorkerOptions options = stage.options();
  options.lease = 10ms;  // a second is the least that an engine gives
  Worker worker = Worker::start(options, [](Attempt&) { return ""; }).value();
  stage.begin();
  const auto start = std::chrono::steady_clock::now();

  stage.engine->idle_until([&] { return stage.engine->pings() >= 3; });

  CHECK(std::chrono::steady_clock::now() - start > 600ms);
  stage.stop(worker);
}

TEST_CASE("a graceful stop lets handlers finish and gives back what has not begun") {
  Stage stage;
  WorkerOptions options = stage.options();
  options.prefetch = 3;
  std::binary_semaphore running{0};
  std::binary_semaphore go{0};
  std::atomic<int> begun = 0;
  Worker worker = Worker::start(options, [&](Attempt&) {
                    ++begun;
                    running.release();
                    go.acquire();
                    return "finished";
                  }).value();
  CHECK(stage.begin() == 4);
  stage.deliver({1, 2});
  REQUIRE(running.try_acquire_for(test::kSoon));

  auto stopped = std::async(std::launch::async, [&] { worker.stop(); });
  const auto withdrawal = stage.engine->take<wire::Work>();
  CHECK(withdrawal.credit == -2);
  // Handed out before the engine heard of it.
  stage.deliver({3});
  stage.engine->agree(withdrawal.correlation);
  std::set<std::uint64_t> released;
  while (released.size() < 2) {
    const auto settle = stage.engine->take<wire::Settle>();
    for (const auto& item : settle.items) {
      CHECK(item.outcome == Outcome::released);
      CHECK_FALSE(item.again);
      released.insert(item.token.value);
    }
    stage.engine->agree(settle.correlation, settle.items.size());
  }
  CHECK(released == std::set<std::uint64_t>{2, 3});
  go.release();
  const auto settle = stage.engine->take<wire::Settle>();
  CHECK(settle.items.at(0).result == "finished");
  CHECK_FALSE(settle.items.at(0).again);
  stage.engine->agree(settle.correlation);
  stage.expect_bye(false);
  stopped.get();
  CHECK(begun == 1);
}

TEST_CASE("after the grace time handlers are asked to stop and their tasks given back") {
  Stage stage;
  WorkerOptions options = stage.options();
  options.grace = 10ms;
  std::binary_semaphore running{0};
  std::atomic<bool> stop_seen = false;
  Worker worker = Worker::start(options, [&](Attempt& attempt) {
                    running.release();
                    std::binary_semaphore stopped{0};
                    std::stop_callback on_stop(attempt.stop_token(), [&] { stopped.release(); });
                    stopped.acquire();
                    stop_seen = true;
                    return "not wanted any more";
                  }).value();
  stage.begin();
  stage.deliver({1});
  REQUIRE(running.try_acquire_for(test::kSoon));

  auto stopped = std::async(std::launch::async, [&] { worker.stop(); });
  const auto settle = stage.engine->take<wire::Settle>();
  CHECK(settle.items.at(0).outcome == Outcome::released);
  stage.engine->agree(settle.correlation);
  stage.expect_bye(false);
  stopped.get();
  CHECK(stop_seen);
}

TEST_CASE("a worker stops by itself after as many tasks as it was told") {
  Stage stage;
  WorkerOptions options = stage.options();
  options.prefetch = 5;
  options.tasks_max = 3;
  Worker worker = Worker::start(options, [](Attempt&) { return ""; }).value();
  CHECK(stage.begin() == 3);
  for (std::uint64_t token = 1; token <= 3; ++token) {
    stage.deliver({token});
    const auto settle = stage.engine->take<wire::Settle>();
    CHECK_FALSE(settle.items.at(0).again);
    stage.engine->agree(settle.correlation);
  }
  stage.expect_bye(false);

  CHECK(worker.wait().has_value());
  CHECK(worker.settled() == 3);
}

// It counted the tasks that it took, so one whose lease was lost used up a place; and so did one
// that it had given back.
TEST_CASE("a worker told to do so many tasks takes another for one lost or given back") {
  const bool given_back = GENERATE(false, true);
  Stage stage;
  WorkerOptions options = stage.options();
  options.threads = 3;
  options.tasks_max = 2;
  // Else it could be known that one more is wanted before the other one is settled.
  std::latch other_settled(1);
  Worker worker = Worker::start(options, [&](Attempt& attempt) {
                    if (attempt.token() != LeaseToken{1}) return Settlement("");
                    other_settled.wait();
                    return given_back ? Settlement::release() : Settlement("");
                  }).value();
  CHECK(stage.begin() == 2);
  stage.deliver({1, 2});
  for (const std::uint64_t token : {2U, 1U}) {
    const auto settle = stage.engine->take<wire::Settle>();
    REQUIRE(settle.items.size() == 1);
    CHECK(settle.items[0].token == LeaseToken{token});
    CHECK_FALSE(settle.items[0].again);  // it may be all that was wanted
    const bool lost = token == 1 && !given_back;
    stage.engine->say(
        wire::Done{settle.correlation, {{lost ? Code::lease_lost : Code::ok, false, {}}}});
    if (token == 2) other_settled.count_down();
  }

  const auto work = stage.engine->take<wire::Work>();

  CHECK(work.credit == 1);
  stage.engine->agree(work.correlation);
  stage.deliver({3});
  stage.engine->agree(stage.engine->take<wire::Settle>().correlation);
  stage.expect_bye(false);
  CHECK(worker.wait().has_value());
  CHECK(worker.settled() == 2);
}

TEST_CASE("who wants to know hears of each attempt once its settle is answered") {
  Stage stage;
  WorkerOptions options = stage.options();
  std::vector<std::string> heard;
  options.on_settled = [&](const SettledAttempt& attempt) {
    const bool complete = attempt.task == Stage::id_of(attempt.token.value) &&
                          attempt.number == 1 && attempt.took.has_value();
    heard.push_back(std::to_string(attempt.token.value) + " of " + std::string(attempt.queue) +
                    ": " + attempt.settlement.result() + attempt.settlement.error() + " " +
                    std::string(complete ? name_of(attempt.answer) : "incomplete"));
  };
  Worker worker = Worker::start(options, [](Attempt& attempt) -> Settlement {
                    if (attempt.token().value == 3) return std::string(11, 'x');
                    return "r";
                  }).value();
  stage.begin(10);
  stage.deliver({1});
  auto settle = stage.engine->take<wire::Settle>();
  stage.engine->say(refused(settle.correlation, Code::unavailable, "not now"));
  settle = stage.engine->take<wire::Settle>();
  stage.engine->agree(settle.correlation);
  stage.deliver({2});
  settle = stage.engine->take<wire::Settle>();
  stage.engine->say(refused(settle.correlation, Code::lease_lost, "too late"));
  stage.deliver({3});
  settle = stage.engine->take<wire::Settle>();
  stage.engine->agree(settle.correlation);

  stage.stop(worker);
  REQUIRE(heard.size() == 3);
  CHECK(heard[0] == "1 of mail: r ok");
  CHECK(heard[1] == "2 of mail: r lease_lost");
  CHECK_THAT(heard[2], ::test::ContainsSubstring("3 of mail: payload_too_large"));
}

TEST_CASE("a worker that the engine refuses for good says why") {
  Stage stage;
  Worker worker = Worker::start(stage.options(), [](Attempt&) { return ""; }).value();
  stage.engine->welcome();
  const auto work = stage.engine->take<wire::Work>();
  stage.engine->say(refused(work.correlation, Code::permission_denied, "not these queues"));

  CHECK(worker.wait().error() == Error{Code::permission_denied, "not these queues"});
  stage.expect_bye(false);
}

TEST_CASE("a worker that the engine cannot take yet asks again") {
  Stage stage;
  Worker worker = Worker::start(stage.options(), [](Attempt&) { return ""; }).value();
  stage.engine->welcome();
  auto work = stage.engine->take<wire::Work>();
  stage.engine->say(wire::Refused{work.correlation, Code::stopped, "the disk failed"});

  work = stage.engine->take<wire::Work>();

  CHECK(work.credit == 1);
  stage.engine->agree(work.correlation);
  stage.stop(worker);
}

TEST_CASE("a stop without an engine ends when the patience does") {
  Folder folder;
  WorkerOptions options;
  options.engine.data_dir = folder.path();
  options.engine.patience = 20ms;
  options.queues = {"mail"};
  Worker worker = Worker::start(options, [](Attempt&) { return ""; }).value();

  worker.stop();

  CHECK(worker.wait().has_value());
  CHECK(worker.settled() == 0);
}

TEST_CASE("a handler may stop its own worker") {
  Stage stage;
  std::optional<Worker> worker;
  std::binary_semaphore assigned{0};
  worker.emplace(Worker::start(stage.options(), [&](Attempt&) {
                   assigned.acquire();
                   worker->stop();
                   return "last";
                 }).value());
  assigned.release();
  stage.begin();
  stage.deliver({1});

  const auto settle = stage.engine->take<wire::Settle>();
  CHECK(settle.items.at(0).result == "last");
  stage.engine->agree(settle.correlation);
  stage.expect_bye(false);
  CHECK(worker->wait().has_value());
}

TEST_CASE("options that make no sense are refused at the start") {
  const Handler handler = [](Attempt&) { return ""; };
  const auto code_of = [&](const WorkerOptions& options, const Handler& with) {
    return Worker::start(options, with).error().code;
  };
  WorkerOptions options;
  CHECK(code_of(options, handler) == Code::invalid_argument);
  options.queues.assign(65, "q");
  CHECK(code_of(options, handler) == Code::invalid_argument);
  options.queues = {"a b"};
  CHECK(code_of(options, handler) == Code::invalid_argument);
  options.queues = {"q"};
  CHECK(code_of(options, nullptr) == Code::invalid_argument);
  options.threads = 0;
  CHECK(code_of(options, handler) == Code::invalid_argument);
  options.threads = 1;
  options.engine.endpoint = "nowhere";
  CHECK(code_of(options, handler) == Code::invalid_argument);
}

TEST_CASE("a worker in the engine's process ends as stopped when the engine does") {
  const auto context = wire::open_context().value();
  const auto router = wire::Router::open(*context, {}).value();
  WorkerOptions options;
  options.queues = {"mail"};
  Worker worker = Attach::worker(*context, wire::Router::kInProcess, options, [](Attempt&) {
                    return "";
                  }).value();
  test::wait_for_a_message(*router);

  context->shutdown();

  CHECK(worker.wait().error().code == Code::stopped);
}

}  // namespace jack

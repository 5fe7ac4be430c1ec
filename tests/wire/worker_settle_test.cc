// What a Worker says of its attempts: settles, output and progress.
#include <future>
#include <semaphore>
#include <set>
#include <string>

#include <jack_engine/worker.h>

#include "tests/catch.hpp"
#include "tests/wire/worker_stage.h"

namespace jack {

using namespace std::chrono_literals;
using test::refused;
using test::Stage;

TEST_CASE("a result beyond the limit fails the attempt for good, by that name") {
  Stage stage;
  Worker worker =
      Worker::start(stage.options(), [](Attempt&) { return std::string(11, 'x'); }).value();
  stage.begin(10);
  stage.deliver({1});

  const auto settle = stage.engine->take<wire::Settle>();

  CHECK(settle.items.at(0).outcome == Outcome::failed);
  CHECK_FALSE(settle.items.at(0).retry);
  CHECK_THAT(std::string(settle.items.at(0).error), ::test::ContainsSubstring("payload_too_large"));
  stage.engine->agree(settle.correlation);
  stage.stop(worker);
}

TEST_CASE("a settle that the engine refuses for good becomes a failure by that name") {
  Stage stage;
  Worker worker = Worker::start(stage.options(), [](Attempt&) { return "r"; }).value();
  stage.begin();
  stage.deliver({1});
  auto settle = stage.engine->take<wire::Settle>();
  stage.engine->say(refused(settle.correlation, Code::already_exists, "a follow-up's id is taken"));

  settle = stage.engine->take<wire::Settle>();

  CHECK(settle.items.at(0).outcome == Outcome::failed);
  CHECK_FALSE(settle.items.at(0).retry);
  CHECK_FALSE(settle.items.at(0).again);
  CHECK(settle.items.at(0).error == "already_exists: a follow-up's id is taken");
  // Refused once more there is nothing left to say, and the lease runs out.
  stage.engine->say(refused(settle.correlation, Code::invalid_argument, "no"));
  stage.stop(worker);
}

TEST_CASE("a settle that the engine cannot take yet is repeated until it is answered") {
  Stage stage;
  Worker worker = Worker::start(stage.options(), [](Attempt&) { return "r"; }).value();
  stage.begin();
  stage.deliver({1});
  auto settle = stage.engine->take<wire::Settle>();
  CHECK(settle.items.at(0).again);
  stage.engine->say(refused(settle.correlation, Code::queue_full, "the reply queue is full"));
  settle = stage.engine->take<wire::Settle>();
  CHECK(settle.items.at(0).result == "r");
  CHECK_FALSE(settle.items.at(0).again);
  stage.engine->say(wire::Refused{settle.correlation, Code::unavailable, "no journal"});
  settle = stage.engine->take<wire::Settle>();
  CHECK(settle.items.at(0).result == "r");
  stage.engine->agree(settle.correlation);

  stage.stop(worker);
  CHECK(worker.settled() == 1);
}

// A batch was open until it had 1 MiB, so that a large result could join a small one and both went
// beyond what an engine takes: it cut the connection, and got the same frame again after each
// reconnect.
TEST_CASE("results that are too large for one message together are settled one after the other") {
  constexpr std::size_t kSmall = 900 << 10;
  constexpr std::size_t kLarge = 7'500 << 10;
  for (const std::uint64_t large : {std::uint64_t{1}, std::uint64_t{2}}) {  // whichever comes first
    Stage stage;
    WorkerOptions options = stage.options();
    options.threads = 2;
    Worker worker = Worker::start(options, [&](Attempt& attempt) {
                      return std::string(attempt.token().value == large ? kLarge : kSmall, 'x');
                    }).value();
    stage.begin(8 << 20);
    stage.deliver({1, 2});
    for (std::size_t items = 0; items < 2;) {
      items += stage.engine->take<wire::Settle>().items.size();
    }
    // Nothing was answered, so all of it is repeated, at once.
    stage.engine->say(wire::Who{});
    stage.begin(8 << 20);
    stage.engine->agree(stage.engine->take<wire::Resume>().correlation, 2);

    std::set<std::size_t> sizes;
    for (int i = 0; i < 2; ++i) {
      const auto settle = stage.engine->take<wire::Settle>();
      REQUIRE(settle.items.size() == 1);
      sizes.insert(settle.items[0].result.size());
      stage.engine->agree(settle.correlation);
    }

    CHECK(sizes == std::set<std::size_t>{kSmall, kLarge});
    auto stopped = std::async(std::launch::async, [&] { worker.stop(); });
    stage.expect_bye(true);
  }
}

// Only the result and the follow-ups were measured before.
TEST_CASE("a settle that is too large by whatever it holds fails the attempt, by that name") {
  Stage stage;
  Worker worker = Worker::start(stage.options(), [](Attempt&) {
                    return Settlement::succeed("r", std::string(9 << 20, 't'));
                  }).value();
  stage.begin();
  stage.deliver({1});

  const auto settle = stage.engine->take<wire::Settle>();

  CHECK(settle.items.at(0).outcome == Outcome::failed);
  CHECK_THAT(std::string(settle.items.at(0).error), ::test::ContainsSubstring("payload_too_large"));
  stage.engine->agree(settle.correlation);
  stage.stop(worker);
}

TEST_CASE("output arrives whole, in order and before the settle; progress along with it") {
  Stage stage;
  constexpr int kLines = 50'000;
  Worker worker = Worker::start(stage.options(), [](Attempt& attempt) {
                    attempt.progress(0.5, "half");
                    for (int i = 0; i < kLines; ++i) attempt.output(std::to_string(i) + "\n");
                    return "done";
                  }).value();
  stage.begin();
  stage.deliver({1});

  std::string output;
  std::uint32_t permille = 0;
  int messages = 0;
  for (bool settled = false; !settled;) {
    stage.engine->next();
    Unpacker unpacker;
    const auto request = wire::decode_request(unpacker, stage.engine->last().frame).value();
    if (const auto* said = std::get_if<wire::Output>(&request)) {
      REQUIRE(said->items.size() == 1);
      CHECK(said->items[0].token == LeaseToken{1});
      CHECK(said->items[0].bytes.size() <= 256 << 10);
      output += said->items[0].bytes;
      ++messages;
      stage.engine->agree(said->correlation);
    } else if (const auto* progress = std::get_if<wire::Progress>(&request)) {
      permille = progress->items.at(0).permille;
      CHECK(progress->items.at(0).note == "half");
    } else {
      const auto& settle = std::get<wire::Settle>(request);
      CHECK(settle.items.at(0).result == "done");
      stage.engine->agree(settle.correlation);
      settled = true;
    }
  }

  std::string expected;
  for (int i = 0; i < kLines; ++i) expected += std::to_string(i) + "\n";
  CHECK(output == expected);
  CHECK(permille == 500);
  CHECK(messages < kLines / 100);
  stage.stop(worker);
}

TEST_CASE("output that was not answered before a restart is said again") {
  Stage stage;
  std::binary_semaphore go{0};
  Worker worker = Worker::start(stage.options(), [&](Attempt& attempt) {
                    attempt.output("first");
                    go.acquire();
                    return "done";
                  }).value();
  stage.begin();
  stage.deliver({1});
  CHECK(stage.engine->take<wire::Output>().items.at(0).bytes == "first");
  stage.restart();
  stage.begin();
  stage.engine->agree(stage.engine->take<wire::Resume>().correlation);

  const auto output = stage.engine->take<wire::Output>();

  CHECK(output.items.at(0).bytes == "first");
  stage.engine->agree(output.correlation);
  go.release();
  stage.engine->agree(stage.engine->take<wire::Settle>().correlation);
  stage.stop(worker);
}

// Only rate_limited was taken for a refusal that passes; at a full disk, or an engine that was
// going down, the task succeeded with a hole in its output.
TEST_CASE("output that is refused for now is said again before the settle, as often as it takes") {
  Stage stage;
  Worker worker = Worker::start(stage.options(), [&](Attempt& attempt) {
                    attempt.output("first");
                    return "done";
                  }).value();
  stage.begin();
  stage.deliver({1});
  for (const Code code : {Code::rate_limited, Code::storage_full, Code::stopped}) {
    const auto output = stage.engine->take<wire::Output>();
    CHECK(output.items.at(0).bytes == "first");
    stage.engine->say(refused(output.correlation, code, "not now"));
  }
  auto output = stage.engine->take<wire::Output>();
  CHECK(output.items.at(0).bytes == "first");
  stage.engine->say(wire::Refused{output.correlation, Code::unavailable, "not now"});
  output = stage.engine->take<wire::Output>();
  CHECK(output.items.at(0).bytes == "first");
  stage.engine->agree(output.correlation);

  const auto settle = stage.engine->take<wire::Settle>();

  CHECK(settle.items.at(0).result == "done");
  stage.engine->agree(settle.correlation);
  stage.stop(worker);
}

TEST_CASE("output that an engine takes only in smaller parts is cut into them") {
  Stage stage;
  const std::string all(200'000, 'x');
  Worker worker = Worker::start(stage.options(), [&](Attempt& attempt) {
                    attempt.output(all);
                    return "done";
                  }).value();
  stage.begin();
  stage.deliver({1});

  std::size_t taken = 0;
  while (taken < all.size()) {
    const auto output = stage.engine->take<wire::Output>();
    const std::size_t bytes = output.items.at(0).bytes.size();
    if (bytes > 100'000) {
      stage.engine->say(refused(output.correlation, Code::rate_limited, "more than ever passes"));
    } else {
      taken += bytes;
      stage.engine->agree(output.correlation);
    }
  }

  CHECK(taken == all.size());
  stage.engine->agree(stage.engine->take<wire::Settle>().correlation);
  stage.stop(worker);
}

TEST_CASE("output that is refused for good is dropped, and its task settled") {
  Stage stage;
  Worker worker = Worker::start(stage.options(), [&](Attempt& attempt) {
                    attempt.output("first");
                    return "done";
                  }).value();
  stage.begin();
  stage.deliver({1});
  const auto output = stage.engine->take<wire::Output>();
  stage.engine->say(refused(output.correlation, Code::invalid_argument, "never"));

  const auto settle = stage.engine->take<wire::Settle>();

  CHECK(settle.items.at(0).result == "done");
  stage.engine->agree(settle.correlation);
  stage.stop(worker);
}

TEST_CASE("output that nobody takes holds its handler back, until its lease ends") {
  Stage stage;
  Worker worker = Worker::start(stage.options(), [&](Attempt& attempt) {
                    while (!attempt.stop_token().stop_requested())
                      attempt.output(std::string(64 << 10, 'x'));
                    return "";
                  }).value();
  stage.begin();
  stage.deliver({1});
  stage.engine->take<wire::Output>();  // and no answer, so no more comes

  stage.end(1, Outcome::cancelled);

  const auto settle = stage.engine->take<wire::Settle>();
  CHECK(settle.items.at(0).outcome == Outcome::released);
  stage.engine->say(refused(settle.correlation, Code::lease_lost, ""));
  stage.stop(worker);
}

}  // namespace jack

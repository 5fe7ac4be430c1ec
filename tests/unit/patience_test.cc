#include "engine/runtime/patience.h"

#include "tests/catch.hpp"

namespace jack {

using namespace std::chrono_literals;

TEST_CASE("patience ends without a word from the engine, and each word renews it") {
  const Patience::Time start{1h};
  Patience patience(5s, start);

  CHECK_FALSE(patience.over(start + 4999ms));
  CHECK(patience.over(start + 5s));
  patience.renew(start + 4s);
  CHECK_FALSE(patience.over(start + 8999ms));
  CHECK(patience.over(start + 9s));
}

TEST_CASE("a sign of life is asked for in time, however short the patience") {
  const Patience::Time start{1h};
  const auto [span, ping] =
      GENERATE(table<Duration, Duration>({{60s, 2500ms}, {5s, 2500ms}, {2s, 1s}, {100ms, 50ms}}));
  Patience patience(span, start);

  CHECK_FALSE(patience.ping_is_due(start + ping - 1ms));
  CHECK(patience.ping_is_due(start + ping));
  CHECK(patience.pause(start, 1h) == ping);
  CHECK(patience.pause(start, 10ms) == 10ms);
  CHECK(patience.pause(start + ping + 1s, 10ms) == 0ms);
  patience.pinged(start + ping, true);
  CHECK(patience.ping_is_due(start + 2 * ping));
}

// It counted as said: five seconds after its last word nobody asked the engine, which had long been
// back, before giving up.
TEST_CASE("a ping that could not leave is tried again soon") {
  const Patience::Time start{1h};
  Patience patience(5s, start);

  patience.pinged(start + 2500ms, false);

  CHECK(patience.ping_is_due(start + 2600ms));
}

}  // namespace jack

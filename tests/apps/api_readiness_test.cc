// Whether an engine is ready, by its facts.
#include <map>
#include <string>

#include <jack_engine/testing/harness.h>

#include "apps/api/api.h"
#include "engine/runtime/fact_names.h"
#include "tests/catch.hpp"

namespace jack {
namespace {

using Facts = std::map<std::string, std::string>;

std::string unready(const Facts& facts) {
  wire::EngineInfo info;
  for (const auto& [name, value] : facts) info.facts.emplace_back(name, value);
  return api::unready_because(info);
}

std::string ms(Duration duration) { return std::to_string(duration.count()); }

TEST_CASE("an engine is ready while it runs and neither its journal nor its store stands still") {
  const Facts good{{"state", "running"}, {"append_ms", "0"}, {"flush_ms", "0"}};
  const auto with = [&good](const std::string& name, const std::string& value) {
    Facts facts = good;
    facts[name] = value;
    return unready(facts);
  };
  CHECK(unready(good).empty());
  CHECK(with("state", "leaving") == "the engine is leaving");
  CHECK(with("state", "storage_full") == "the engine is storage_full");
  CHECK_FALSE(unready({}).empty());

  CHECK(with("append_ms", ms(api::kAppendMax)).empty());
  CHECK(with("append_ms", ms(api::kAppendMax + Duration{1})) == "the journal stands still");
  CHECK(with("flush_ms", ms(api::kFlushMax)).empty());
  CHECK(with("flush_ms", ms(api::kFlushMax + Duration{1})) == "the store stands still");
}

TEST_CASE("an engine tells by these names whether it is ready") {
  testing::Harness jack;
  Facts facts;
  for (const std::string_view name :
       {fact_names::kState, fact_names::kAppendMs, fact_names::kFlushMs}) {
    facts[std::string(name)] = jack.fact(name);
    CHECK_FALSE(facts[std::string(name)].empty());
  }

  CHECK(unready(facts).empty());
}

}  // namespace
}  // namespace jack

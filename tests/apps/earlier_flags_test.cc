// Lines of the earlier program, put as today.
#include "apps/cli/earlier_flags.h"

#include <string>
#include <vector>

#include "apps/program.h"
#include "tests/catch.hpp"

namespace jack::app {
namespace {

using Arguments = std::vector<std::string>;

Arguments put(const Arguments& arguments) {
  return without_earlier_flags(arguments, all_commands()).value();
}

std::string refusal_of(const Arguments& arguments) {
  const Result<Arguments> refused = without_earlier_flags(arguments, all_commands());
  return refused ? "" : refused.error().message;
}

TEST_CASE("a flag of the earlier program is today's command") {
  CHECK(put({"--add-task", "x"}) == Arguments{"add", "--", "x"});
  CHECK(put({"-a", "x"}) == Arguments{"add", "--", "x"});
  CHECK(put({"--tasks"}) == Arguments{"list"});
  CHECK(put({"-t"}) == Arguments{"list"});
  CHECK(put({"--task-status", "17"}) == Arguments{"task-status", "--", "17"});
  CHECK(put({"-s", "17"}) == Arguments{"task-status", "--", "17"});
  CHECK(put({"--results"}) == Arguments{"results"});
  CHECK(put({"-r"}) == Arguments{"results"});
  CHECK(put({"--health"}) == Arguments{"health"});
  CHECK(put({"-H"}) == Arguments{"health"});
}

TEST_CASE("other options keep their order around it") {
  CHECK(put({"--url", "u", "-t", "--limit", "5"}) ==
        Arguments{"list", "--url", "u", "--limit", "5"});
  CHECK(put({"-l5", "-r", "--json"}) == Arguments{"results", "-l5", "--json"});
  CHECK(put({"-a", "x", "--url=u"}) == Arguments{"add", "--url=u", "--", "x"});
}

TEST_CASE("the value of a flag may be part of it, and may then begin with a dash") {
  CHECK(put({"--add-task=x"}) == Arguments{"add", "--", "x"});
  CHECK(put({"--add-task="}) == Arguments{"add", "--", ""});
  CHECK(put({"--add-task=--tasks"}) == Arguments{"add", "--", "--tasks"});
  CHECK(put({"-ax"}) == Arguments{"add", "--", "x"});
  CHECK(put({"-s17"}) == Arguments{"task-status", "--", "17"});
}

TEST_CASE("a text that is a list of things with dashes is a text") {
  CHECK(put({"-a", "- buy milk"}) == Arguments{"add", "--", "- buy milk"});
  CHECK(put({"-a", "-"}) == Arguments{"add", "--", "-"});
  CHECK(put({"-a", ""}) == Arguments{"add", "--", ""});
}

TEST_CASE("two such flags, or one without its value, are refused") {
  CHECK(refusal_of({"--tasks", "-H"}) == "--tasks and -H: only one at a time");
  CHECK(refusal_of({"-t", "-t"}) == "-t and -t: only one at a time");
  CHECK(refusal_of({"--add-task"}) == "--add-task needs TEXT");
  CHECK(refusal_of({"-s"}) == "-s needs ID");
  CHECK(refusal_of({"-a", "--tasks"}) == "-a needs TEXT");
  CHECK(refusal_of({"-a", "--help"}) == "-a needs TEXT");
}

TEST_CASE("any other line stays as it is") {
  const Arguments line = GENERATE(Arguments{}, Arguments{"--help"}, Arguments{"--version"},
                                  Arguments{"ls", "-s", "failed"}, Arguments{"watch", "-t"},
                                  Arguments{"submit", "q", "--", "--tasks"},
                                  Arguments{"--url", "u"}, Arguments{"--tasks=5"});

  CHECK(put(line) == line);
}

}  // namespace
}  // namespace jack::app

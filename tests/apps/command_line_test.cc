// What a command line gives, and what is said of one that is wrong.
#include <string>
#include <vector>

#include "apps/cli/command.h"
#include "apps/cli/completion.h"
#include "apps/cli/help.h"
#include "apps/exit_status.h"
#include "apps/program.h"
#include "tests/catch.hpp"

namespace jack::app {
namespace {

struct Given {
  std::string queue;
  std::optional<std::string> payload;
  std::vector<std::pair<std::string, std::string>> headers;
  Duration delay{0};
  std::uint32_t jobs = 1;
  std::string level = "full";
  bool wait = false;
  std::vector<std::string> rest;
};

Command command_of(Given& given) {
  Command command("try", "try things");
  command.argument("QUEUE", given.queue, "a queue")
      .argument("[PAYLOAD]", given.payload, "a payload")
      .option("--header", "NAME=VALUE", given.headers, "a header")
      .option("--delay", "DURATION", given.delay, "a delay")
      .option("--jobs,-j", "N", given.jobs, "a count")
      .option("--durability", "LEVEL", given.level, "a choice")
      .choices({"full", "normal"})
      .flag("--wait,-w", given.wait, "a flag");
  return command;
}

std::string refusal_of(const std::vector<std::string>& arguments) {
  Given given;
  const Result<void> parsed = command_of(given).parse(arguments);
  return parsed ? "" : parsed.error().message;
}

TEST_CASE("options stand anywhere, arguments by their place") {
  Given given;

  REQUIRE(command_of(given).parse(
      {"--delay", "5s", "mail", "-j3", "--header", "a=b", "hello", "--header=c=d=e", "-w"}));

  CHECK(given.queue == "mail");
  CHECK(given.payload == "hello");
  CHECK(given.delay == Duration{5000});
  CHECK(given.jobs == 3);
  CHECK(given.wait);
  REQUIRE(given.headers.size() == 2);
  CHECK(given.headers[0] == std::pair<std::string, std::string>("a", "b"));
  CHECK(given.headers[1] == std::pair<std::string, std::string>("c", "d=e"));
}

TEST_CASE("a payload may look like anything") {
  const std::string payload = GENERATE("-", "[1,2,3]", "{\"a\": 1}", "a b", "", "%", "ls");
  CAPTURE(payload);
  Given given;

  REQUIRE(command_of(given).parse({"mail", payload}));

  CHECK(given.payload == payload);
}

TEST_CASE("behind -- a payload may even look like an option") {
  Given given;

  REQUIRE(command_of(given).parse({"mail", "--", "--wait"}));

  CHECK(given.payload == "--wait");
  CHECK(!given.wait);
}

TEST_CASE("the rest behind -- is another command line and is not looked into") {
  Given given;
  Command command("work", "work");
  command.argument("QUEUE", given.queue, "a queue")
      .flag("--wait", given.wait, "a flag")
      .rest("COMMAND", given.rest, "a command");

  REQUIRE(command.parse({"mail", "--", "jack", "submit", "--wait", "--", "-x"}));

  CHECK(given.queue == "mail");
  CHECK(!given.wait);
  CHECK(given.rest == std::vector<std::string>{"jack", "submit", "--wait", "--", "-x"});
}

TEST_CASE("a command line that is wrong is refused with what is wrong") {
  CHECK_THAT(refusal_of({}), test::ContainsSubstring("QUEUE"));
  CHECK_THAT(refusal_of({"mail", "a", "b"}),
             test::ContainsSubstring("'b' is one argument too many"));
  CHECK_THAT(refusal_of({"mail", "--dealy", "5s"}),
             test::ContainsSubstring("did you mean --delay?"));
  CHECK_THAT(refusal_of({"mail", "--colour"}), test::ContainsSubstring("no option --colour"));
  CHECK_THAT(refusal_of({"mail", "--delay", "soon"}),
             test::ContainsSubstring("--delay: 'soon' is no duration"));
  CHECK_THAT(refusal_of({"mail", "--delay"}), test::ContainsSubstring("--delay"));
  CHECK_THAT(refusal_of({"mail", "-j", "-1"}), test::ContainsSubstring("--jobs"));
  CHECK_THAT(refusal_of({"mail", "-j", "4294967296"}), test::ContainsSubstring("--jobs"));
  CHECK_THAT(refusal_of({"mail", "--header", "=x"}), test::ContainsSubstring("NAME=VALUE"));
  CHECK_THAT(refusal_of({"mail", "--durability", "most"}),
             test::ContainsSubstring("'most' is none of full"));
  CHECK(!refusal_of({"mail", "--wait=perhaps"}).empty());
  CHECK(!refusal_of({"mail", "--delay", "1s", "--delay", "2s"}).empty());
}

TEST_CASE("a position is an entry and a place within it") {
  Position position;

  REQUIRE(read_value("1042.3", position));
  CHECK(position == Position{1042, 3});
  REQUIRE(read_value("1042", position));
  CHECK(position == Position{1042, UINT32_MAX});
  CHECK(!read_value("1042.", position));
  CHECK(!read_value(".3", position));
  CHECK(!read_value("1042.3.1", position));
  CHECK(!read_value("-1", position));
  CHECK(text_of(Position{7, 0}) == "7.0");
}

TEST_CASE("every code has the exit status that is documented") {
  CHECK(status_of(Code::ok) == ExitStatus::done);
  CHECK(status_of(Code::not_found) == ExitStatus::not_found);
  CHECK(status_of(Code::timed_out) == ExitStatus::timed_out);
  for (const Code code : {Code::unavailable, Code::stopped}) {
    CHECK(status_of(code) == ExitStatus::no_engine);
  }
  for (const Code code : {Code::unauthenticated, Code::permission_denied}) {
    CHECK(status_of(code) == ExitStatus::not_permitted);
  }
  for (const Code code : {Code::corruption, Code::internal}) {
    CHECK(status_of(code) == ExitStatus::internal);
  }
  for (const Code code :
       {Code::invalid_argument, Code::already_exists, Code::lease_lost, Code::payload_too_large,
        Code::queue_full, Code::storage_full, Code::unsupported, Code::failed_precondition,
        Code::position_gone, Code::rate_limited}) {
    CAPTURE(name_of(code));
    CHECK(status_of(code) == ExitStatus::refused);
  }
  CHECK(static_cast<int>(ExitStatus::task_failed) == 1);
  CHECK(static_cast<int>(ExitStatus::usage) == 2);
  CHECK(static_cast<int>(ExitStatus::not_found) == 3);
  CHECK(static_cast<int>(ExitStatus::refused) == 4);
  CHECK(static_cast<int>(ExitStatus::no_engine) == 5);
  CHECK(static_cast<int>(ExitStatus::timed_out) == 6);
  CHECK(static_cast<int>(ExitStatus::not_permitted) == 7);
  CHECK(static_cast<int>(ExitStatus::internal) == 70);
}

TEST_CASE("every command has a help with examples and exit statuses, within a terminal's width") {
  for (const Command& command : all_commands()) {
    CAPTURE(command.name());
    const std::string help = help_of(command);

    CHECK_THAT(help, test::ContainsSubstring("usage: jack " + command.name()));
    CHECK_THAT(help, test::ContainsSubstring("Examples:"));
    CHECK_THAT(help, test::ContainsSubstring("Exit status:"));
    for (const std::string& name : command.option_names()) {
      CHECK_THAT(help, test::ContainsSubstring(name));
    }
  }
}

TEST_CASE("completions name every command and every option") {
  const std::vector<Command> commands = all_commands();
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    CAPTURE(shell);
    const std::string script = completion_script(shell, commands).value();
    for (const Command& command : commands) {
      CHECK_THAT(script, test::ContainsSubstring(command.name()));
      for (const std::string& name : command.option_names()) {
        const std::string bare = name.substr(name.find_first_not_of('-'));
        CHECK_THAT(script, test::ContainsSubstring(bare));
      }
    }
  }
  CHECK(completion_script("tcsh", commands) == std::nullopt);
}

TEST_CASE("help is wrapped between words") {
  CHECK(wrapped("one two three", 2, 9) == "  one two\n  three\n");
  CHECK(wrapped("much-too-long-a-word x", 0, 5) == "much-too-long-a-word\nx\n");
  CHECK(wrapped("", 2, 9).empty());
}

}  // namespace
}  // namespace jack::app

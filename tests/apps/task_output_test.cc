// Tasks as people and programs see them.
#include <algorithm>
#include <chrono>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "apps/json.h"
#include "apps/tasks/task_json.h"
#include "apps/tasks/task_text.h"
#include "tests/catch.hpp"

namespace jack::app {
namespace {

constexpr std::int64_t kSubmitted = 1'769'860'800'000;

Task failed_task() {
  Task task;
  task.spec.id = TaskId::parse("0190d4c2-7b1e-7c3a-9f00-1234567890ab").value();
  task.spec.queue = "mail";
  task.spec.payload = "hello";
  task.spec.from = "writer";
  task.spec.headers["traceparent"] = "00-1-2-01";
  task.status.state = TaskState::failed;
  task.status.attempt = 3;
  task.status.submitted = {kSubmitted};
  task.status.changed = {kSubmitted + 5000};
  task.status.error = "first\nsecond\x1b[31m";
  AttemptRecord attempt;
  attempt.attempt = 3;
  attempt.started = {kSubmitted + 1000};
  attempt.ended = {kSubmitted + 5000};
  attempt.error = task.status.error;
  attempt.worker = "host 17";
  task.status.attempts.push_back(attempt);
  return task;
}

WallTime an_hour_later() { return WallTime{Duration{kSubmitted + 3'600'000}}; }

TEST_CASE("a task as JSON has its state at the top") {
  const std::string json = json_of(failed_task()).line();

  CHECK_THAT(json, test::ContainsSubstring("{\"id\":\"0190d4c2-7b1e-7c3a-9f00-1234567890ab\","
                                           "\"state\":\"failed\",\"queue\":\"mail\""));
  CHECK_THAT(json, test::ContainsSubstring("\"submitted\":\"2026-01-31T12:00:00.000Z\""));
  CHECK_THAT(json, test::ContainsSubstring(
                       "\"attempts\":[{\"attempt\":3,\"cycle\":1,\"outcome\":\"failed\""));
  CHECK_THAT(json, test::ContainsSubstring("\"payload\":\"hello\""));
  CHECK(json.find('\n') == std::string::npos);
}

TEST_CASE("bytes that are no text are base64 in JSON") {
  TaskResult result;
  result.result = std::string("\x00\xff", 2);

  CHECK_THAT(json_of(result).line(), test::ContainsSubstring("\"result_base64\":\"AP8=\""));
}

TEST_CASE("an error that is no UTF-8 still makes valid JSON") {
  TaskResult result;
  result.state = TaskState::failed;
  result.error = "bad \xff byte";

  CHECK_THAT(json_of(result).line(), test::ContainsSubstring("bad \xef\xbf\xbd byte"));
}

TEST_CASE("annotations are in the JSON of a task, and a token keeps all of its digits") {
  Task task = failed_task();
  task.status.state = TaskState::running;
  task.status.token = {(1ull << 48) + 1};
  task.status.annotations = {{"by", "ada"}, {"raw", "\xff"}};

  const std::string json = json_of(task).line();

  CHECK_THAT(json,
             test::ContainsSubstring("\"annotations\":{\"by\":\"ada\",\"raw_base64\":\"/w==\"}"));
  CHECK_THAT(json, test::ContainsSubstring("\"token\":\"281474976710657\""));
}

TEST_CASE("a queue shows how long its next task has waited, and what comes and goes") {
  QueueStatus busy;
  busy.name = "mail";
  busy.queued = 2;
  busy.oldest = std::chrono::seconds{90};
  busy.arriving = 1.25;
  busy.leaving = 12.4;
  QueueStatus idle;
  idle.name = "news";
  idle.arriving = 0.001;

  const std::string text = queues_text({busy, idle}, {});

  const auto words = [&](std::size_t number) {
    std::istringstream lines(text);
    std::string line;
    for (std::size_t i = 0; i <= number; ++i) std::getline(lines, line);
    std::istringstream line_words(line);
    return std::vector<std::string>(std::istream_iterator<std::string>(line_words), {});
  };
  CHECK(words(1) == std::vector<std::string>{"mail", "open", "0", "2", "1m", "30s", "0", "0", "0",
                                             "0", "0", "1.25", "12", "0"});
  CHECK(words(2) == std::vector<std::string>{"news", "open", "0", "0", "-", "0", "0", "0", "0", "0",
                                             "0", "0", "0"});
}

TEST_CASE("a list of tasks has a line each, whatever is in them") {
  Task task = failed_task();
  task.spec.from = "a\nb\x1b[2J";

  const std::string text = tasks_text({task, task}, an_hour_later(), {});

  CHECK(std::count(text.begin(), text.end(), '\n') == 3);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK_THAT(text, test::ContainsSubstring("failed"));
  CHECK_THAT(text, test::ContainsSubstring("3/3"));
  CHECK_THAT(text, test::ContainsSubstring("1h"));
}

TEST_CASE("a task in full shows its attempts and, escaped, what it carries") {
  TaskResult result;
  result.result = "the\x07 result";

  const std::string text = task_text(failed_task(), &result, an_hour_later(), {});

  CHECK_THAT(text, test::ContainsSubstring("state         failed"));
  CHECK_THAT(text, test::ContainsSubstring("ATTEMPT"));
  CHECK_THAT(text, test::ContainsSubstring("host 17"));
  CHECK_THAT(text, test::ContainsSubstring("second\\x1b[31m"));
  CHECK_THAT(text, test::ContainsSubstring("the\\x07 result"));
  CHECK(text.find('\x1b') == std::string::npos);
}

TEST_CASE("a scheduled task says when it is due and what went wrong before") {
  Task task = failed_task();
  task.status.state = TaskState::scheduled;
  task.status.due = Instant{kSubmitted + 3'600'000 + 90'000};

  const std::string text = tasks_text({task}, an_hour_later(), {});

  CHECK_THAT(text, test::ContainsSubstring("due in 1m 30s: first"));
}

TEST_CASE("an event is one line for people and one for programs") {
  Event event;
  event.position = {1042, 3};
  event.kind = EventKind::attempt_failed;
  event.queue = "mail";
  event.attempt = 2;
  event.text = "boom\nagain";

  const std::string text = event_text(event, false);
  const std::string json = json_of(event).line();

  CHECK_THAT(text, test::ContainsSubstring("1042.3 "));
  CHECK_THAT(text, test::ContainsSubstring("attempt 2: boom\\nagain\n"));
  CHECK_THAT(json, test::ContainsSubstring("\"position\":\"1042.3\",\"event\":\"attempt_failed\""));
}

TEST_CASE("headers go through JSON and come back as they were") {
  const std::map<std::string, std::string> headers = {{"a", "b\"c\n"}, {"ü", ""}};

  CHECK(parse_texts(Json(headers).line()).value() == headers);
  CHECK(!parse_texts("").has_value());
  CHECK(!parse_texts("[1]").has_value());
  CHECK(!parse_texts("{\"a\": 1}").has_value());
}

TEST_CASE("a failure names its task and keeps the lines of its error") {
  TaskResult result;
  result.task = TaskId::parse("0190d4c2-7b1e-7c3a-9f00-1234567890ab").value();
  result.state = TaskState::failed;
  result.error = "boom";

  CHECK(failure_text(result) == "task 0190d4c2-7b1e-7c3a-9f00-1234567890ab failed: boom");
  result.error = "one\ntwo";
  CHECK(failure_text(result) == "task 0190d4c2-7b1e-7c3a-9f00-1234567890ab failed:\none\ntwo");
  result.state = TaskState::expired;
  result.error.clear();
  CHECK(failure_text(result) == "task 0190d4c2-7b1e-7c3a-9f00-1234567890ab expired");
}

}  // namespace
}  // namespace jack::app

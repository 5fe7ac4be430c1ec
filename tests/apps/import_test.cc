// What the files of the earlier server become, and what their faults cost.
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <unistd.h>

#include "apps/import/entry_ids.h"
#include "apps/import/input_files.h"
#include "apps/import/json_reader.h"
#include "apps/import/parse.h"
#include "apps/import/plan.h"
#include "apps/import/submission.h"
#include "apps/import/summary.h"
#include "tests/catch.hpp"

namespace jack::app {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> texts_of(const ParsedFile& file) {
  std::vector<std::string> texts;
  for (const Entry& entry : file.entries) texts.push_back(entry.text);
  return texts;
}

// "3:7 message", "!" before one that costs nothing.
std::vector<std::string> problems_of(const std::vector<Problem>& problems) {
  std::vector<std::string> lines;
  for (const Problem& problem : problems) {
    lines.push_back((problem.left_out ? "" : "!") + std::to_string(problem.line) + ":" +
                    std::to_string(problem.column) + " " + problem.message);
  }
  return lines;
}

using Lines = std::vector<std::string>;

std::string task(const std::string& text, const std::string& more = "") {
  return "{\"task\": \"" + text + "\", \"created\": \"2025-07-01T18:47:04Z\"" + more + "}";
}

// --- tasks.json and agent_tasks.json ---

TEST_CASE("a list of tasks is read in its order, with all that is known of each") {
  const ParsedFile file = parse_json_file(
      "[\n" + task("one") + ",\n" + task("two", ", \"id\": 7, \"assigned_to\": \"ada\"") + ",\n" +
      task("three", ", \"id\": \"t-8\", \"assigned_to\": null, \"other\": {\"a\": [1, null]}") +
      "\n]\n");

  CHECK(file.kind == FileKind::tasks);
  CHECK(texts_of(file) == Lines{"one", "two", "three"});
  CHECK(file.problems.empty());
  const Entry& two = file.entries[1];
  CHECK(two.line == 3);
  CHECK(two.id == "7");
  CHECK(two.agent == "ada");
  CHECK(two.created == "2025-07-01T18:47:04Z");
  CHECK(two.time == WallTime{std::chrono::seconds{1'751'395'624}});
  CHECK(!two.response);
  CHECK(file.entries[2].id == "t-8");
  CHECK(file.entries[2].agent.empty());
}

TEST_CASE("tasks of agents are theirs, and those completed have a response") {
  const ParsedFile file = parse_json_file(
      "{\"ada\": [" + task("a", ", \"status\": \"pending\"") + "," +
      task("b", ", \"status\": \"acknowledged\", \"acknowledged\": \"x\", \"response\": \"y\"") +
      "],"
      "\"Bob B.\": [" +
      task("c", ", \"status\": \"completed\", \"response\": \"done\"") + "," +
      task("d", ", \"status\": \"completed\"") + "," +
      task("e", ", \"status\": \"completed\", \"response\": {\"n\": [1]}") + "], \"eve\": []}");

  CHECK(file.kind == FileKind::agent_tasks);
  REQUIRE(file.entries.size() == 5);
  CHECK(file.problems.empty());
  CHECK(file.entries[0].agent == "ada");
  CHECK(!file.entries[0].response);
  CHECK(!file.entries[1].response);
  CHECK(file.entries[2].agent == "Bob B.");
  CHECK(file.entries[2].response == "done");
  CHECK(file.entries[3].response == "");
  CHECK(file.entries[4].response == "{\"n\": [1]}");
}

TEST_CASE("texts keep their characters, escaped or not") {
  const ParsedFile file = parse_json_file("[" + task("\\\"\\\\\\/\\b\\f\\n\\r\\t") + "," +
                                          task("\\u00fc\\u20ac\\ud83d\\ude42 \xf0\x9f\x99\x82") +
                                          "," + task("\\u0041\\u00AF") + "]");

  CHECK(texts_of(file) == Lines{"\"\\/\b\f\n\r\t", "ü€🙂 🙂", "A¯"});
}

TEST_CASE("a byte order mark, line ends of Windows and an empty list are nothing to speak of") {
  CHECK(texts_of(parse_json_file("\xef\xbb\xbf[\r\n" + task("a") + "\r\n]\r\n")) == Lines{"a"});
  for (const char* json : {"[]", "{}", " [ ] \n", "{\"ada\": []}"}) {
    CHECK(parse_json_file(json).problems.empty());
  }
}

TEST_CASE("an entry that cannot be read costs itself alone, and is told with its line") {
  const ParsedFile file = parse_json_file(
      "[" + task("first") +
      ",\n{\"created\": \"2025-07-01T18:47:04Z\"}"
      ",\n{\"task\": 7}"
      ",\n{\"task\": \" \\n \"}"
      ",\n\"task\""
      ",\n" +
      task("lone \\ud83d") + ",\n" + task("lone \\ude42\\ud83d\\u0041") + ",\n" + task("bad \xff") +
      ",\n" + task("bad \\x") + ",\n" + task("bad \\u12g4") + ",\n" + task("x", ", \"id\": []") +
      ",\n" + task("x", ", \"assigned_to\": 5") + ",\n" + task("x", ", \"status\": \"sleeping\"") +
      ",\n" + task("x", ", \"status\": \"completed\", \"response\": [\"\xff\"]") + ",\n" +
      task("last") + "]");

  CHECK(texts_of(file) == Lines{"first", "last"});
  CHECK(file.entries[1].line == 15);
  CHECK(problems_of(file.problems) ==
        Lines{"2:0 left out: \"task\" is missing", "3:0 left out: \"task\" is no text",
              "4:0 left out: \"task\" is blank", "5:0 left out: a task must be an object",
              "6:0 left out: \"task\" has half of a character (a lone surrogate)",
              "7:0 left out: \"task\" has half of a character (a lone surrogate)",
              "8:0 left out: \"task\" is not UTF-8",
              "9:0 left out: \"task\" has a backslash that means nothing",
              "10:0 left out: \"task\" has \\u without four digits",
              "11:0 left out: \"id\" is no text", "12:0 left out: \"assigned_to\" is no text",
              "13:0 left out: \"status\" is 'sleeping', and not pending, acknowledged or completed",
              "14:0 left out: \"response\" is not UTF-8"});
}

TEST_CASE("an agent without a list costs itself alone") {
  const ParsedFile file =
      parse_json_file("{\"ada\": 5,\n\"\xff\": [],\n\" \": [],\n\"bob\": [" + task("x") + "]}");

  CHECK(texts_of(file) == Lines{"x"});
  CHECK(problems_of(file.problems) == Lines{"1:0 left out: 'ada' is no agent with a list of tasks",
                                            "2:0 left out: the name of an agent is not UTF-8",
                                            "3:0 left out: ' ' is no agent with a list of tasks"});
}

TEST_CASE("an entry whose date is none is imported all the same") {
  const ParsedFile file = parse_json_file(
      "[{\"task\": \"a\", \"created\": \"soon\"},\n{\"task\": \"b\"},\n{\"task\": \"c\", "
      "\"created\": 5}"
      ",\n{\"task\": \"d\", \"created\": \"2025-07-01T18:47:04.5\"}"
      ",\n{\"task\": \"e\", \"created\": \"2025-07-01 18:47:04+02:00\"}"
      ",\n{\"task\": \"f\", \"created\": [\"\xff\"]}]");

  CHECK(file.entries.size() == 6);
  CHECK(file.entries[2].created == "5");
  CHECK(file.entries[3].time == WallTime{Duration{1'751'395'624'500}});
  CHECK(file.entries[4].time == WallTime{std::chrono::seconds{1'751'395'624 - 7200}});
  CHECK(problems_of(file.problems) ==
        Lines{"!1:0 \"created\" is no date ('soon'); imported without",
              "!2:0 \"created\" is no date (''); imported without",
              "!3:0 \"created\" is no date ('5'); imported without",
              "!6:0 \"created\" is no date (''); imported without"});
}

TEST_CASE("of a file that is cut off anywhere, all whole entries before the cut are imported") {
  const std::string json =
      "[" + task("one", ", \"id\": 1") + ",\n " + task("zwei \\u00fc 🙂") + "]";
  const std::size_t one = json.find("},") + 1;

  for (std::size_t size = 0; size < json.size(); ++size) {
    const ParsedFile file = parse_json_file(std::string_view(json).substr(0, size));
    CAPTURE(size);
    CHECK(file.entries.size() == (size < one ? 0u : size < json.size() - 1 ? 1u : 2u));
    REQUIRE(!file.problems.empty());
    CHECK_THAT(file.problems.back().message, test::ContainsSubstring("nothing behind it was read"));
    CHECK(file.problems.back().column > 0);
  }
}

TEST_CASE("a fault of the syntax is told with line and column, and ends the file") {
  const auto fault = [](const std::string& json) {
    return problems_of(parse_json_file(json).problems).back();
  };
  const std::string end = "; nothing behind it was read";

  CHECK(fault("[" + task("ü") + "\n  " + task("b") + "]") == "2:3 ',' or ']' is missing" + end);
  CHECK(fault("[" + task("a") + ",\n]") == "2:1 a value is missing" + end);
  CHECK(fault("[" + task("a") + "] 5") ==
        "1:52 something stands behind the end of the JSON value" + end);
  CHECK(fault("{5: []}") == "1:2 the name of a member is missing" + end);
  CHECK(fault("{\"a\" []}") == "1:6 ':' is missing" + end);
  // The rest became part of the id, in bytes that no engine takes.
  CHECK(fault("[{\"id\": 1\xff, \"task\": \"a\"}]") == "1:10 ',' or '}' is missing" + end);
  CHECK(fault("[truex]") == "1:6 ',' or ']' is missing" + end);
  CHECK(fault("hello") == "1:1 a value is missing" + end);
  CHECK(fault("") == "1:1 the file ends here: a value is missing" + end);
  CHECK(fault("[" + task("a") + ",\n{\"task\": \"b\\") ==
        "2:13 the file ends here: within a text" + end);
}

TEST_CASE("brackets without end are refused, not followed") {
  for (const std::string bracket : {"[", "{\"a\":", "[{\"task\":"}) {
    std::string bomb;
    for (int i = 0; i < 3000; ++i) bomb += bracket;
    CAPTURE(bracket);
    CHECK_THAT(parse_json_file(bomb).problems.back().message,
               test::ContainsSubstring("deeper than 32"));
  }
  const std::string deep = std::string(30, '[') + std::string(30, ']');
  CHECK(parse_json_file("[" + task("a", ", \"x\": " + deep) + "]").entries.size() == 1);
  CHECK(parse_json_file("[" + task("a", ", \"x\": [" + deep + "]") + "]").entries.empty());
}

TEST_CASE("JSON of another shape is told once") {
  for (const char* json : {"5", "\"tasks\"", "[1, 2, 3]", "{\"name\": \"x\", \"version\": 1}",
                           "[{\"a\": 1}, {\"a\": 2}]", "{\"dependencies\": [\"a\", \"b\"]}"}) {
    CAPTURE(json);
    CHECK(problems_of(parse_json_file(json).problems) ==
          Lines{"0:0 holds neither tasks nor agents with tasks"});
  }
}

TEST_CASE("whoever reads JSON wrongly gets a fault, not a value") {
  JsonReader number("5");
  number.enter();
  CHECK(number.fault().message == "an array or an object is missing");
  JsonReader other("[]");
  CHECK(other.text().value.empty());
  CHECK(other.fault().message == "a text is missing");
  CHECK(other.next() == JsonReader::Type::none);
}

// --- Mailboxes ---

ParsedFile mailbox(std::string_view text) { return parse_mailbox({"ada", "bob"}, text); }

TEST_CASE("an entry of a mailbox is a line with a timestamp and the lines up to the next") {
  const ParsedFile file = mailbox(
      "# Messages\n\n"
      "2025-07-01T18:47:04Z - first 🙂\n"
      "\n"
      "  and more\n"
      "2025-07-01 is a day, and 2025-07-01 18:47:05 ERROR is from a log\n"
      "\n"
      "2025-07-01T18:48:00Z -   second\n");

  CHECK(file.kind == FileKind::mailbox);
  CHECK(file.problems.empty());
  CHECK(texts_of(file) == Lines{"first 🙂\n\n  and more\n2025-07-01 is a day, and 2025-07-01 "
                                "18:47:05 ERROR is from a log",
                                "second"});
  CHECK(file.entries[0].line == 3);
  CHECK(file.entries[1].line == 8);
  CHECK(file.entries[0].from == "ada");
  CHECK(file.entries[0].agent == "bob");
  CHECK(file.entries[1].time == WallTime{std::chrono::seconds{1'751'395'680}});
}

TEST_CASE("line ends of Windows change neither texts nor ids") {
  const std::string unix_text = "2025-07-01T18:47:04Z - a\nb\n2025-07-01T18:47:05Z - c\n";
  std::string windows_text = "\xef\xbb\xbf";
  for (const char c : unix_text)
    windows_text += c == '\n' ? std::string("\r\n") : std::string(1, c);

  CHECK(texts_of(mailbox(windows_text)) == Lines{"a\nb", "c"});
  CHECK(ids_of(mailbox(windows_text), "x") == ids_of(mailbox(unix_text), "x"));
}

TEST_CASE("what stands between timestamp and text may be another dash or nothing") {
  for (const char* line :
       {"2025-07-01T18:47:04Z - x", "2025-07-01T18:47:04Z – x", "2025-07-01T18:47:04Z — x",
        "2025-07-01T18:47:04Z: x", "2025-07-01T18:47:04Z\tx", "2025-07-01T18:47:04Z -\nx",
        "2025-07-01T18:47:04Z\nx"}) {
    CAPTURE(line);
    const ParsedFile file = mailbox(line);
    CHECK(texts_of(file) == Lines{"x"});
    CHECK(file.entries.at(0).created == "2025-07-01T18:47:04Z");
  }
  CHECK(texts_of(mailbox("2025-07-01T18:47:04Z - -x")) == Lines{"-x"});
  CHECK(texts_of(mailbox("2025-07-01T18:47:04Z -x")) == Lines{"-x"});
}

TEST_CASE("an entry of a mailbox that cannot be read costs itself alone") {
  const ParsedFile file = mailbox(
      "Dear Bob,\nhow are you?\n"
      "2025-07-01T18:47:04Z - a\n"
      "2025-07-01T18:47:05Z - \n\n"
      "2025-07-01T18:47:06Z - bad \xff\n"
      "2025-13-01T18:47Z - odd\n"
      "2025-07-01T18:47:07Z - b");

  CHECK(texts_of(file) == Lines{"a", "odd", "b"});
  CHECK(problems_of(file.problems) ==
        Lines{"1:0 what stands before the first timestamp is no entry",
              "4:0 left out: a timestamp without a text", "6:0 left out: is not UTF-8",
              "!7:0 '2025-13-01T18:47Z' is no date; imported without"});
  CHECK(mailbox("").entries.empty());
}

TEST_CASE("a mailbox's name says from whom to whom") {
  CHECK(mailbox_of("ada-to-bob.md").value().from == "ada");
  CHECK(mailbox_of("ada-b-to-bob c.md").value().to == "bob c");
  for (const char* name : {"ada.md", "ada-to-.md", "-to-bob.md", "ada-to-bob.txt", ".md"}) {
    CHECK(mailbox_of(name).error().code == Code::not_found);
  }
  CHECK(mailbox_of("a-to-b-to-c.md").error().code == Code::invalid_argument);
  CHECK(mailbox_of("a-to-to-c.md").error().code == Code::invalid_argument);
}

// --- Ids ---

ParsedFile entries(const std::vector<std::string>& tasks) {
  std::string json;
  for (const std::string& one : tasks) json += (json.empty() ? "[" : ",") + one;
  return parse_json_file(json + "]");
}

TEST_CASE("ids stay the same for ever") {
  const ParsedFile list = entries({task("one"), task("one"), task("two", ", \"id\": 7")});

  const std::vector<TaskId> ids = ids_of(list, "tasks.json");

  CHECK(to_string(ids.at(0)) == "00bb5c80-b840-7641-85b7-e8c707e7e620");
  CHECK(to_string(ids.at(1)) == "00bb5c80-b840-72a1-9097-7c10d5a4886c");
  CHECK(to_string(ids.at(2)) == "00bb5c80-b840-7066-af74-6f4097f34c8b");
  CHECK(to_string(ids_of(mailbox("2025-07-01T18:47:04Z - x"), "ada-to-bob.md").at(0)) ==
        "00bb5c80-b840-7167-b965-4bf542f2e542");
}

TEST_CASE("ids are of version 7, of a time that no engine gives out, and in the entries' order") {
  const auto id_at = [](const std::string& created) {
    return ids_of(parse_json_file("[{\"task\": \"a\", \"created\": \"" + created + "\"}]"), "x")
        .at(0);
  };

  CHECK(id_at("2025-07-01T18:47:04Z").is_version_7());
  CHECK(id_at("2025-07-01T18:47:04Z").unix_ms() == 1'751'395'624'000 - 10'957 * 86'400'000LL);
  CHECK(id_at("soon").unix_ms() == id_at("2020-01-01T00:00:00Z").unix_ms());
  CHECK(id_at("1999-12-31T23:59:59Z").unix_ms() == 0);
  CHECK(id_at("9999-01-01T00:00:00Z").unix_ms() == kImportedIdsEnd.time_since_epoch().count() - 1);
  CHECK(kImportedIdsEnd == std::chrono::sys_days{std::chrono::year{2010} / 1 / 1});
}

TEST_CASE("texts that are there twice are two tasks, and entries added behind change no id") {
  const std::vector<std::string> before = {task("a"), task("b"), task("a")};
  std::vector<std::string> after = before;
  after.push_back(task("a"));
  after.push_back(task("c"));

  const std::vector<TaskId> ids = ids_of(entries(before), "tasks.json");
  const std::vector<TaskId> more = ids_of(entries(after), "tasks.json");

  CHECK(std::set(more.begin(), more.end()).size() == 5);
  CHECK(std::vector(more.begin(), more.begin() + 3) == ids);
}

TEST_CASE("an id depends on what tells entries apart, and not on whether one is completed") {
  const auto id = [](const std::string& json, const std::string& name = "x.json") {
    return ids_of(parse_json_file(json), name).at(0);
  };
  const std::string open = "{\"ada\": [" + task("a", ", \"id\": 1") + "]}";

  CHECK(id(open) == id("{\"ada\": [" + task("a", ", \"status\": \"completed\", \"id\": 1") + "]}"));
  const std::set<TaskId> different = {
      id(open),
      id(open, "y.json"),
      id("{\"bob\": [" + task("a", ", \"id\": 1") + "]}"),
      id("{\"ada\": [" + task("b", ", \"id\": 1") + "]}"),
      id("{\"ada\": [" + task("a", ", \"id\": 2") + "]}"),
      id("{\"ada\": [" + task("a") + "]}"),
      id("[" + task("a", ", \"id\": 1, \"assigned_to\": \"ada\"") + "]")};
  CHECK(different.size() == 7);
}

// --- Plans ---

PlannedFile planned(const std::string& json, const std::string& path = "s/tasks.json",
                    const Destinations& destinations = {}) {
  return plan(parse_json_file(json), path, destinations);
}

TEST_CASE("a task goes to the queue of its agent, and nobody's to the inbox") {
  const std::string json = "[" + task("a") + "," + task("b", ", \"assigned_to\": \"ada\"") + "," +
                           task("c", ", \"assigned_to\": \"Bob B.\"") + "]";

  const PlannedFile file = planned(json, "x", {{{"Bob B.", "bob"}}, "triage"});

  REQUIRE(file.tasks.size() == 3);
  CHECK(file.tasks[0].queue == "triage");
  CHECK(file.tasks[1].queue == "ada");
  CHECK(file.tasks[2].queue == "bob");
  CHECK(file.problems.empty());
}

TEST_CASE("an agent that can be no queue is told once, with what to do about it") {
  const std::string json = "{\"Bob  B.\": [" + task("a") + "," + task("b") + "],\n\"ü\": [" +
                           task("c") + "],\n\"ada\": [" + task("d") + "]}";

  const PlannedFile file = planned(json);

  CHECK(file.tasks.size() == 1);
  CHECK(file.counts.left_out == 3);
  CHECK(problems_of(file.problems) ==
        Lines{"1:0 left out: 'Bob  B.' cannot be the name of a queue; give it one with --map "
              "'Bob  B.=Bob-B.' (tasks in this file: 2)",
              "2:0 left out: 'ü' cannot be the name of a queue; give it one with --map 'ü=NAME' "
              "(tasks in this file: 1)"});
}

TEST_CASE("a task carries where it comes from, made fit for headers") {
  const PlannedFile file = planned("[{\"task\": \"a\", \"id\": \"7\\n\", \"created\": \"" +
                                   std::string(5000, 'x') + "\"}]");
  const ParsedFile letter =
      parse_mailbox({std::string(300, 'y'), "bob"}, "2025-07-01T18:47:04Z - x");

  const ImportTask task = task_of(file.tasks.at(0), file.path);
  const ImportTask from = task_of(plan(letter, "m.md", {}).tasks.at(0), "m.md");

  CHECK(task.spec.payload == "a");
  CHECK(task.spec.headers.at("import-file") == "tasks.json");
  CHECK(task.spec.headers.at("import-id") == "7\\n");
  CHECK(task.spec.headers.at("import-created").size() < 1000);
  CHECK(!task.result);
  CHECK(from.spec.from.size() < 256);
  CHECK(from.spec.headers.count("import-id") == 0);
}

TEST_CASE("a task that is also in its agent's list is the agent's alone") {
  const std::string done = ", \"status\": \"completed\", \"response\": \"r\"";
  std::vector<PlannedFile> files;
  files.push_back(planned("{\"ada\": [" + task("a", ", \"id\": 1" + done) + "," + task("b", done) +
                              "," + task("c", ", \"id\": 3") + "]}",
                          "s/agent_tasks.json"));
  const std::string to_ada = ", \"assigned_to\": \"ada\"";
  files.push_back(planned("[" + task("a", ", \"id\": 1" + to_ada) + "," + task("b", to_ada) + "," +
                          task("b", to_ada) + "," + task("c", ", \"id\": 4" + to_ada) + "," +
                          task("c", ", \"id\": 3") + "]"));

  drop_twins(files);

  CHECK(files[0].tasks.size() == 3);
  REQUIRE(files[1].tasks.size() == 3);
  CHECK(files[1].counts.already_there == 2);
  CHECK(files[1].tasks[0].entry.text == "b");
  CHECK(files[1].tasks[1].entry.id == "4");
  CHECK(files[1].tasks[2].entry.agent.empty());
}

// --- Submission ---

// Keeps what it is given, and fails as it is told.
class FakeTarget final : public ImportTarget {
 public:
  Result<std::vector<Result<ImportOutcome>>> submit(std::span<const ImportTask> tasks) override {
    batches.push_back(tasks.size());
    if (fails_at && batches.size() == *fails_at) return Error{fails_as, "gone"};
    std::vector<Result<ImportOutcome>> outcomes;
    for (const ImportTask& task : tasks) {
      const auto refusal = refusals.find(task.spec.payload);
      if (refusal != refusals.end()) {
        outcomes.push_back(Error{refusal->second, "because"});
      } else {
        const bool is_new = ids.insert(task.spec.id).second;
        const bool is_done = task.result && done.insert(task.spec.id).second;
        outcomes.push_back(is_new    ? ImportOutcome::imported
                           : is_done ? ImportOutcome::completed
                                     : ImportOutcome::already_there);
      }
    }
    return outcomes;
  }

  std::vector<std::size_t> batches;
  std::optional<std::size_t> fails_at;
  Code fails_as = Code::unavailable;
  std::map<std::string, Code> refusals;  // by payload
  std::set<TaskId> ids;
  std::set<TaskId> done;
};

std::string many(int count, const std::string& text = "t") {
  std::string json;
  for (int i = 0; i < count; ++i) {
    json += (i == 0 ? "[" : ",\n") + task(text + std::to_string(i));
  }
  return json + "]";
}

struct Run {
  std::vector<PlannedFile> files;
  Result<void> ended;
  std::uint64_t done = 0;
};

Run run(const std::string& json, ImportTarget& target) {
  Run run;
  run.files.push_back(planned(json));
  std::atomic<std::uint64_t> done = 0;
  run.ended = submit_all(run.files, target, done);
  run.done = done;
  return run;
}

TEST_CASE(
    "tasks are submitted in batches that the engine takes, and a second time change nothing") {
  FakeTarget target;
  const std::string json = many(2500);

  const Run first = run(json, target);
  const Run second = run(json, target);

  CHECK(target.batches == std::vector<std::size_t>{1000, 1000, 500, 1000, 1000, 500});
  CHECK(target.ids.size() == 2500);
  CHECK(first.files[0].counts.imported == 2500);
  CHECK(second.files[0].counts.imported == 0);
  CHECK(second.files[0].counts.already_there == 2500);
  CHECK(count_tasks(second.files) == 2500);
}

TEST_CASE("a batch has no more bytes than the engine takes, but for one task that has more") {
  FakeTarget target;
  const std::string big(3u << 20, 'x');

  const Run ended = run("[" + task(big) + "," + task(big + big) + "," + task("a") + "]", target);

  CHECK(ended.ended.has_value());
  CHECK(target.batches == std::vector<std::size_t>{1, 1, 1});
}

TEST_CASE("completed tasks are submitted with their result, and counted") {
  FakeTarget target;

  const Run ended = run(
      "{\"ada\": [" + task("a", ", \"status\": \"completed\"") + "," + task("b") + "]}", target);

  CHECK(target.done.size() == 1);
  CHECK(ended.files[0].counts.imported == 2);
  CHECK(ended.files[0].counts.completed == 1);
}

TEST_CASE("a task that has been completed since the last import is counted as completed, once") {
  FakeTarget target;
  const std::string open = "{\"ada\": [" + task("a") + "]}";
  const std::string done = "{\"ada\": [" + task("a", ", \"status\": \"completed\"") + "]}";
  run(open, target);

  const ImportCounts second = run(done, target).files[0].counts;
  const ImportCounts third = run(done, target).files[0].counts;

  CHECK((second.imported == 0 && second.already_there == 1 && second.completed == 1));
  CHECK((third.imported == 0 && third.already_there == 1 && third.completed == 0));
}

TEST_CASE("a task that the engine refuses is left out with its line, and the others go in") {
  FakeTarget target;
  target.refusals = {{"t0", Code::failed_precondition},
                     {"t1", Code::payload_too_large},
                     {"t2", Code::already_exists}};

  const Run ended = run(many(4), target);

  CHECK(ended.ended.has_value());
  CHECK(ended.done == 4);
  const ImportCounts& counts = ended.files[0].counts;
  CHECK((counts.imported == 1 && counts.already_there == 1 && counts.left_out == 2));
  CHECK(problems_of(ended.files[0].problems) ==
        Lines{"1:0 left out: completed since it was imported, but because", "2:0 left out: because",
              "!3:0 was imported before, to another queue, and stays there"});
}

// It ended the import, and did so each time that it was repeated.
TEST_CASE("a task that is too large for any request is left out, and the others go in") {
  const std::string big(kImportBatchBytes + 1, 'x');
  FakeTarget target;
  target.fails_at = 2;
  target.fails_as = Code::payload_too_large;

  const Run ended = run("[" + task("a") + ",\n" + task(big) + "," + task("b") + "]", target);

  CHECK(ended.ended.has_value());
  CHECK(ended.done == 3);
  CHECK(ended.files[0].counts.imported == 2);
  CHECK(problems_of(ended.files[0].problems) == Lines{"2:0 left out: gone"});
}

TEST_CASE("an engine that is full or gone ends it, and doing it again completes it") {
  FakeTarget target;
  target.fails_at = 2;
  const Run gone = run(many(2500), target);
  target.fails_at.reset();
  target.refusals = {{"t2000", Code::queue_full}};
  const Run full = run(many(2500), target);
  target.refusals.clear();
  const Run whole = run(many(2500), target);

  CHECK(gone.ended.error().code == Code::unavailable);
  CHECK(gone.done == 1000);
  CHECK(full.ended.error().code == Code::queue_full);
  CHECK(full.done == 2499);
  CHECK(whole.ended.has_value());
  CHECK(whole.files[0].counts.imported == 1);
  CHECK(target.ids.size() == 2500);
}

// --- Files ---

class Folder {
 public:
  Folder() {
    std::string path = (fs::temp_directory_path() / "jack-import-XXXXXX").string();
    path_ = ::mkdtemp(path.data());
  }
  ~Folder() { fs::remove_all(path_); }
  std::string write(const std::string& name, const std::string& bytes = "[]") {
    const fs::path file = path_ / name;
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << bytes;
    return file.string();
  }
  std::string path(const std::string& name = "") const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

TEST_CASE(
    "a folder stands for all files of ours below it, each once, in the order of their paths") {
  Folder folder;
  const std::string b = folder.write("b.json");
  const std::string mail = folder.write("sub/ada-to-bob.md");
  const std::string odd = folder.write("sub/a-to-b-to-c.md");
  const std::string a = folder.write("a.json");
  folder.write("readme.md");
  folder.write(".git/c.json");
  folder.write(".d.json");
  fs::create_directory_symlink(folder.path(), folder.path("loop"));

  const InputFiles found = find_files({folder.path("sub/../b.json"), folder.path()});

  CHECK(found.paths == Lines{folder.path("sub/../b.json"), a, odd, mail});
  CHECK(found.others == 3);
  CHECK(found.problems.empty());
}

TEST_CASE("a file is parsed by its name and content; one that cannot be is refused") {
  Folder folder;
  const auto parsed = [&](const std::string& name, const std::string& bytes) {
    return parse_file(folder.write(name, bytes));
  };

  CHECK(parsed("x.txt", "[" + task("a") + "]").value().kind == FileKind::tasks);
  CHECK(parsed("tasks.json", "{}").value().kind == FileKind::agent_tasks);
  CHECK(parsed("a-to-b.md", "2025-07-01T18:47:04Z - x").value().entries.at(0).from == "a");
  CHECK_THAT(parsed("readme.md", "").error().message, test::ContainsSubstring("FROM-to-TO.md"));
  CHECK_THAT(parsed("a-to-b-to-c.md", "").error().message,
             test::ContainsSubstring("more than once"));
  CHECK_THAT(parse_file(folder.path("none")).error().message,
             test::ContainsSubstring("cannot open"));
  CHECK_THAT(parse_file(folder.path()).error().message, test::ContainsSubstring("cannot read"));
  const std::string huge = folder.write("huge.json");
  fs::resize_file(huge, kImportFileBytesMax + 1);
  CHECK(parse_file(huge).error().code == Code::payload_too_large);
}

// --- What is said of it ---

TEST_CASE("the summary is a line per file and one for all, as a table or as JSON") {
  ImportSummary summary;
  summary.files.resize(2);
  summary.files[0].path = "a.json";
  summary.files[0].counts = {10, 2, 1, 3};
  summary.files[1].path = "b\n.md";
  summary.files[1].counts = {1, 0, 0, 0};
  summary.others = 4;

  CHECK(text_of(summary, {}) ==
        "FILE    IMPORTED  ALREADY THERE  COMPLETED  SKIPPED\n"
        "a.json        10              2          1        3\n"
        "b\\n.md         1              0          0        0\n"
        "all           11              2          1        3\n");
  CHECK(json_of(summary).line() ==
        R"({"files":[{"file":"a.json","imported":10,"already_there":2,"completed":1,"skipped":3},)"
        R"({"file":"b\n.md","imported":1,"already_there":0,"completed":0,"skipped":0}],)"
        R"("total":{"imported":11,"already_there":2,"completed":1,"skipped":3},)"
        R"("other_files":4,"dry_run":false})");
  summary.dry_run = true;
  CHECK_THAT(text_of(summary, {}), test::ContainsSubstring("WOULD IMPORT"));
}

TEST_CASE("complaints come in the order of lines, and no more of them than people read") {
  PlannedFile file;
  file.path = "a.json";
  file.problems = {{9, 3, "c", true}, {0, 0, "a", true}, {2, 0, "b", false}};

  CHECK(complaints_of(file) == Lines{"a.json: a", "a.json:2: b", "a.json:9:3: c"});
  file.problems.resize(25);
  CHECK(complaints_of(file).size() == 21);
  CHECK(complaints_of(file).back() == "a.json: and 5 more lines like these");
}

}  // namespace
}  // namespace jack::app

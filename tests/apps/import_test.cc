// What becomes of the entries of the earlier server's files: which tasks they are, where they go,
// and what is said of it.
#include <map>
#include <set>
#include <string>
#include <vector>

#include "apps/import/entry_ids.h"
#include "apps/import/parse.h"
#include "apps/import/plan.h"
#include "apps/import/submission.h"
#include "apps/import/summary.h"
#include "tests/apps/import_entries.h"
#include "tests/catch.hpp"

namespace jack::app {
namespace {

// --- Ids ---

ParsedFile entries(const std::vector<std::string>& tasks) {
  std::string json;
  for (const std::string& one : tasks) json += (json.empty() ? "[" : ",") + one;
  return parse_json_file(json + "]");
}

TEST_CASE("ids stay the same for ever") {
  const std::vector<TaskId> ids = ids_of(entries({task("one"), task("one"), task("two")}));

  CHECK(to_string(ids.at(0)) == "00bb5c80-b840-7f7a-a95d-06476398f270");
  CHECK(to_string(ids.at(1)) == "00bb5c80-b840-7628-8043-f374ab8dd70c");
  CHECK(to_string(ids.at(2)) == "00bb5c80-b840-771e-8131-87d785890a44");
  CHECK(to_string(ids_of(parse_mailbox({"ada", "bob"}, "2025-07-01T18:47:04Z - x")).at(0)) ==
        "00bb5c80-b840-7911-aa35-40de074ff48b");
}

TEST_CASE("ids are of version 7, of a time that no engine gives out, and in the entries' order") {
  const auto id_at = [](const std::string& created) {
    return ids_of(parse_json_file("[{\"task\": \"a\", \"created\": \"" + created + "\"}]")).at(0);
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

  const std::vector<TaskId> ids = ids_of(entries(before));
  const std::vector<TaskId> more = ids_of(entries(after));

  CHECK(std::set(more.begin(), more.end()).size() == 5);
  CHECK(std::vector(more.begin(), more.begin() + 3) == ids);
}

TEST_CASE("an id depends on agent, sender, date, text and what holds the entry") {
  const auto id = [](const std::string& json) { return ids_of(parse_json_file(json)).at(0); };
  const auto message = [](const std::string& from) {
    return ids_of(parse_mailbox({from, "ada"}, "2025-07-01T18:47:04Z - a")).at(0);
  };

  const std::set<TaskId> different = {
      id("{\"ada\": [" + task("a") + "]}"),
      id("{\"bob\": [" + task("a") + "]}"),
      id("{\"ada\": [" + task("b") + "]}"),
      id("{\"ada\": [{\"task\": \"a\", \"created\": \"2025-07-01T18:47:05Z\"}]}"),
      id("[" + task("a") + "]"),
      message("bob"),
      message("eve")};
  CHECK(different.size() == 7);
}

// Each had one of its own per file, so the same task came in twice: where one of the files had no
// id of before, and where one was cut off or not yet there at an earlier import.
TEST_CASE("a task has one id in both files, completed or not, with its id of before or without") {
  const std::string to_ada = ", \"assigned_to\": \"ada\"";
  const std::string done = ", \"status\": \"completed\"";

  const std::vector<TaskId> in_list =
      ids_of(entries({task("a", to_ada), task("b"), task("a", to_ada + ", \"id\": 2"),
                      task("a", to_ada), task("a", to_ada + done)}));
  const std::vector<TaskId> in_agents = ids_of(parse_json_file(
      "{\"ada\": [" + task("a", ", \"id\": 1" + done) + "," + task("a", ", \"id\": 2") + "," +
      task("a") + "," + task("a", ", \"id\": 4") + "]}"));

  CHECK(in_agents == std::vector{in_list[0], in_list[2], in_list[3], in_list[4]});
  CHECK(std::set(in_list.begin(), in_list.end()).size() == 5);
}

// --- Plans ---

PlannedFile planned(const std::string& json, const Destinations& destinations = {}) {
  return plan(parse_json_file(json), "s/x.json", destinations);
}

TEST_CASE("a task goes to the queue of its agent, and nobody's to the inbox") {
  const std::string json = "[" + task("a") + "," + task("b", ", \"assigned_to\": \"ada\"") + "," +
                           task("c", ", \"assigned_to\": \"Bob B.\"") + "]";

  const PlannedFile file = planned(json, {{{"Bob B.", "bob"}}, "triage"});

  REQUIRE(file.tasks.size() == 3);
  CHECK(file.tasks[0].queue == "triage");
  CHECK(file.tasks[1].queue == "ada");
  CHECK(file.tasks[2].queue == "bob");
  CHECK(file.problems.empty());
}

TEST_CASE("an agent has the queue that the old routes have for it, and keeps its name") {
  const PlannedFile file =
      planned("{\"Ünï\": [" + task("a") + "], \"Claude Code\": [" + task("b") + "], \"ada\": [" +
                  task("c") + "], \"Bob B.\": [" + task("d") + "]}",
              {{{"Bob B.", "Bob-B."}}, "inbox"});

  REQUIRE(file.tasks.size() == 4);
  CHECK(file.tasks[0].queue == "--n--");
  CHECK(task_of(file.tasks[0]).spec.headers.at("assigned-to") == "Ünï");
  CHECK(file.tasks[1].queue == "Claude-Code");
  CHECK(task_of(file.tasks[1]).spec.headers.at("assigned-to") == "Claude Code");
  CHECK(task_of(file.tasks[2]).spec.headers.count("assigned-to") == 0);
  // It was renamed, and by somebody who meant it.
  CHECK(task_of(file.tasks[3]).spec.headers.count("assigned-to") == 0);
  CHECK(file.problems.empty());
}

TEST_CASE("an agent that no queue can be named for is told once, with what to do about it") {
  const std::string name(129, 'x');
  const std::string json = "{\"" + name + "\": [" + task("a") + "," + task("b") +
                           "],\n\"a\\nb\": [" + task("c") + "],\n\"ada\": [" + task("d") + "]}";

  const PlannedFile file = planned(json);
  const PlannedFile mapped = planned(json, {{{name, "x"}, {"a\nb", "ab"}}, "inbox"});

  CHECK(file.tasks.size() == 1);
  CHECK(file.counts.left_out == 3);
  CHECK(problems_of(file.problems) ==
        Lines{"2:0 left out: no queue can be named for 'a\\nb'; give it one with --map AGENT=QUEUE "
              "(tasks in this file: 1)",
              "1:0 left out: no queue can be named for '" + std::string(59, 'x') +
                  "…'; give it one with --map AGENT=QUEUE (tasks in this file: 2)"});
  CHECK(mapped.tasks.size() == 4);
  CHECK(mapped.problems.empty());
}

TEST_CASE("a task carries where it comes from, made fit for headers") {
  const PlannedFile file = planned("[{\"task\": \"a\", \"id\": \"7\\n\", \"created\": \"" +
                                   std::string(5000, 'x') + "\"}]");
  const ParsedFile letter =
      parse_mailbox({std::string(300, 'y'), "bob"}, "2025-07-01T18:47:04Z - x");

  const ImportTask task = task_of(file.tasks.at(0));
  const ImportTask from = task_of(plan(letter, "m.md", {}).tasks.at(0));

  CHECK(task.spec.payload == "a");
  CHECK(task.spec.headers.at("import-id") == "7\\n");
  CHECK(task.spec.headers.at("import-created").size() < 1000);
  CHECK(!task.result);
  CHECK(from.spec.from.size() < 256);
  CHECK(from.spec.headers.count("import-id") == 0);
}

TEST_CASE("a task that is also in its agent's list is the agent's alone") {
  const std::string done = ", \"status\": \"completed\", \"response\": \"r\"";
  const std::string to_ada = ", \"assigned_to\": \"ada\"";
  std::vector<PlannedFile> files;
  files.push_back(
      planned("{\"ada\": [" + task("a", ", \"id\": 1" + done) + "," + task("b") + "]}"));
  files.push_back(planned("[" + task("a", to_ada) + "," + task("b", ", \"id\": 2" + to_ada) + "," +
                          task("b", to_ada) + "," + task("a") + "]"));

  for (const bool swapped : {false, true}) {
    std::vector<PlannedFile> both = files;
    if (swapped) std::swap(both[0], both[1]);
    merge_twins(both);
    const PlannedFile& of_agents = both[swapped ? 1 : 0];
    const PlannedFile& of_all = both[swapped ? 0 : 1];

    REQUIRE(of_agents.tasks.size() == 2);
    CHECK(of_agents.counts.already_there == 0);
    CHECK(of_agents.tasks[0].entry.response == "r");
    CHECK(of_agents.tasks[0].entry.id == "1");
    CHECK(of_agents.tasks[1].entry.id == "2");
    CHECK(of_all.counts.already_there == 2);
    REQUIRE(of_all.tasks.size() == 2);
    CHECK(of_all.tasks[0].entry.text == "b");
    CHECK(of_all.tasks[0].queue == "ada");
    CHECK(of_all.tasks[1].queue == "inbox");  // nobody's, even if an agent has one like it
  }
}

// Otherwise a worker could get it from the one before the other completes it.
TEST_CASE("of a task that is in several copies of a file, one that is completed counts") {
  const std::string done = ", \"status\": \"completed\", \"response\": \"r\"";
  std::vector<PlannedFile> files;
  files.push_back(planned("{\"ada\": [" + task("a") + "]}"));
  files.push_back(planned("{\"ada\": [" + task("a", done) + "]}"));

  merge_twins(files);

  CHECK(files[0].tasks.at(0).entry.response == "r");
  CHECK(files[1].tasks.empty());
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
      submitted.push_back(task.spec.payload);
      const auto refusal = refusals.find(task.spec.payload);
      if (refusal != refusals.end()) {
        outcomes.push_back(Error{refusal->second, "because"});
      } else if (otherwise.contains(task.spec.payload)) {
        outcomes.push_back(ImportOutcome::there_otherwise);
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
  Lines submitted;  // payloads
  std::optional<std::size_t> fails_at;
  Code fails_as = Code::unavailable;
  std::map<std::string, Code> refusals;  // by payload
  std::set<std::string> otherwise;       // the same
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

// GET /tasks lists the newest first by the order in which the engine got them.
TEST_CASE("tasks of all files are submitted in the order of their dates, others first") {
  const auto made = [](const std::string& text, const std::string& created) {
    return "{\"task\": \"" + text + "\", \"created\": \"" + created + "\"}";
  };
  const auto on = [&](const std::string& day, const std::string& text) {
    return made(text, "2025-07-" + day + "T00:00:00Z");
  };
  FakeTarget target;
  std::vector<PlannedFile> files;
  files.push_back(planned("{\"ada\": [" + on("03", "third") + "," + made("none", "") + "," +
                          on("01", "first") + "], \"bob\": [" +
                          task("second", ", \"status\": \"completed\"") + "]}"));
  files.push_back(planned("[" + on("01", "first too") + "," + made("soon", "soon") + "," +
                          on("04", "fourth") + "," + made("before", "2025-07-01T00:00:00+01:00") +
                          "]"));
  std::atomic<std::uint64_t> done = 0;

  REQUIRE(submit_all(files, target, done));

  CHECK(target.submitted ==
        Lines{"none", "soon", "before", "first", "first too", "second", "third", "fourth"});
  CHECK(files[0].counts.imported == 4);
  CHECK(files[0].counts.completed == 1);
  CHECK(files[1].counts.imported == 4);
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
  target.refusals = {{"t0", Code::failed_precondition}, {"t1", Code::payload_too_large}};

  const Run ended = run(many(3), target);

  CHECK(ended.ended.has_value());
  CHECK(ended.done == 3);
  const ImportCounts& counts = ended.files[0].counts;
  CHECK((counts.imported == 1 && counts.left_out == 2));
  CHECK(
      problems_of(ended.files[0].problems) ==
      Lines{"1:0 left out: completed since it was imported, but because", "2:0 left out: because"});
}

TEST_CASE("a task that was imported before in another way is there, and told") {
  FakeTarget target;
  target.otherwise = {"t1"};

  const Run ended = run(many(2), target);

  CHECK(ended.done == 2);
  const ImportCounts& counts = ended.files[0].counts;
  CHECK((counts.imported == 1 && counts.already_there == 1 && counts.left_out == 0));
  CHECK(problems_of(ended.files[0].problems) ==
        Lines{"!2:0 was imported before, to another queue or with another id of before, and stays "
              "so"});
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

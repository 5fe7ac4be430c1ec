// The files of the earlier server as they are read, and what their faults cost.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <unistd.h>

#include "apps/import/entry_ids.h"
#include "apps/import/input_files.h"
#include "apps/import/json_reader.h"
#include "apps/import/parse.h"
#include "tests/apps/import_entries.h"
#include "tests/catch.hpp"

namespace jack::app {
namespace {

namespace fs = std::filesystem;

Lines texts_of(const ParsedFile& file) {
  Lines texts;
  for (const Entry& entry : file.entries) texts.push_back(entry.text);
  return texts;
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
  CHECK(ids_of(mailbox(windows_text)) == ids_of(mailbox(unix_text)));
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

}  // namespace
}  // namespace jack::app

#include <utility>

#include <fmt/format.h>

#include "apps/import/json_reader.h"
#include "apps/import/parse.h"
#include "apps/text/date.h"
#include "apps/text/escape.h"

namespace jack::app {
namespace {

using Type = JsonReader::Type;

constexpr std::size_t kShownColumns = 60;  // of what a file says, in a message

std::string shown(std::string_view text) { return cut_to(escaped(text), kShownColumns); }

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

// One object of an array, as its members come.
class EntryReader {
 public:
  EntryReader(JsonReader& reader, Entry& entry) : reader_(reader), entry_(entry) {}

  // Why it is no entry; empty: it is one.
  std::string read() {
    for (reader_.enter(); reader_.more();) {
      const JsonReader::Text name = reader_.name();
      read_member(name.value);
    }
    if (is_blank(entry_.text)) spoil(has_task_ ? "\"task\" is blank" : "\"task\" is missing");
    if (is_blank(entry_.agent)) entry_.agent.clear();
    entry_.time = entry_time(entry_.created);
    if (status_ != "completed") entry_.response.reset();
    if (status_ == "completed" && !entry_.response) entry_.response.emplace();
    if (status_ != "pending" && status_ != "acknowledged" && status_ != "completed") {
      spoil(fmt::format("\"status\" is '{}', and not pending, acknowledged or completed",
                        shown(status_)));
    }
    return fault_;
  }

  // Whether it looks like an entry at all, even if it is none.
  bool has_task() const { return has_task_; }

 private:
  void read_member(std::string_view name) {
    if (name == "task") {
      has_task_ = true;
      read_text(name, entry_.text);
    } else if (name == "created") {
      read_created();
    } else if (name == "id") {
      read_id();
    } else if (name == "assigned_to") {
      if (!take_null()) read_text(name, entry_.agent);
    } else if (name == "status") {
      if (!take_null()) read_text(name, status_);
    } else if (name == "response") {
      read_response();
    } else {
      reader_.skip();
    }
  }

  // The first fault is the one that is told.
  void spoil(std::string why) {
    if (fault_.empty()) fault_ = std::move(why);
  }

  bool take_null() { return reader_.next() == Type::word && reader_.skip() == "null"; }

  void read_text(std::string_view name, std::string& target) {
    if (reader_.next() != Type::text) {
      reader_.skip();
      spoil(fmt::format("\"{}\" is no text", name));
      return;
    }
    JsonReader::Text text = reader_.text();
    if (!text.fault.empty()) spoil(fmt::format("\"{}\" {}", name, text.fault));
    target = std::move(text.value);
  }

  // An entry does not depend on it: what is no date is kept as it is written.
  void read_created() {
    if (take_null()) return;
    if (reader_.next() == Type::text) return read_text("created", entry_.created);
    const std::string_view raw = reader_.skip();
    if (is_utf8(raw)) entry_.created = raw;
  }

  void read_id() {
    if (take_null()) return;
    if (reader_.next() == Type::number) {
      entry_.id = reader_.skip();
    } else {
      read_text("id", entry_.id);
    }
  }

  // Was a text, unless an agent sent something else: then it is kept as JSON.
  void read_response() {
    if (take_null()) return;
    if (reader_.next() == Type::text) return read_text("response", entry_.response.emplace());
    const std::string_view raw = reader_.skip();
    if (!is_utf8(raw)) spoil("\"response\" is not UTF-8");
    entry_.response = raw;
  }

  JsonReader& reader_;
  Entry& entry_;
  std::string status_ = "pending";
  std::string fault_;
  bool has_task_ = false;
};

std::string why_no_agent(const JsonReader::Text& name) {
  if (!name.fault.empty()) return "left out: the name of an agent " + name.fault;
  return fmt::format("left out: '{}' is no agent with a list of tasks", shown(name.value));
}

class JsonFile {
 public:
  explicit JsonFile(std::string_view json) : reader_(json) {}

  ParsedFile read() {
    const Type type = reader_.next();
    if (type == Type::array) {
      file_.kind = FileKind::tasks;
      read_list({});
    } else if (type == Type::object) {
      file_.kind = FileKind::agent_tasks;
      read_agents();
    } else if (!reader_.failed()) {
      reader_.skip();
      report(1, "");
    }
    reader_.finish();
    if (!seems_ours_ && !file_.problems.empty()) {
      file_.problems = {{0, 0, "holds neither tasks nor agents with tasks", true}};
    }
    if (reader_.failed()) {
      file_.problems.push_back(reader_.fault());
      file_.problems.back().message += "; nothing behind it was read";
    }
    return std::move(file_);
  }

 private:
  void report(std::uint64_t line, std::string message, bool left_out = true) {
    file_.problems.push_back({line, 0, std::move(message), left_out});
  }

  void read_agents() {
    for (reader_.enter(); reader_.more();) {
      const std::uint64_t line = reader_.line();
      const JsonReader::Text agent = reader_.name();
      if (reader_.next() != Type::array || !agent.fault.empty() || is_blank(agent.value)) {
        reader_.skip();
        if (!reader_.failed()) report(line, why_no_agent(agent));
      } else {
        read_list(agent.value);
      }
    }
  }

  void read_list(const std::string& agent) {
    for (reader_.enter(); reader_.more();) {
      const std::uint64_t line = reader_.line();
      if (reader_.next() == Type::object) {
        read_entry(line, agent);
      } else {
        reader_.skip();
        if (!reader_.failed()) report(line, "left out: a task must be an object");
      }
    }
  }

  void read_entry(std::uint64_t line, const std::string& agent) {
    Entry entry;
    entry.line = line;
    EntryReader members(reader_, entry);
    std::string fault = members.read();
    seems_ours_ = seems_ours_ || members.has_task();
    if (reader_.failed()) return;  // it is not whole
    if (!fault.empty()) return report(line, "left out: " + fault);
    if (file_.kind == FileKind::agent_tasks) entry.agent = agent;
    if (!entry.time) {
      report(line,
             fmt::format("\"created\" is no date ('{}'); imported without", shown(entry.created)),
             false);
    }
    file_.entries.push_back(std::move(entry));
  }

  JsonReader reader_;
  ParsedFile file_;
  bool seems_ours_ = false;  // something had a "task"
};

}  // namespace

std::string_view without_byte_order_mark(std::string_view text) {
  static constexpr std::string_view kMark = "\xef\xbb\xbf";
  return text.starts_with(kMark) ? text.substr(kMark.size()) : text;
}

std::optional<WallTime> entry_time(std::string_view created) {
  Result<WallTime> time = parse_date(created);
  if (!time) time = parse_date(std::string(created) + "Z");
  if (!time) return std::nullopt;
  return *time;
}

ParsedFile parse_json_file(std::string_view json) {
  return JsonFile(without_byte_order_mark(json)).read();
}

}  // namespace jack::app

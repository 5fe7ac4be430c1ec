// What a file of the earlier server holds, read and not yet judged by an engine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <jack_engine/time.h>

namespace jack::app {

enum class FileKind : std::uint8_t {
  tasks,        // tasks.json: an array of tasks
  agent_tasks,  // agent_tasks.json: an object, agent → array of tasks
  mailbox,      // FROM-to-TO.md: entries that begin with a timestamp
};

// All texts are UTF-8.
struct Entry {
  std::uint64_t line = 0;               // where it begins, counted from 1
  std::string agent;                    // whose task it is; empty: nobody's
  std::string from;                     // of a mailbox: who wrote it
  std::string id;                       // which it had; may be empty
  std::string created;                  // as it was written; may be anything
  std::optional<WallTime> time;         // the same, where it is a date
  std::string text;                     // never blank
  std::optional<std::string> response;  // of one that is completed, may be empty
};

// Something about a place in a file that people must hear.
struct Problem {
  std::uint64_t line = 0;    // 0: about the file
  std::uint64_t column = 0;  // in characters; 0: about the line
  std::string message;
  bool left_out = true;  // something was not imported; otherwise it was, all the same
};

struct ParsedFile {
  FileKind kind = FileKind::tasks;
  std::vector<Entry> entries;  // in the order of the file
  std::vector<Problem> problems;
};

}  // namespace jack::app

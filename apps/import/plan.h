// What is to become of the entries: which task each is, and in which queue.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/task.h>

#include "apps/import/entry.h"

namespace jack::app {

// What became of the entries of one file.
struct ImportCounts {
  std::uint64_t imported = 0;       // new
  std::uint64_t already_there = 0;  // from an earlier import
  std::uint64_t completed = 0;      // of both, those that are done by this import
  std::uint64_t left_out = 0;       // with a complaint each
};

// A task to submit. With a result it has been done: it never runs, and is there as succeeded.
struct ImportTask {
  TaskSpec spec;
  std::optional<std::string> result;
};

struct PlannedTask {
  Entry entry;
  TaskId id;
  std::string queue;
};

struct PlannedFile {
  FileKind kind = FileKind::tasks;
  std::string path;  // for people
  std::vector<PlannedTask> tasks;
  std::vector<Problem> problems;
  ImportCounts counts;
};

// Where the entries go.
struct Destinations {
  std::map<std::string, std::string> queues;  // agent → queue, where it is not the agent's name
  std::string inbox = "inbox";                // for those that are nobody's
};

// Takes the entries over, each with its id and queue. Those of an agent whose name cannot be that
// of a queue, and which no destination is given for, are left out, with one problem for the agent.
PlannedFile plan(ParsedFile file, std::string path, const Destinations& destinations);

// The earlier server kept a task that was assigned twice: in the list of all tasks and in that of
// its agent, which alone knows what became of it. Where both are imported, the former counts as
// already there. They are the same if agent and text are, and the id, or where there is none the
// date.
void drop_twins(std::vector<PlannedFile>& files);

ImportTask task_of(const PlannedTask& planned, std::string_view path);

}  // namespace jack::app

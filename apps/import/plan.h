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
  bool keeps_name = false;  // the queue cannot have its agent's name, which a header has then
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
  std::map<std::string, std::string> queues;  // agent → queue, of those to be renamed
  std::string inbox = "inbox";                // for those that are nobody's
};

// Takes the entries over, each with its id and the queue that the old routes have for its agent,
// unless another is given. Where there is neither, they are left out, with one problem for the
// agent.
PlannedFile plan(ParsedFile file, std::string path, const Destinations& destinations);

// Leaves one of several entries that are the same task: that of an agent's own list where there is
// one, or the first. It has its response, and its old id, from any of them. The others count as
// already there.
void merge_twins(std::vector<PlannedFile>& files);

ImportTask task_of(const PlannedTask& planned);

}  // namespace jack::app

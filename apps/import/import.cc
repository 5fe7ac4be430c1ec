// `jack import`: brings along the files of the earlier server.
#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "apps/bench/progress_bar.h"
#include "apps/commands/commands.h"
#include "apps/commands/connection.h"
#include "apps/import/client_target.h"
#include "apps/import/input_files.h"
#include "apps/import/plan.h"
#include "apps/import/submission.h"
#include "apps/import/summary.h"
#include "apps/json.h"
#include "apps/terminal.h"
#include "engine/format/spec.h"

namespace jack::app {
namespace {

struct ImportFlags {
  EngineFlags engine;
  std::vector<InputFile> paths;
  std::vector<std::pair<std::string, std::string>> queues;
  std::string inbox = Destinations{}.inbox;
  bool dry_run = false;
  bool json = false;
};

Result<Destinations> destinations_of(const ImportFlags& flags) {
  Destinations destinations;
  destinations.inbox = flags.inbox;
  if (!is_queue_name(flags.inbox)) {
    return Error{Code::invalid_argument, fmt::format("--inbox: {}", kQueueNameRule)};
  }
  for (const auto& [agent, queue] : flags.queues) {
    if (!is_queue_name(queue)) {
      return Error{Code::invalid_argument, fmt::format("--map {}: {}", agent, kQueueNameRule)};
    }
    if (!destinations.queues.emplace(agent, queue).second) {
      return Error{Code::invalid_argument, fmt::format("--map: '{}' is given twice", agent)};
    }
  }
  return destinations;
}

PlannedFile read_and_plan(const std::string& path, const Destinations& destinations) {
  Result<ParsedFile> parsed = parse_file(path);
  if (parsed) return plan(*std::move(parsed), path, destinations);
  PlannedFile unread;
  unread.path = path;
  unread.problems.push_back({0, 0, parsed.error().message, true});
  unread.counts.left_out = 1;
  return unread;
}

std::vector<PlannedFile> plan_all(const InputFiles& found, const Destinations& destinations) {
  std::vector<PlannedFile> files;
  for (const std::string& path : found.paths) files.push_back(read_and_plan(path, destinations));
  merge_twins(files);
  return files;
}

// A name that is misspelt would leave an agent's tasks where nobody wants them.
void complain_of_unused(const Destinations& destinations, const std::vector<PlannedFile>& files) {
  for (const auto& [agent, queue] : destinations.queues) {
    const bool used = std::ranges::any_of(files, [&](const PlannedFile& file) {
      return std::ranges::any_of(
          file.tasks, [&](const PlannedTask& task) { return task.entry.agent == agent; });
    });
    if (!used) complain(fmt::format("--map {}={}: no task is for '{}'", agent, queue, agent));
  }
}

void count_as_imported(std::vector<PlannedFile>& files) {
  for (PlannedFile& file : files) {
    file.counts.imported = file.tasks.size();
    file.counts.completed = static_cast<std::uint64_t>(std::ranges::count_if(
        file.tasks, [](const PlannedTask& task) { return task.entry.response.has_value(); }));
  }
}

Result<void> submit_with_bar(std::vector<PlannedFile>& files, ImportTarget& target) {
  const std::uint64_t all = count_tasks(files);
  std::atomic<std::uint64_t> done = 0;
  Result<void> submitted;
  {
    const ProgressBar bar("importing", all, [&done] { return done.load(); });
    submitted = submit_all(files, target, done);
  }
  if (submitted) return submitted;
  return Error{submitted.error().code,
               fmt::format("stopped after {} of {} tasks: {}; the same command again goes on from "
                           "there",
                           done.load(), all, submitted.error().message)};
}

// What there is to say about the files. Gives whether all of them went in.
bool tell(const ImportSummary& summary, const std::vector<Error>& unread_folders, bool as_json) {
  bool complete = unread_folders.empty();
  for (const Error& folder : unread_folders) complain(folder);
  for (const PlannedFile& file : summary.files) {
    for (const std::string& complaint : complaints_of(file)) complain(complaint);
    complete = complete && file.counts.left_out == 0;
  }
  if (summary.files.empty()) complain("there is no file to import: *.json, or *-to-*.md");
  if (summary.others > 0) {
    complain(fmt::format("files of another kind that were passed over: {}", summary.others));
  }
  print(as_json ? json_of(summary).line() + "\n" : text_of(summary, table_style()));
  return complete;
}

Result<ExitStatus> import(const ImportFlags& flags) {
  const Result<Destinations> destinations = destinations_of(flags);
  if (!destinations) {
    complain(destinations.error());
    return ExitStatus::usage;
  }
  std::vector<std::string> paths;
  for (const InputFile& path : flags.paths) paths.push_back(path.path);
  const InputFiles found = find_files(paths);
  ImportSummary summary{plan_all(found, *destinations), found.others, flags.dry_run};
  complain_of_unused(*destinations, summary.files);

  Result<void> submitted;
  if (flags.dry_run) {
    count_as_imported(summary.files);
  } else if (count_tasks(summary.files) > 0) {
    Result<Connection> connection = Connection::open(flags.engine);
    if (!connection) return connection.error();
    // Without an engine nothing has begun that a summary could be about.
    if (const auto reached = connection->client().info(); !reached) return reached.error();
    ClientTarget target(connection->client());
    submitted = submit_with_bar(summary.files, target);
  }
  const bool complete = tell(summary, found.problems, flags.json);
  if (!submitted) return submitted.error();
  return complete ? ExitStatus::done : ExitStatus::incomplete;
}

}  // namespace

Command import_command() {
  const auto flags = std::make_shared<ImportFlags>();
  Command command("import", "bring along the tasks of the earlier server's files");
  command
      .argument(
          "PATH", flags->paths,
          "tasks.json, agent_tasks.json, a mailbox FROM-to-TO.md, or a folder with such files")
      .option(
          "--map", "AGENT=QUEUE", flags->queues,
          "another queue for an agent (default: its name, with - for what a queue's name cannot "
          "have); may be given several times")
      .option("--inbox", "QUEUE", flags->inbox,
              "the queue of tasks that are assigned to nobody (default: inbox)")
      .flag("--dry-run", flags->dry_run, "show what would be imported; needs no engine")
      .flag("--json", flags->json, "print JSON")
      .details(
          "Tasks that are pending or acknowledged become work again; completed ones are there as "
          "succeeded, with their response as result. Importing again adds only what is new, and "
          "completes what has been completed since, so it can be repeated, after a crash too.")
      .details(
          "What cannot be read is reported with file and line, and the rest is imported. Import "
          "agent_tasks.json together with tasks.json: a task that is in both is one task.")
      .details(
          "An agent that gets another queue by --map has that name from then on: the routes of the "
          "earlier server list its tasks under the new name, and no longer under the old one.")
      .example("jack import shared --dry-run", "shows what is in the folder")
      .example("jack import shared", "imports all of it")
      .example("jack import shared --map 'Claude Code=claude' --inbox triage",
               "renames an agent, for the old routes too, and the queue of nobody's tasks")
      .status(ExitStatus::done, "all was imported, or was there already")
      .status(ExitStatus::usage, "the command line is wrong, or a PATH is not there")
      .status(ExitStatus::refused, "the engine is full; the same command later goes on")
      .status(ExitStatus::incomplete, "some was left out, as standard error says")
      .run([flags] { return import(*flags); });
  add_engine_flags(command, flags->engine);
  return command;
}

}  // namespace jack::app

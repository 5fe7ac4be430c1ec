// `jack watch`: what happens, while it happens.
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "apps/commands/commands.h"
#include "apps/commands/connection.h"
#include "apps/engine_position.h"
#include "apps/json.h"
#include "apps/tasks/task_json.h"
#include "apps/tasks/task_text.h"
#include "apps/terminal.h"

namespace jack::app {
namespace {

struct WatchFlags {
  EngineFlags engine;
  std::string target;
  std::optional<Position> after;
  std::uint64_t max = 0;
  bool json = false;
};

// Events that have happened come at once, those of a task that is over not at all.
constexpr Duration kIdleAfterEnd{1000};

bool is_last_of_a_cycle(EventKind kind) {
  return kind == EventKind::succeeded || kind == EventKind::failed ||
         kind == EventKind::cancelled || kind == EventKind::expired;
}

// Follows the events and survives the engine: when it goes away, watching begins again behind the
// last event that was seen.
class Watcher {
 public:
  Watcher(Connection& connection, const WatchFlags& flags)
      : client_(connection.client()), flags_(flags), colour_(has_colour(Stream::output)) {
    options_.after = flags.after;
    if (const std::optional<TaskId> task = TaskId::parse(flags.target)) {
      options_.task = *task;
    } else {
      options_.queue = flags.target;
    }
  }

  Result<ExitStatus> run() {
    if (Result<bool> begun = begin(); !begun || *begun) {
      return begun ? Result<ExitStatus>(ExitStatus::done) : begun.error();
    }
    while (true) {
      const Result<void> watched = client_.watch(
          options_, [this](const Event& event) { return take(event); }, idle_timeout_);
      if (watched && ended_cycle_ == 0) return ExitStatus::done;
      const bool idle = !watched && watched.error().code == Code::timed_out;
      if (!watched && !idle) {
        if (Result<void> wait = expect_back(watched.error()); !wait) return wait.error();
        continue;
      }
      Result<bool> over = is_over(idle);
      while (!over) {
        if (Result<void> wait = expect_back(over.error()); !wait) return wait.error();
        over = is_over(idle);
      }
      if (*over) return ExitStatus::done;
    }
  }

 private:
  // Fixes where to begin, so that nothing is missed if the engine goes away before the first event.
  // True: the task has ended already, so that nothing will happen.
  Result<bool> begin() {
    if (!options_.after) {
      Result<Position> now = position_now(client_);
      if (!now) return now.error();
      options_.after = *now;
    }
    if (options_.task.empty()) return false;
    const Result<Task> task = client_.get(options_.task);
    if (!task) return task.error();
    if (!is_terminal(task->status.state)) return false;
    if (flags_.after) {
      idle_timeout_ = kIdleAfterEnd;  // there may be nothing behind it
      return false;
    }
    complain(fmt::format("task {} {} already; --after 0 shows what happened",
                         to_string(options_.task), ended_text(task->status.state)));
    return true;
  }

  // An engine that is gone comes back, or somebody ends this command. Other errors stay.
  Result<void> expect_back(const Error& error) {
    if (error.code != Code::unavailable) return error;
    if (!gone_) complain("the engine is gone; waiting for it");
    gone_ = true;
    return {};
  }

  // After the last event of a cycle, or where nothing came for a while (`idle`): whether the task
  // has ended, and not only an earlier cycle of it.
  Result<bool> is_over(bool idle) {
    const Result<Task> task = client_.get(options_.task);
    if (!task && task.error().code == Code::not_found) return true;  // its retention has ended
    if (!task) return task.error();
    idle_timeout_ = Duration{0};
    return is_terminal(task->status.state) && (idle || task->status.cycle <= ended_cycle_);
  }

  bool take(const Event& event) {
    gone_ = false;
    options_.after = event.position;
    print(flags_.json ? json_of(event).line() + "\n" : event_text(event, colour_));
    if (!flush_printed()) return false;
    ++seen_;
    if (flags_.max != 0 && seen_ >= flags_.max) return false;
    // While this client watches it cannot ask for the task.
    const bool ended = !options_.task.empty() && is_last_of_a_cycle(event.kind);
    ended_cycle_ = ended ? event.cycle : 0;
    return !ended;
  }

  Client& client_;
  const WatchFlags& flags_;
  const bool colour_;
  WatchOptions options_;
  std::uint64_t seen_ = 0;
  std::uint32_t ended_cycle_ = 0;  // the one that the last event ended; 0: none
  Duration idle_timeout_{0};       // of watching; none
  bool gone_ = false;
};

Result<ExitStatus> watch(const WatchFlags& flags) {
  Result<Connection> connection = Connection::open(flags.engine);
  if (!connection) return connection.error();
  return Watcher(*connection, flags).run();
}

}  // namespace

Command watch_command() {
  const auto flags = std::make_shared<WatchFlags>();
  Command command("watch", "print events as they happen, until interrupted or the task has ended");
  command.argument("[ID|QUEUE]", flags->target, "only this task, or this queue (default: all)")
      .option("--after", "POSITION", flags->after,
              "begin behind this event, or with 0 as far back as is kept (default: now)")
      .option("--max", "N", flags->max, "end after so many events")
      .above_zero()
      .flag("--json", flags->json, "print one object per line")
      .details(
          "Goes on over restarts of the engine, without gap or repeat. The first column is the "
          "position of the event, for --after.")
      .example("jack watch reviewer", "what happens at one agent")
      .example("jack watch --after 1042.3 --json >> events.jsonl",
               "goes on where the file ends, if that is the position of its last line")
      .status(ExitStatus::done, "the task has ended, or --max events are printed")
      .status(ExitStatus::not_found, "there is no such task")
      .status(ExitStatus::refused, "the history behind the position is no longer kept")
      .run([flags] { return watch(*flags); });
  add_engine_flags(command, flags->engine);
  return command;
}

}  // namespace jack::app

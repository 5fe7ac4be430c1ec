// Runs a command for each task: what `jack work` hands to its Worker.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/limits.h>
#include <jack_engine/task.h>
#include <jack_engine/worker.h>

#include "apps/work/environment.h"
#include "apps/work/error_writer.h"
#include "apps/work/guard.h"
#include "apps/work/process.h"

namespace jack::app {

// Exit statuses by which a command says how its attempt went; any other is kTryAgain too. They are
// those of sysexits.h: EX_DATAERR and EX_TEMPFAIL.
inline constexpr int kDone = 0;
inline constexpr int kFailedForGood = 65;
inline constexpr int kTryAgain = 75;

struct CommandOptions {
  std::string program;  // as find_program() gave it
  std::vector<std::string> arguments;
  Variables variables;  // beside those of the task
  Duration timeout{0};
  Duration grace{5000};
  bool stream = false;  // standard output is the task's output too, while it runs
  // Of standard output; beyond, the command is stopped. More than any engine takes, so that the
  // worker ends the task as payload_too_large and names the limit of its engine.
  std::size_t output_bytes_max = kPayloadBytesHardMax + 1;
  // The command cannot be run at all; tasks are given back. Called on the thread of the task.
  std::function<void(const std::string& why)> on_broken;
};

// Called from any number of threads.
class CommandHandler {
 public:
  // All must outlive it.
  CommandHandler(const CommandOptions& options, ProcessGuard& guard, ErrorWriter& errors)
      : options_(options), guard_(guard), errors_(errors) {}

  Settlement run(Attempt& attempt);

  // Commands that run at this moment.
  std::size_t running() const { return running_; }

 private:
  ProcessEnd run_command(Attempt& attempt, std::string& errors);
  Settlement give_back(const ProcessEnd& end);

  const CommandOptions& options_;
  ProcessGuard& guard_;
  ErrorWriter& errors_;
  std::atomic<std::size_t> running_{0};
};

// What `jack work --verbose` says of an attempt, in one line.
std::string line_of(const SettledAttempt& attempt);

// How an attempt ends whose command ended so. `errors` are the last lines of its standard error.
// Not for Ending::not_started.
Settlement settlement_of(ProcessEnd end, std::string_view errors, const CommandOptions& options);

}  // namespace jack::app

#include "apps/work/command_handler.h"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "apps/terminal.h"
#include "apps/text/duration.h"
#include "apps/work/last_lines.h"

namespace jack::app {
namespace {

// Of standard error; with what is put before it, still within Limits::error_bytes_max.
constexpr std::size_t kErrorLinesBytes = 3500;

// Before a task that could not be begun for want of processes or memory is handed out again.
constexpr Duration kShortageDelay{1000};

std::string name_of_signal(int number) {
  const char* const name = ::sigabbrev_np(number);
  return name == nullptr ? fmt::format("signal {}", number) : fmt::format("SIG{}", name);
}

std::string with_lines(std::string what, std::string_view errors) {
  return errors.empty() ? what : fmt::format("{}\n{}", what, errors);
}

bool is_shortage(int number) {
  return number == EAGAIN || number == ENOMEM || number == EMFILE || number == ENFILE ||
         number == ETXTBSY;
}

// Its lease ended first, by a cancel say, and its command was stopped.
bool was_stopped(const SettledAttempt& attempt) {
  return attempt.settlement.outcome() == Outcome::released && attempt.answer == Code::lease_lost;
}

std::string text_of(const Settlement& settlement) {
  switch (settlement.outcome()) {
    case Outcome::succeeded: return "succeeded";
    case Outcome::released: return "was given back";
    default: return settlement.retry() ? "failed" : "failed for good";
  }
}

}  // namespace

Settlement CommandHandler::run(Attempt& attempt) {
  std::string errors;
  ++running_;
  ProcessEnd end = run_command(attempt, errors);
  --running_;
  if (end.ending == Ending::not_started) return give_back(end);
  return settlement_of(std::move(end), errors, options_);
}

ProcessEnd CommandHandler::run_command(Attempt& attempt, std::string& errors) {
  const TaskSpec& task = attempt.task();
  Variables variables = task_variables(task, attempt.number(), attempt.token());
  variables.insert(options_.variables.begin(), options_.variables.end());
  LastLines last_lines(kErrorLinesBytes);

  ProcessOptions process;
  process.program = options_.program;
  process.arguments = options_.arguments;
  process.environment = environment_with(own_environment(), variables);
  process.input = task.payload;
  process.output_bytes_max = options_.output_bytes_max;
  process.timeout = options_.timeout;
  process.grace = options_.grace;
  if (options_.stream) {
    process.on_output = [&attempt](std::string_view part) { attempt.output(part); };
  }
  process.on_error = [this, &last_lines](std::string_view part) {
    last_lines.add(part);
    errors_.write(part);
  };
  process.on_started = [this](pid_t group) { guard_.watch(group); };
  process.on_ended = [this](pid_t group) { guard_.forget(group); };
  ProcessEnd end = run_process(process, attempt.stop_token());
  errors = last_lines.text();
  return end;
}

// Nothing is wrong with the task.
Settlement CommandHandler::give_back(const ProcessEnd& end) {
  const std::string why =
      fmt::format("cannot run {}: {}", options_.program, std::strerror(end.status));
  if (!is_shortage(end.status)) {
    options_.on_broken(why);
    return Settlement::release();
  }
  errors_.write(complaint(why + "; trying again"));
  return Settlement::release(kShortageDelay);
}

std::string line_of(const SettledAttempt& attempt) {
  std::string line = fmt::format(
      "task {} of {}, attempt {}, {}", to_string(attempt.task), attempt.queue, attempt.number,
      was_stopped(attempt) ? "was stopped" : text_of(attempt.settlement));
  if (attempt.took) line += " after " + short_text(*attempt.took);
  if (was_stopped(attempt)) return line;
  if (attempt.answer != Code::ok) line += fmt::format("; not kept: {}", name_of(attempt.answer));
  return line;
}

Settlement settlement_of(ProcessEnd end, std::string_view errors, const CommandOptions& options) {
  switch (end.ending) {
    case Ending::exited: break;
    case Ending::signalled:
      return Settlement::fail(
          with_lines("the command was ended by " + name_of_signal(end.status), errors));
    case Ending::timed_out:
      return Settlement::fail(with_lines(
          fmt::format("the command took longer than {}", exact_text(options.timeout)), errors));
    case Ending::output_too_large:
      return Settlement::succeed(std::move(end.output));  // which the worker refuses
    case Ending::stopped:
    case Ending::not_started: return Settlement::release();
  }
  if (end.status == kDone) return Settlement::succeed(std::move(end.output));
  std::string error =
      errors.empty()
          ? fmt::format("the command ended with status {} and wrote no error", end.status)
          : std::string(errors);
  if (end.status == kFailedForGood) return Settlement::fail_for_good(std::move(error));
  return Settlement::fail(std::move(error));
}

}  // namespace jack::app

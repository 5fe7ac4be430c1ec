// Runs a program: input in, output out, an end in any case.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include <jack_engine/time.h>

namespace jack::app {

struct ProcessOptions {
  std::string program;                     // a path; not searched for
  std::vector<std::string> arguments;      // the program's name first
  std::vector<std::string> environment;    // "NAME=VALUE"
  std::string_view input;                  // its standard input; it may leave any of it unread
  std::size_t output_bytes_max = 1 << 20;  // of standard output; beyond, it is stopped
  Duration timeout{0};                     // beyond, it is stopped; 0: none
  Duration grace{5000};                    // between SIGTERM and SIGKILL, when it is stopped
  // How long others that hold its outputs may go on after it has exited; then nobody listens.
  Duration drain{500};

  std::function<void(std::string_view)> on_output;  // parts of standard output
  std::function<void(std::string_view)> on_error;   // parts of standard error
  // Its process group, which is also its process id: before the program begins, and when the id may
  // be given to another process.
  std::function<void(pid_t)> on_started;
  std::function<void(pid_t)> on_ended;
};

// Why it ended.
enum class Ending {
  exited,     // `status` is its exit status
  signalled,  // `status` is the signal that ended it
  timed_out,
  stopped,  // by the stop token
  output_too_large,
  not_started,  // `status` is errno
};

struct ProcessEnd {
  Ending ending = Ending::exited;
  int status = 0;
  std::string output;  // at most output_bytes_max
};

// Returns when the program has ended, with whatever it left running in the background. It runs in a
// process group of its own, and only this group's processes are signalled. If the calling thread
// ends, for whatever reason, the program is killed.
//
// SIGPIPE must be ignored in this process. Any thread; waits in poll() only.
ProcessEnd run_process(const ProcessOptions& options, std::stop_token stop = {});

// Where a command is, as a shell would find it: in the folders of `search_path` unless its name has
// a slash. Nothing where there is no such file that may be run.
std::optional<std::string> find_program(const std::string& name, const std::string& search_path);

}  // namespace jack::app

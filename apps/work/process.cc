#include "apps/work/process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apps/descriptor.h"
#include "engine/assert.h"

namespace jack::app {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kReadBytes = 64 << 10;

struct Pipe {
  Descriptor reader;
  Descriptor writer;
};

std::optional<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

void make_nonblocking(const Descriptor& descriptor) {
  ::fcntl(descriptor.get(), F_SETFL, ::fcntl(descriptor.get(), F_GETFL) | O_NONBLOCK);
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// What the child needs between fork() and execve(), made before the fork: from then on it may only
// call what is safe in a signal handler, because another thread may have held any lock.
struct Launch {
  const char* program = nullptr;
  char* const* arguments = nullptr;
  char* const* script_arguments = nullptr;  // for /bin/sh, where the program is a bare script
  char* const* environment = nullptr;
  int input = -1;
  int output = -1;
  int errors = -1;
  int go = -1;      // yields a byte once the program may be run
  int report = -1;  // gets errno where it cannot be run
  pid_t parent = 0;
};

[[noreturn]] void become(const Launch& launch) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != launch.parent) ::_exit(127);  // it ended before that was asked for
  char byte = 0;
  if (::read(launch.go, &byte, 1) != 1) ::_exit(127);
  ::dup2(launch.input, STDIN_FILENO);
  ::dup2(launch.output, STDOUT_FILENO);
  ::dup2(launch.errors, STDERR_FILENO);
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(launch.program, launch.arguments, launch.environment);
  if (errno == ENOEXEC) ::execve("/bin/sh", launch.script_arguments, launch.environment);
  const int reason = errno;
  static_cast<void>(!::write(launch.report, &reason, sizeof reason));
  ::_exit(127);
}

// One program from its start to its end.
class Process {
 public:
  Process(const ProcessOptions& options, std::stop_token stop)
      : options_(options), stop_(std::move(stop)) {}

  ProcessEnd run() {
    if (!start()) return {Ending::not_started, errno, {}};
    const std::stop_callback wake(stop_, [this] {
      const std::uint64_t one = 1;
      JACK_ASSERT(::write(wake_.get(), &one, sizeof one) == sizeof one);
    });
    while (!is_over()) turn();
    return end();
  }

 private:
  // Leaves errno behind where it fails.
  bool start();
  bool launch(const Pipe& input, const Pipe& output, const Pipe& errors);
  int let_go(const Pipe& go, Pipe& report);
  bool is_over() const;
  void turn();
  int milliseconds_left() const;
  void on_time(SteadyClock::time_point now);
  void stop_it(Ending reason);
  void write_input();
  bool read_part(Descriptor& pipe, std::string_view& part);
  bool read_output();
  bool read_errors();
  void on_exit();
  ProcessEnd end();

  const ProcessOptions& options_;
  const std::stop_token stop_;
  Descriptor input_;
  Descriptor output_;
  Descriptor errors_;
  Descriptor process_;
  Descriptor wake_;
  pid_t group_ = 0;
  std::size_t written_ = 0;
  std::string buffer_ = std::string(kReadBytes, '\0');
  bool exited_ = false;
  std::optional<Ending> stopped_for_;
  std::optional<SteadyClock::time_point> deadline_;  // of what comes next: stop, kill, or the drain
  ProcessEnd result_;
};

bool Process::start() {
  std::optional<Pipe> input = make_pipe();
  std::optional<Pipe> output = make_pipe();
  std::optional<Pipe> errors = make_pipe();
  wake_ = Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!input || !output || !errors || !wake_) return false;
  if (!launch(*input, *output, *errors)) return false;

  input_ = std::move(input->writer);
  output_ = std::move(output->reader);
  errors_ = std::move(errors->reader);
  make_nonblocking(input_);
  make_nonblocking(output_);
  make_nonblocking(errors_);
  if (options_.input.empty()) input_.close();
  if (options_.timeout.count() != 0) deadline_ = SteadyClock::now() + options_.timeout;
  return true;
}

bool Process::launch(const Pipe& input, const Pipe& output, const Pipe& errors) {
  std::optional<Pipe> go = make_pipe();
  std::optional<Pipe> report = make_pipe();
  if (!go || !report) return false;
  std::vector<std::string> script = options_.arguments;
  if (script.empty()) script.emplace_back();
  script.front() = options_.program;
  script.insert(script.begin(), "sh");
  const std::vector<char*> arguments = pointers_to(options_.arguments);
  const std::vector<char*> script_arguments = pointers_to(script);
  const std::vector<char*> environment = pointers_to(options_.environment);
  const Launch launch{
      options_.program.c_str(), arguments.data(),    script_arguments.data(), environment.data(),
      input.reader.get(),       output.writer.get(), errors.writer.get(),     go->reader.get(),
      report->writer.get(),     ::getpid()};
  group_ = ::fork();
  if (group_ < 0) return false;
  if (group_ == 0) become(launch);
  ::setpgid(group_, group_);  // the child does it too; whoever is first
  // Before the program can start others: whoever looks after the group is to know of it by then.
  if (options_.on_started) options_.on_started(group_);

  const int failure = let_go(*go, *report);
  if (failure == 0) return true;
  ::kill(-group_, SIGKILL);
  if (options_.on_ended) options_.on_ended(group_);
  ::waitpid(group_, nullptr, 0);
  errno = failure;
  return false;
}

// Lets the program run. Gives errno where it cannot, 0 where it does.
int Process::let_go(const Pipe& go, Pipe& report) {
  static_cast<void>(!::write(go.writer.get(), "", 1));  // fails only if the child was killed
  report.writer.close();  // the child's end of it closes when the program runs
  int failure = 0;
  ssize_t got = 0;
  do {
    got = ::read(report.reader.get(), &failure, sizeof failure);
  } while (got < 0 && errno == EINTR);
  if (got != 0) return failure;
  // By its number: the header of Debian 12 declares the function for C only.
  process_ = Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, group_, 0)));
  return process_ ? 0 : errno;
}

bool Process::is_over() const {
  if (!exited_) return false;
  if (stopped_for_ || (!output_ && !errors_)) return true;
  return SteadyClock::now() >= *deadline_;
}

int Process::milliseconds_left() const {
  if (!deadline_) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline_ - SteadyClock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1'000'000'000));
}

void Process::turn() {
  // poll() passes over negative descriptors.
  std::array<pollfd, 5> waits = {{{input_.get(), POLLOUT, 0},
                                  {output_.get(), POLLIN, 0},
                                  {errors_.get(), POLLIN, 0},
                                  {exited_ ? -1 : process_.get(), POLLIN, 0},
                                  {stopped_for_ || exited_ ? -1 : wake_.get(), POLLIN, 0}}};
  if (::poll(waits.data(), waits.size(), milliseconds_left()) < 0) return;  // interrupted
  if (waits[0].revents != 0) write_input();
  if (waits[1].revents != 0) read_output();
  if (waits[2].revents != 0) read_errors();
  if (waits[3].revents != 0) on_exit();
  if (waits[4].revents != 0 && !exited_) stop_it(Ending::stopped);
  on_time(SteadyClock::now());
}

void Process::on_time(SteadyClock::time_point now) {
  if (exited_ || !deadline_ || now < *deadline_) return;
  if (!stopped_for_) {
    stop_it(Ending::timed_out);
  } else {
    ::kill(-group_, SIGKILL);
    deadline_.reset();
  }
}

void Process::stop_it(Ending reason) {
  stopped_for_ = reason;
  if (exited_) return;  // only others of its group write on
  input_.close();
  ::kill(-group_, SIGTERM);
  ::kill(-group_, SIGCONT);  // a suspended process would not see it
  deadline_ = SteadyClock::now() + options_.grace;
}

void Process::write_input() {
  const std::string_view rest = options_.input.substr(written_);
  const ssize_t written = ::write(input_.get(), rest.data(), rest.size());
  if (written > 0) written_ += static_cast<std::size_t>(written);
  const bool later = written < 0 && (errno == EAGAIN || errno == EINTR);
  // All of it, or the program has closed its input, which it may.
  if (written_ == options_.input.size() || (written < 0 && !later)) input_.close();
}

// False where there is nothing more for now.
bool Process::read_part(Descriptor& pipe, std::string_view& part) {
  const ssize_t got = ::read(pipe.get(), buffer_.data(), buffer_.size());
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (got <= 0) {
    pipe.close();
    return false;
  }
  part = std::string_view(buffer_).substr(0, static_cast<std::size_t>(got));
  return true;
}

// False where there is nothing more for now.
bool Process::read_output() {
  std::string_view part;
  if (!read_part(output_, part)) return false;
  if (stopped_for_) return true;
  const std::size_t room = options_.output_bytes_max - result_.output.size();
  result_.output += part.substr(0, room);
  if (options_.on_output) options_.on_output(part.substr(0, room));
  if (part.size() > room) stop_it(Ending::output_too_large);
  return true;
}

bool Process::read_errors() {
  std::string_view part;
  if (!read_part(errors_, part)) return false;
  if (options_.on_error) options_.on_error(part);
  return true;
}

void Process::on_exit() {
  exited_ = true;
  input_.close();
  // While the program is not reaped, its id and that of its group belong to nobody else.
  if (stopped_for_) ::kill(-group_, SIGKILL);
  deadline_ = SteadyClock::now() + options_.drain;
}

ProcessEnd Process::end() {
  // What is in the pipes by now was written before: errors are in there whole, and of output no
  // more is taken than its bound.
  if (errors_) read_errors();
  while (output_ && !stopped_for_ && read_output()) {
  }
  if (options_.on_ended) options_.on_ended(group_);
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(group_), &info, WEXITED) != 0 && errno == EINTR) {
  }
  result_.ending = info.si_code == CLD_EXITED ? Ending::exited : Ending::signalled;
  result_.status = info.si_status;
  if (stopped_for_) result_.ending = *stopped_for_;
  return std::move(result_);
}

bool may_be_run(const std::string& path) {
  struct stat facts {};
  return ::stat(path.c_str(), &facts) == 0 && S_ISREG(facts.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

ProcessEnd run_process(const ProcessOptions& options, std::stop_token stop) {
  return Process(options, std::move(stop)).run();
}

std::optional<std::string> find_program(const std::string& name, const std::string& search_path) {
  if (name.empty()) return std::nullopt;
  if (name.find('/') != std::string::npos) {
    return may_be_run(name) ? std::optional<std::string>(name) : std::nullopt;
  }
  std::size_t begin = 0;
  while (begin <= search_path.size()) {
    const std::size_t end = std::min(search_path.find(':', begin), search_path.size());
    const std::string folder = search_path.substr(begin, end - begin);
    const std::string path = (folder.empty() ? "." : folder) + "/" + name;
    if (may_be_run(path)) return path;
    begin = end + 1;
  }
  return std::nullopt;
}

}  // namespace jack::app

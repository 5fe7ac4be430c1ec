// Commands that behave, and commands that do not. Each ends with a name, and none hangs.
#include "apps/work/process.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apps/descriptor.h"
#include "apps/work/command_handler.h"
#include "apps/work/environment.h"
#include "apps/work/error_writer.h"
#include "apps/work/guard.h"
#include "apps/work/last_lines.h"
#include "tests/catch.hpp"

namespace jack::app {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

// A shell command; tests change what they are about.
ProcessOptions shell(const std::string& script) {
  std::signal(SIGPIPE, SIG_IGN);
  ProcessOptions options;
  options.program = "/bin/sh";
  options.arguments = {"sh", "-c", script};
  options.environment = own_environment();
  options.grace = 10s;
  options.drain = 10s;
  return options;
}

// A pipe that a command writes to and a test reads from, to wait for something instead of sleeping.
class Signal {
 public:
  Signal() {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    reader_ = Descriptor(ends[0]);
    writer_ = Descriptor(ends[1]);
    ::fcntl(reader_.get(), F_SETFD, FD_CLOEXEC);
  }

  // What a script redirects to.
  std::string target() const { return "/proc/self/fd/" + std::to_string(writer_.get()); }

  // Waits for so many bytes.
  std::string wait(std::size_t bytes) const {
    std::string text(bytes, '\0');
    std::size_t got = 0;
    while (got < bytes) {
      const ssize_t part = ::read(reader_.get(), text.data() + got, bytes - got);
      REQUIRE(part > 0);
      got += static_cast<std::size_t>(part);
    }
    return text;
  }

  // Waits until everybody that had the other end is gone.
  void wait_for_end() {
    writer_.close();
    char byte = 0;
    while (::read(reader_.get(), &byte, 1) > 0) {
    }
  }

 private:
  Descriptor reader_;
  Descriptor writer_;
};

class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / "jack-process-XXXXXX") {
    REQUIRE(::mkdtemp(path_.data()) != nullptr);
  }
  ~Folder() { fs::remove_all(path_); }
  std::string file(const std::string& name, const std::string& text, fs::perms mode) const {
    const std::string path = path_ + "/" + name;
    std::ofstream(path) << text;
    fs::permissions(path, mode);
    return path;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST_CASE("input goes in, output comes out, and the status is told") {
  ProcessOptions options = shell("cat; exit 7");
  options.input = "hello";

  const ProcessEnd end = run_process(options);

  CHECK(end.ending == Ending::exited);
  CHECK(end.status == 7);
  CHECK(end.output == "hello");
}

TEST_CASE("input and output that are larger than any pipe go through at the same time") {
  const std::string input(3'000'000, 'x');
  ProcessOptions options = shell("cat");
  options.input = input;
  options.output_bytes_max = input.size();

  const ProcessEnd end = run_process(options);

  CHECK(end.ending == Ending::exited);
  CHECK(end.output == input);
}

TEST_CASE("a command may leave its input unread") {
  const std::string input(3'000'000, 'x');
  ProcessOptions options = shell(GENERATE("echo done", "exec <&-; echo done"));
  options.input = input;

  const ProcessEnd end = run_process(options);

  CHECK(end.ending == Ending::exited);
  CHECK(end.status == 0);
  CHECK(end.output == "done\n");
}

TEST_CASE("a command may close its outputs and go on") {
  Signal signal;
  const ProcessEnd end =
      run_process(shell("exec >&- 2>&-; echo x > " + signal.target() + "; exit 3"));

  CHECK(signal.wait(1) == "x");
  CHECK(end.ending == Ending::exited);
  CHECK(end.status == 3);
}

TEST_CASE("output up to the limit is kept, and one byte more stops the command") {
  ProcessOptions options = shell("printf 12345; exec sleep 1000");
  options.output_bytes_max = 4;

  const ProcessEnd end = run_process(options);

  CHECK(end.ending == Ending::output_too_large);
  CHECK(end.output == "1234");

  options = shell("printf 1234");
  options.output_bytes_max = 4;
  CHECK(run_process(options).ending == Ending::exited);
}

TEST_CASE("too much output is noticed even if the command has exited by then") {
  ProcessOptions options = shell("printf 12345");
  options.output_bytes_max = 4;

  CHECK(run_process(options).ending == Ending::output_too_large);
}

TEST_CASE("output and errors are passed on while the command runs") {
  std::string output;
  std::string errors;
  ProcessOptions options = shell("echo out; echo err >&2");
  options.on_output = [&](std::string_view part) { output += part; };
  options.on_error = [&](std::string_view part) { errors += part; };

  const ProcessEnd end = run_process(options);

  CHECK(end.output == "out\n");
  CHECK(output == "out\n");
  CHECK(errors == "err\n");
}

TEST_CASE("a death by a signal is told with the signal") {
  const ProcessEnd end = run_process(shell("kill -SEGV $$"));

  CHECK(end.ending == Ending::signalled);
  CHECK(end.status == SIGSEGV);
}

TEST_CASE("a command that takes too long is stopped, with what it printed until then") {
  ProcessOptions options = shell("echo begun; exec sleep 1000");
  options.timeout = 50ms;

  const ProcessEnd end = run_process(options);

  CHECK(end.ending == Ending::timed_out);
}

TEST_CASE("stopping a command reaches its children too") {
  Signal signal;
  std::stop_source stop;
  ProcessOptions options = shell("sleep 1000 & sleep 1000 | cat & echo x; wait");
  options.on_output = [&](std::string_view) { stop.request_stop(); };

  const ProcessEnd end = run_process(options, stop.get_token());

  CHECK(end.ending == Ending::stopped);
  signal.wait_for_end();  // the children had inherited it
}

TEST_CASE("a command that ignores SIGTERM is killed after the grace time") {
  std::stop_source stop;
  ProcessOptions options = shell("trap '' TERM; echo x; while :; do sleep 1000; done");
  options.grace = 20ms;
  options.on_output = [&](std::string_view) { stop.request_stop(); };

  CHECK(run_process(options, stop.get_token()).ending == Ending::stopped);
}

TEST_CASE("a command that was told to stop may put things in order") {
  std::stop_source stop;
  std::string errors;
  ProcessOptions options =
      shell("trap 'echo in order >&2; exit 0' TERM; echo x; while :; do sleep 0.01; done");
  options.on_output = [&](std::string_view) { stop.request_stop(); };
  options.on_error = [&](std::string_view part) { errors += part; };

  CHECK(run_process(options, stop.get_token()).ending == Ending::stopped);
  CHECK_THAT(errors, test::ContainsSubstring("in order"));
}

TEST_CASE("a suspended command can be stopped") {
  std::stop_source stop;
  ProcessOptions options = shell("echo x; kill -STOP $$; exec sleep 1000");
  options.on_output = [&](std::string_view) { stop.request_stop(); };

  CHECK(run_process(options, stop.get_token()).ending == Ending::stopped);
}

TEST_CASE("a stop that was requested before the start stops it at once") {
  std::stop_source stop;
  stop.request_stop();

  CHECK(run_process(shell("exec sleep 1000"), stop.get_token()).ending == Ending::stopped);
}

TEST_CASE("grandchildren that hold the pipes do not keep an exited command from ending") {
  ProcessOptions options = shell("sleep 1000 & echo $!; exit 4");
  options.drain = 20ms;

  const ProcessEnd end = run_process(options);

  CHECK(end.ending == Ending::exited);
  CHECK(end.status == 4);
  ::kill(static_cast<pid_t>(std::stol(end.output)), SIGKILL);
}

TEST_CASE("what a child of an exited command still prints is waited for") {
  // The child prints once the pipe closes that the command holds until its end.
  ProcessOptions options = shell("exec 3> >(cat; echo late); echo early");
  options.program = "/bin/bash";
  options.arguments.front() = "bash";

  CHECK(run_process(options).output == "early\nlate\n");
}

TEST_CASE("a grandchild that never stops printing is not listened to for ever") {
  ProcessOptions options = shell("yes & echo $! >&2");
  std::string errors;
  options.output_bytes_max = 1 << 20;
  options.on_error = [&](std::string_view part) { errors += part; };

  CHECK(run_process(options).ending == Ending::output_too_large);
  ::kill(static_cast<pid_t>(std::stol(errors)), SIGKILL);
}

TEST_CASE("a program that is not there is told by its errno") {
  ProcessOptions options = shell("");
  options.program = "/nowhere/at/all";

  const ProcessEnd end = run_process(options);

  CHECK(end.ending == Ending::not_started);
  CHECK(end.status == ENOENT);
}

TEST_CASE("a script without a first line for its interpreter is run by the shell") {
  const Folder folder;
  ProcessOptions options = shell("");
  options.program = folder.file("script", "echo \"$1\"\n", fs::perms::owner_all);
  options.arguments = {"script", "argument"};

  CHECK(run_process(options).output == "argument\n");
}

TEST_CASE("a command begins with signals as they usually are") {
  const ProcessEnd end =
      run_process(shell("grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -d ' \\t'"));

  CHECK_THAT(end.output, test::ContainsSubstring("SigBlk:0000000000000000"));
  const std::size_t ignored = end.output.find("SigIgn:") + 7;
  const unsigned long mask = std::stoul(end.output.substr(ignored, 16), nullptr, 16);
  CHECK((mask & (1ul << (SIGPIPE - 1))) == 0);
}

TEST_CASE("a command gets none of the pipes of another") {
  const ProcessOptions count = shell("ls -l /proc/self/fd | grep -c pipe:");
  const std::string alone = run_process(count).output;
  std::string beside;
  ProcessOptions options = shell("echo x; cat");
  options.on_output = [&](std::string_view) { beside = run_process(count).output; };

  run_process(options);

  CHECK(beside == alone);
}

TEST_CASE("the group is told when it begins, and when its id may be given away") {
  pid_t begun = 0;
  pid_t ended = 0;
  ProcessOptions options = shell("echo $$");
  options.on_started = [&](pid_t group) { begun = group; };
  options.on_ended = [&](pid_t group) {
    ended = group;
    CHECK(::kill(group, 0) == 0);  // not reaped yet
  };

  const ProcessEnd end = run_process(options);

  CHECK(std::stol(end.output) == begun);
  CHECK(ended == begun);
  CHECK(::kill(begun, 0) != 0);
}

TEST_CASE("many commands at once do not keep each other's pipes open") {
  std::array<ProcessEnd, 8> ends;
  {
    std::vector<std::jthread> threads;
    for (ProcessEnd& end : ends) {
      threads.emplace_back([&end] {
        ProcessOptions options = shell("cat");
        options.input = "x";
        options.drain = 1000s;
        for (int i = 0; i < 10; ++i) end = run_process(options);
      });
    }
  }
  for (const ProcessEnd& end : ends) CHECK(end.output == "x");
}

// Runs `body` in a process of its own, gives the pid. It ends by being killed.
template <typename Body>
pid_t fork_and(Body body) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    body();
    ::_exit(0);
  }
  return child;
}

TEST_CASE("a command dies with the process that runs it") {
  Signal signal;
  const pid_t worker =
      fork_and([&] { run_process(shell("echo x > " + signal.target() + "; exec sleep 1000")); });
  signal.wait(2);

  ::kill(worker, SIGKILL);
  ::waitpid(worker, nullptr, 0);

  signal.wait_for_end();
}

TEST_CASE("with a guard all of a command's group dies with the process that runs it") {
  Signal signal;
  const pid_t worker = fork_and([&] {
    ProcessGuard guard = ProcessGuard::start().value();
    ProcessOptions options = shell("sleep 1000 & echo x > " + signal.target() + "; wait");
    options.on_started = [&](pid_t group) { guard.watch(group); };
    run_process(options);
  });
  signal.wait(2);

  ::kill(worker, SIGKILL);
  ::waitpid(worker, nullptr, 0);

  signal.wait_for_end();
}

TEST_CASE("a guard leaves groups alone that it was told to forget") {
  Signal signal;
  ProcessOptions options = shell("sleep 1000 & echo $!");
  options.drain = 0ms;
  std::optional<ProcessGuard> guard(ProcessGuard::start().value());
  options.on_started = [&](pid_t group) { guard->watch(group); };
  options.on_ended = [&](pid_t group) { guard->forget(group); };

  const ProcessEnd end = run_process(options);
  guard.reset();

  const auto child = static_cast<pid_t>(std::stol(end.output));
  CHECK(::kill(child, 0) == 0);
  ::kill(child, SIGKILL);
}

TEST_CASE("a program is found as a shell would find it") {
  const Folder folder;
  const std::string program = folder.file("agent", "", fs::perms::owner_all);
  folder.file("text", "", fs::perms::owner_read);
  fs::create_directories(folder.path() + "/inner");

  CHECK(find_program("agent", "/nowhere:" + folder.path()) == program);
  CHECK(find_program(program, "") == program);
  CHECK(find_program("agent", "/nowhere") == std::nullopt);
  CHECK(find_program("text", folder.path()) == std::nullopt);
  CHECK(find_program("inner", folder.path()) == std::nullopt);
  CHECK(find_program("", folder.path()) == std::nullopt);
  CHECK(find_program(folder.path() + "/none", "") == std::nullopt);
}

TEST_CASE("the last lines of a text are whole ones") {
  LastLines lines(8);
  lines.add("first\nsec");
  CHECK(lines.text() == "sec");
  lines.add("ond\n\n");
  CHECK(lines.text() == "second");

  LastLines one(5);
  one.add("0123456789");
  one.add("abcdefghij");
  CHECK(one.text() == "fghij");

  CHECK(LastLines(10).text().empty());
}

CommandOptions some_options() {
  CommandOptions options;
  options.timeout = 90s;
  return options;
}

TEST_CASE("the exit status of a command says how its attempt went") {
  const auto settled = [](int status, std::string_view errors) {
    return settlement_of({Ending::exited, status, "result"}, errors, some_options());
  };

  const Settlement done = settled(0, "noise");
  CHECK(done.outcome() == Outcome::succeeded);
  CHECK(done.result() == "result");

  for (const int status : {1, 2, 75, 127, 255}) {
    const Settlement again = settled(status, "boom");
    CHECK(again.outcome() == Outcome::failed);
    CHECK(again.retry());
    CHECK(again.error() == "boom");
  }
  const Settlement for_good = settled(65, "boom");
  CHECK(for_good.outcome() == Outcome::failed);
  CHECK(!for_good.retry());
  CHECK_THAT(settled(9, "").error(), test::ContainsSubstring("status 9"));
}

TEST_CASE("every other ending of a command has a name too") {
  const auto settled = [](Ending ending, int status) {
    return settlement_of({ending, status, "1234"}, "last words", some_options());
  };

  const Settlement killed = settled(Ending::signalled, SIGSEGV);
  CHECK(killed.outcome() == Outcome::failed);
  CHECK(killed.retry());
  CHECK(killed.error() == "the command was ended by SIGSEGV\nlast words");

  const Settlement late = settled(Ending::timed_out, 0);
  CHECK(late.outcome() == Outcome::failed);
  CHECK(late.retry());
  CHECK(late.error() == "the command took longer than 1m30s\nlast words");

  // The worker knows the engine's limit and refuses it by that; cli_work has the whole way.
  const Settlement large = settled(Ending::output_too_large, 0);
  CHECK(large.outcome() == Outcome::succeeded);
  CHECK(large.result() == "1234");

  CHECK(settled(Ending::stopped, 0).outcome() == Outcome::released);
}

TEST_CASE("a command finds its task in the environment") {
  TaskSpec task;
  task.id = TaskId::parse("0190d4c2-7b1e-7c3a-9f00-1234567890ab").value();
  task.queue = "mail";
  task.type = std::string("a\0b", 3);
  task.headers = {{"traceparent", "00-1-2-01"}, {"k", "v"}};

  const Variables variables = task_variables(task, 2, LeaseToken{77});

  CHECK(variables.at("JACK_TASK_ID") == "0190d4c2-7b1e-7c3a-9f00-1234567890ab");
  CHECK(variables.at("JACK_QUEUE") == "mail");
  CHECK(variables.at("JACK_TYPE") == "a");
  CHECK(variables.at("JACK_ATTEMPT") == "2");
  CHECK(variables.at("JACK_TOKEN") == "77");
  CHECK(variables.at("JACK_PARENT") == "");
  CHECK(variables.at("JACK_FROM") == "");
  CHECK(variables.at("JACK_HEADERS") == "{\"k\":\"v\",\"traceparent\":\"00-1-2-01\"}");
  CHECK(variables.at("TRACEPARENT") == "00-1-2-01");
}

// A pipe with both ends here.
struct ErrorPipe {
  ErrorPipe() {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    reader = Descriptor(ends[0]);
    writer = Descriptor(ends[1]);
  }

  // Until there is no writer any more.
  std::string read_all() {
    writer.close();
    std::string text;
    std::array<char, 4096> part{};
    ssize_t got = 0;
    while ((got = ::read(reader.get(), part.data(), part.size())) > 0)
      text.append(part.data(), static_cast<std::size_t>(got));
    return text;
  }

  Descriptor reader;
  Descriptor writer;
};

TEST_CASE("what is written on standard error arrives whole and in order") {
  ErrorPipe pipe;
  std::string expected;
  {
    ErrorWriter errors(pipe.writer.get());
    for (int i = 0; i < 1000; ++i) {
      const std::string line = std::to_string(i) + "\n";
      expected += line;
      errors.write(line);
    }
  }
  CHECK(pipe.read_all() == expected);
}

TEST_CASE("a standard error that takes nothing keeps neither a write nor the end up") {
  std::signal(SIGPIPE, SIG_IGN);
  ErrorPipe pipe;
  {
    ErrorWriter errors(pipe.writer.get());
    for (int i = 0; i < 100; ++i) errors.write(std::string(64 << 10, 'x'));
  }
  // The thread is still in its write. This lets it go on, to its end.
  pipe.reader.close();
}

TEST_CASE("a standard error that nobody can read any more is left alone") {
  std::signal(SIGPIPE, SIG_IGN);
  ErrorPipe pipe;
  pipe.reader.close();
  ErrorWriter errors(pipe.writer.get());
  errors.write("lost");
}

TEST_CASE("variables of an outer task do not shine through") {
  const std::vector<std::string> inherited = {"PATH=/bin", "TRACEPARENT=old", "JACK_TASK_ID=old",
                                              "JACK_ENGINE=old"};
  TaskSpec task;
  Variables variables = task_variables(task, 1, LeaseToken{1});
  ClientOptions at;
  at.data_dir = "/srv";
  const Variables engine = engine_variables(at);
  variables.insert(engine.begin(), engine.end());

  const std::vector<std::string> environment = environment_with(inherited, variables);

  const auto count = [&](const std::string& text) {
    return std::count(environment.begin(), environment.end(), text);
  };
  CHECK(count("PATH=/bin") == 1);
  CHECK(count("JACK_DATA_DIR=/srv") == 1);
  for (const std::string& variable : environment) CHECK(variable.find("old") == std::string::npos);
}

TEST_CASE("a task that is submitted by a command follows from the one it runs") {
  std::map<std::string, std::string> variables = {
      {"JACK_TASK_ID", "0190d4c2-7b1e-7c3a-9f00-1234567890ab"},
      {"JACK_QUEUE", "writer"},
      {"JACK_HEADERS", R"({"traceparent":"outer","k":"v"})"}};
  const auto variable = [&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };

  TaskSpec spec;
  inherit(spec, variable);
  CHECK(to_string(spec.parent) == "0190d4c2-7b1e-7c3a-9f00-1234567890ab");
  CHECK(spec.from == "writer");
  CHECK(spec.headers == std::map<std::string, std::string>{{"k", "v"}, {"traceparent", "outer"}});

  variables["TRACEPARENT"] = "own";
  TaskSpec traced;
  inherit(traced, variable);
  CHECK(traced.headers["traceparent"] == "own");

  variables.clear();
  TaskSpec alone;
  inherit(alone, variable);
  CHECK(alone == TaskSpec{});
}

}  // namespace
}  // namespace jack::app

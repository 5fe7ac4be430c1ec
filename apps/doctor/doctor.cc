// `jack doctor`: is all well, and if not, what to do.
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <jack_engine/version.h>

#include "apps/commands/commands.h"
#include "apps/commands/connection.h"
#include "apps/doctor/files.h"
#include "apps/doctor/findings.h"
#include "apps/doctor/running.h"
#include "apps/doctor/stopped.h"
#include "apps/terminal.h"

namespace jack::app {
namespace {

struct DoctorFlags {
  EngineFlags engine;
  bool json = false;
};

void tell_settings(const Settings& settings, Findings& findings) {
  findings.tell("program", fmt::format("version {}", version()));
  findings.tell("configuration", settings.files().empty()
                                     ? "no file; defaults, environment and flags"
                                     : fmt::format("{}", fmt::join(settings.files(), ", ")));
}

// An engine that was named is asked; otherwise the data directory is looked into.
Result<ExitStatus> examine(const Settings& settings, Findings& findings) {
  const ClientOptions client = client_options(settings);
  if (!client.endpoint.empty()) {
    findings.tell("asked", fmt::format("the engine at {}", client.endpoint));
    check_engine(client, findings);
    return findings.status();
  }
  const Result<std::optional<Descriptor>> lock = lock_directory(settings.data_dir());
  if (!lock) return lock.error();
  findings.tell("data directory",
                fmt::format("{} ({})", settings.data_dir(), settings["data_dir"].origin));
  const bool running = !lock->has_value();
  findings.tell("looked at", running ? "a directory in which an engine runs; stop it for the deep "
                                       "checks of journal and state"
                                     : "a directory in which no engine runs");
  check_files(settings.data_dir(), running, findings);
  if (running) {
    check_engine(client, findings);
    check_store(settings.data_dir(), findings);
  } else {
    check_stopped(settings.data_dir(), engine_options(settings).durability, findings);
  }
  return findings.status();
}

Result<ExitStatus> doctor(const DoctorFlags& flags) {
  const Result<Settings> settings = load_settings(flags.engine);
  if (!settings) return settings.error();
  Findings findings;
  tell_settings(*settings, findings);
  Result<ExitStatus> status = examine(*settings, findings);
  if (!status) return status;
  if (flags.json) {
    Json json = Json::object();
    json.set("healthy", findings.healthy()).set("findings", findings.json());
    print(json.line() + "\n");
  } else {
    print(findings.text(has_colour(Stream::output)));
  }
  return status;
}

}  // namespace

Command doctor_command() {
  const auto flags = std::make_shared<DoctorFlags>();
  Command command("doctor", "check an engine and its files, and say what is wrong");
  command.flag("--json", flags->json, "print {\"healthy\": …, \"findings\": […]}")
      .details(
          "Of a data directory in which no engine runs it checks the structure of the files, every "
          "value of the task store, every entry of the journal, that none was cut off, and that "
          "the state built from store and journal has the sums that were stored; where the journal "
          "goes back to its first entry, also that a replay from there gives the same state. It "
          "holds the directory meanwhile, and opens the files as "
          "`jack serve` would, which undoes what a crash left half written, but starts nothing.")
      .details(
          "Of a running engine it tells what the engine says about itself and checks the structure "
          "and the values of the task store.")
      .example("jack doctor", "the default data directory")
      .example("jack doctor --data-dir /srv/jack --json | jq '.findings[] | select(.ok | not)'",
               "only what is wrong")
      .status(ExitStatus::done, "all is well")
      .status(ExitStatus::not_found, "there is no such data directory")
      .status(ExitStatus::refused, "the disk is full, or the files are of a newer version")
      .status(ExitStatus::internal, "stored bytes are damaged")
      .run([flags] { return doctor(*flags); });
  add_engine_flags(command, flags->engine);
  return command;
}

}  // namespace jack::app

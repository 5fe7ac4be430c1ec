#include "apps/doctor/running.h"

#include <map>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "storage/task_reader.h"

namespace jack::app {
namespace {

Result<std::string> text_of(const Result<ValueCheck>& check) {
  if (!check) return check.error();
  if (check->damaged == 0) return fmt::format("{}, all as they were written", check->values);
  return Error{
      Code::corruption,
      fmt::format("{} of {} are not what was written: {}{}. The others can be used; restore "
                  "a backup to have these again",
                  check->damaged, check->values, fmt::join(check->named, ", "),
                  check->damaged > check->named.size() ? ", …" : "")};
}

}  // namespace

void check_engine(const ClientOptions& options, Findings& findings) {
  Result<Client> client = Client::connect(options);
  if (!client) return findings.complain("engine", client.error());
  const Result<std::map<std::string, std::string>> facts = client->info();
  if (!facts) {
    return findings.complain(
        "engine", {facts.error().code, "an engine holds the data directory and does not answer: " +
                                           facts.error().message});
  }
  for (const auto& [name, value] : *facts) {
    if (name == "failure") continue;
    findings.tell(name, value);
  }
  if (const auto failure = facts->find("failure"); failure != facts->end()) {
    findings.complain(
        "failure", {Code::stopped, failure->second + "; reads go on. Mend the disk, then stop the "
                                                     "engine and start it again"});
  }
}

void check_store(const std::string& data_dir, Findings& findings) {
  Result<std::unique_ptr<TaskReader>> reader = TaskReader::open(data_dir + "/tasks.db", "");
  if (!reader) return findings.complain("structure of the store", reader.error());
  const Result<void> checked = (*reader)->quick_check();
  findings.tell("structure of the store",
                checked ? Result<std::string>("whole") : Result<std::string>(checked.error()));
  findings.tell("values of the store", text_of((*reader)->check_values()));
}

}  // namespace jack::app

// An engine as the target of an import.
#pragma once

#include <set>
#include <span>
#include <utility>
#include <vector>

#include <jack_engine/client.h>

#include "apps/import/submission.h"

namespace jack::app {

class ClientTarget final : public ImportTarget {
 public:
  // Asks which tasks earlier imports have left there: a page per thousand of them.
  // Errors: of Client::list()
  static Result<ClientTarget> open(Client& client);

  Result<std::vector<Result<ImportOutcome>>> submit(std::span<const ImportTask> tasks) override;

 private:
  ClientTarget(Client& client, std::set<TaskId> known)
      : client_(&client), known_(std::move(known)) {}

  Client* client_;
  std::set<TaskId> known_;  // what is there
};

}  // namespace jack::app

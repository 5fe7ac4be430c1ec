// An engine as the target of an import.
#pragma once

#include <span>
#include <vector>

#include <jack_engine/client.h>

#include "apps/import/submission.h"

namespace jack::app {

class ClientTarget final : public ImportTarget {
 public:
  // The client outlives it.
  explicit ClientTarget(Client& client) : client_(&client) {}

  Result<std::vector<Result<ImportOutcome>>> submit(std::span<const ImportTask> tasks) override;

 private:
  Result<void> complete(std::span<const ImportTask> tasks,
                        std::vector<Result<ImportOutcome>>& outcomes);
  Result<ImportOutcome> outcome_of_refused(const TaskId& task, const Error& refusal);

  Client* client_;
};

}  // namespace jack::app

// A whole installation in one thread: several engines on one journal, clients and workers around
// them, and all that can go wrong, from one seed. First with faults; then they end, and every task
// has to.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/actors.h"
#include "tests/simulation/journal.h"
#include "tests/simulation/node.h"
#include "tests/simulation/peer.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/scene.h"
#include "tests/simulation/timeline.h"
#include "tests/state/machine.h"
#include "tests/support/auditor/audit.h"

namespace jack::test {

struct WorldOptions {
  std::uint64_t seed = 0;
  std::uint64_t steps = 2000;     // with faults
  std::set<std::string> without;  // of kParts
};

struct Verdict {
  std::uint64_t steps = 0;  // in all
  std::uint64_t hash = 0;   // of all that was seen: equal for equal options
  Report report;
  std::map<std::string, std::uint64_t> faults;  // that came to pass
};

class World {
 public:
  explicit World(const WorldOptions& options);

  Verdict run();

  // What its engines said.
  std::string logs() const;

 private:
  void add_nodes();
  void add_actors();
  void add_faults();
  void trouble(WorldTime every, const std::string& name, std::function<void()> action);
  Node* some_node();

  void on_entry(const JournalEntry& entry);
  void check(Node& node);
  void check_counts();
  void find(const std::string& property, const std::string& text);

  void calm_down();
  bool is_at_rest();
  bool is_watched() const;
  std::string unrest() const;
  void look_at_everything();
  void note_dues(const std::vector<EventView>& events);

  const WorldOptions options_;
  Dice dice_;
  const Plan plan_;
  Scene scene_;
  Timeline timeline_;
  SimJournal journal_;
  Network network_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<std::unique_ptr<Submitter>> submitters_;
  std::vector<std::unique_ptr<WorkerPeer>> workers_;
  std::vector<std::unique_ptr<WatcherPeer>> watchers_;
  std::vector<std::unique_ptr<Clerk>> clerks_;
  std::vector<std::unique_ptr<Inspector>> retired_;

  // A state that has applied every entry, and never crashed: what every engine has to agree with.
  Machine reference_;
  struct Dates {
    std::optional<Instant> due;  // while it is scheduled
    std::optional<Instant> expires;
  };
  std::map<TaskId, Dates> dates_;
  Index last_event_ = 0;                   // of the last entry that led to events
  std::map<Index, std::uint64_t> hashes_;  // of the reference, behind each entry
  std::vector<Finding> findings_;
  std::map<std::string, std::uint64_t> faults_;
  std::uint64_t hash_ = 0;
};

}  // namespace jack::test

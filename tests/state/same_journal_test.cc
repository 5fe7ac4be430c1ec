// The same journal gives the same state, whenever a state flushes, restarts or starts over.
#include <random>

#include "tests/catch.hpp"
#include "tests/state/machine.h"

namespace jack::test {
namespace {

// What the commands of a random journal refer to: tasks and leases as its own outcomes told them.
class RandomCommands {
 public:
  explicit RandomCommands(std::uint64_t seed) : random_(seed) {}

  void add_to(EntryBuilder& entry, Journal& journal) {
    switch (below(20)) {
      case 0:
      case 1:
      case 2:
      case 3: add_submit(entry, journal); break;
      case 4: again(entry); break;
      case 5:
      case 6:
      case 7:
      case 8: add_settle(entry, journal); break;
      case 9: entry.add(WantCommand{below(4), static_cast<std::int64_t>(below(7)) - 2}); break;
      case 10: entry.add(TickCommand{}); break;
      case 11: entry.add(CancelCommand{any_task(), text()}); break;
      case 12: entry.add(RetryCommand{any_task()}); break;
      case 13: add_output(entry); break;
      case 14: entry.add(PauseCommand{queue(), below(2) == 0}); break;
      case 15: entry.add(TakeCommand{any_task(), below(4)}); break;
      case 16:
      case 17: add_note(entry); break;
      case 18: entry.add(RemoveCommand{any_task()}); break;
      default: add_pool(entry); break;
    }
  }

  void note(const Outcomes& outcomes) {
    for (const Assignment& assignment : outcomes.assignments) {
      leases_.push_back({assignment.task, assignment.token});
    }
  }

  TaskId any_task() { return tasks_.empty() ? TaskId{} : tasks_[below(size(tasks_))]; }
  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_() % bound); }
  const std::vector<TaskId>& tasks() const { return tasks_; }

 private:
  std::string_view queue() {
    static constexpr std::string_view kNames[] = {"a", "b", "c"};
    return kNames[below(3)];
  }
  // Of two lengths: one more than a string keeps within itself, one that takes new memory when it
  // replaces the other. A view into what a task says would show.
  std::string_view text() {
    static const std::string short_text(60, 's');
    static const std::string long_text(3000, 'l');
    return below(2) == 0 ? short_text : long_text;
  }
  template <typename T>
  static std::uint32_t size(const T& of) {
    return static_cast<std::uint32_t>(of.size());
  }

  TaskSpec random_spec(Journal& journal) {
    TaskSpec spec = journal.spec(std::string(queue()), "payload " + std::to_string(random_()));
    spec.priority = static_cast<Priority>(below(4));
    spec.max_attempts = 1 + below(3);
    if (below(4) == 0) spec.delay = Duration{below(5000)};
    if (below(4) == 0) spec.expires_in = Duration{1 + below(20'000)};
    if (below(4) == 0) spec.timeout = Duration{1 + below(20'000)};
    if (below(4) == 0) spec.reply_to = queue();
    if (below(8) == 0) spec.headers = {{"traceparent", "00-1"}, {"zone", "x"}};
    tasks_.push_back(spec.id);
    return spec;
  }
  void add_submit(EntryBuilder& entry, Journal& journal) {
    specs_.push_back(encoded(random_spec(journal)));
    SubmitCommand submit{specs_.back()};
    if (below(8) == 0) submit.result = text();
    if (below(4) == 0 && tasks_.size() > 1) submit.other_ids = {any_task()};
    if (below(8) == 0) submit.annotations = {{"by", "submitter"}, {"status", "new"}};
    entry.add(submit);
  }
  void again(EntryBuilder& entry) {
    if (specs_.empty()) return;
    entry.add(SubmitCommand{specs_[below(size(specs_))], std::nullopt, std::nullopt});
  }
  void add_settle(EntryBuilder& entry, Journal& journal) {
    if (leases_.empty()) return;
    const auto [task, token] = leases_[below(size(leases_))];
    SettleCommand settle;
    settle.task = task;
    settle.token = token;
    settle.pool = below(4);
    settle.again = below(2) == 0;
    settle.worker = "worker";
    settle.outcome = static_cast<Outcome>(1 + below(4));
    settle.result = "result";
    settle.error = text();
    settle.retry = below(4) != 0;
    if (below(6) == 0) {
      settle.task = any_task();
      settle.token = kNoLease;
    }
    std::string follow_up;
    if (below(4) == 0) {
      follow_up = encoded(random_spec(journal));
      settle.follow_ups.push_back({follow_up});
      if (below(4) == 0) settle.follow_ups.back().result = "known";
    }
    if (below(6) == 0) settle.changes = {{"status", std::nullopt}, {"by", "worker"}};
    entry.add(settle);
  }
  void add_note(EntryBuilder& entry) {
    static constexpr std::string_view kNames[] = {"status", "note", "by"};
    AnnotateCommand note{any_task(), {{kNames[below(3)], text()}}};
    if (below(4) == 0) note.changes.push_back({kNames[below(3)], std::nullopt});
    if (below(16) == 0) note.changes.push_back({"", "no name"});
    entry.add(note);
  }
  void add_output(EntryBuilder& entry) {
    if (leases_.empty()) return;
    const auto [task, token] = leases_[below(size(leases_))];
    entry.add(OutputCommand{task, token, text()});
    entry.add(ProgressCommand{task, token, below(1001), "on the way"});
  }
  void add_pool(EntryBuilder& entry) {
    const PoolNumber number = below(4);
    if (below(3) == 0) entry.add(ClosePoolCommand{number});
    OpenPoolCommand pool{number, below(2) == 0, Duration{10'000}, {queue()}};
    if (below(2) == 0) pool.queues.push_back(queue());
    entry.add(pool);
  }

  std::mt19937_64 random_;
  std::vector<TaskId> tasks_;
  std::vector<std::string> specs_;
  std::vector<std::pair<TaskId, LeaseToken>> leases_;
};

// What a reader of the journal is told, as text.
std::string told(const Outcomes& outcomes) {
  std::string text = std::to_string(static_cast<int>(outcomes.verdict));
  for (const CommandOutcome& outcome : outcomes.commands) {
    text += " " + std::string(name_of(outcome.code)) + outcome.message;
    text += (outcome.repeated ? "r" : "") + std::to_string(outcome.shortfall);
  }
  for (const Assignment& assignment : outcomes.assignments) {
    text += " +" + to_string(assignment.task) + std::to_string(assignment.token.value) + "/" +
            std::to_string(assignment.pool);
  }
  for (const LeaseEnd& end : outcomes.lease_ends) text += " -" + std::to_string(end.token.value);
  for (const EventView& event : outcomes.events) encode(event, text);
  return text;
}

// A second reader that flushes and restarts at moments of its own.
class RestlessReader {
 public:
  void apply(const std::vector<Buffer>& entries, RandomCommands& dice) {
    switch (dice.below(12)) {
      case 0: machine_.end_flush(), machine_.begin_flush(); break;
      case 1: machine_.end_flush(); break;
      case 2: machine_.flush(); break;
      case 3: machine_.restart(); break;
      default: break;
    }
    for (Index index = machine_.state().index() + 1; index <= entries.size(); ++index) {
      told_ = told(machine_.apply(index, entries[index - 1]));
    }
  }
  const std::string& last_told() const { return told_; }
  Machine& machine() { return machine_; }

 private:
  Machine machine_;
  std::string told_;
};

std::uint64_t states_sum(Journal& journal, const std::vector<TaskId>& tasks) {
  std::uint64_t unfinished = 0;
  for (const TaskId& id : tasks) {
    const auto found = journal.state().find(id);
    if (found && !is_terminal(found->status.state)) ++unfinished;
  }
  return unfinished;
}

}  // namespace

TEST_CASE("a state that flushes and restarts at random agrees with one that never does") {
  const std::uint64_t seed = GENERATE(range(1u, 31u));
  CAPTURE(seed);
  Journal journal;
  RandomCommands commands(seed);
  RestlessReader reader;

  for (int step = 0; step < 400; ++step) {
    EntryBuilder entry;
    for (std::uint32_t i = commands.below(4) + 1; i > 0; --i) commands.add_to(entry, journal);
    const bool pass_days = commands.below(80) == 0;
    if (commands.below(40) == 0) journal.join();
    journal.advance(pass_days ? Duration{std::chrono::hours{25 * (1 + commands.below(8))}}
                              : Duration{commands.below(3000)});
    if (entry.empty()) entry.add(TickCommand{});
    const Outcomes& outcomes = journal.close(entry);
    commands.note(outcomes);
    const std::string expected = told(outcomes);
    reader.apply(journal.entries(), commands);

    CAPTURE(step);
    REQUIRE(reader.last_told() == expected);
    REQUIRE(reader.machine().state().hash() == journal.state().hash());
    const TaskId task = commands.any_task();
    REQUIRE(reader.machine().shown(task) == journal.machine().shown(task));
    const std::uint64_t number = 1 + commands.below(static_cast<std::uint32_t>(step) + 1);
    REQUIRE(reader.machine().by_number(number) == journal.machine().by_number(number));
  }
  CHECK(journal.state().unfinished() >= states_sum(journal, commands.tasks()));
}

}  // namespace jack::test

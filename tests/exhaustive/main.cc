// Every sequence of so many commands over two tasks at two engines, held against a model of what
// has to happen.
//
//   exhaustive [--length N]
#include <array>
#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "tests/exhaustive/small_model.h"
#include "tests/state/machine.h"

namespace jack::test {
namespace {

// What may come next. A settle names the lease that its task has, or had last; the late one that
// which it had first.
enum class Word : std::uint8_t {
  submit_a,
  submit_b,
  want_at_1,
  want_at_2,
  succeed_a,
  succeed_a_late,
  fail_a,
  succeed_b,
  cancel_a,
  retry_a,
  pass_time,
  restart_2,
};
constexpr std::array<std::string_view, 12> kWords = {
    "submit A", "submit B",  "want at 1", "want at 2", "succeed A", "succeed A late",
    "fail A",   "succeed B", "cancel A",  "retry A",   "pass time", "restart 2"};

const std::string kQueue = "mail";
constexpr PoolNumber kPool = 1;
constexpr LeaseToken kNoSuchLease{~0ull};

// A difference between the two.
struct Difference {
  std::string what;
};

std::string spec_of(std::size_t name) {
  TaskSpec spec;
  spec.id = task_id(1 + name, 1'800'000'000'000);
  spec.queue = kQueue;
  spec.max_attempts = static_cast<std::uint32_t>(kMaxAttempts[name]);
  spec.backoff = {Duration{1000 * kBackoff}, 1000, Duration{1000 * kBackoff}, 0};
  if (name == kTaskA) spec.expires_in = Duration{1000 * kExpiresIn};
  if (name == kTaskB) spec.timeout = Duration{1000 * kTimeout};
  return encoded(spec);
}
const std::array<std::string, 2> kSpecs = {spec_of(kTaskA), spec_of(kTaskB)};
const std::array<TaskId, 2> kIds = {task_id(1, 1'800'000'000'000), task_id(2, 1'800'000'000'000)};

// The state of the engine and the model, side by side.
class Pair {
 public:
  Pair() {
    journal_.write(OpenPoolCommand{kPool, false, Duration{0}, {kQueue}});
    second_.engine = id128(2);
    restart_second();
  }

  void step(Word word) {
    model_.begin_step();
    handed_.clear();
    ended_.clear();
    const SmallModel::Answer expected = tell_model(word);
    const SmallModel::Answer answer = tell_engine(word);
    if (answer != expected) {
      differ("the answer is " + std::string(name_of(answer.code)) +
             (answer.repeated ? " (repeated)" : "") + ", not " +
             std::string(name_of(expected.code)) + (expected.repeated ? " (repeated)" : ""));
    }
    compare();
  }

  // All that was done so far comes back from the store.
  void flush_and_restart() {
    journal_.machine().flush();
    journal_.machine().restart();
    compare_tasks();
  }

  std::string model_state() const {
    std::string text = std::to_string(model_.now);
    for (const SmallModel::Task& task : model_.tasks) {
      for (const int number :
           {task.exists ? 1 : 0, static_cast<int>(task.state), task.attempt, task.cycle, task.lease,
            task.holder, task.expires, task.timer, task.settled}) {
        text += "," + std::to_string(number);
      }
      text += task.settled_how;
    }
    for (const std::size_t name : model_.lane) text += "/" + std::to_string(name);
    for (const int engine : model_.turn) text += ";" + std::to_string(engine);
    for (const int hunger : model_.hunger) text += ":" + std::to_string(hunger);
    return text;
  }

 private:
  [[noreturn]] static void differ(const std::string& what) { throw Difference{what}; }

  SmallModel::Answer tell_model(Word word) {
    const SmallModel::Task& a = model_.tasks[kTaskA];
    switch (word) {
      case Word::submit_a: return model_.submit(kTaskA);
      case Word::submit_b: return model_.submit(kTaskB);
      case Word::want_at_1: return model_.want(0);
      case Word::want_at_2: return model_.want(1);
      case Word::succeed_a: return model_.settle(kTaskA, a.lease, true, "in time");
      case Word::succeed_a_late: return model_.settle(kTaskA, first_of_a_, true, "late");
      case Word::fail_a: return model_.settle(kTaskA, a.lease, false, "no");
      case Word::succeed_b:
        return model_.settle(kTaskB, model_.tasks[kTaskB].lease, true, "in time");
      case Word::cancel_a: return model_.cancel(kTaskA);
      case Word::retry_a: return model_.retry(kTaskA);
      case Word::pass_time: return model_.pass_time();
      case Word::restart_2: return model_.restart(1);
    }
    return {};
  }

  // Leases are named as they were before the step.
  SmallModel::Answer tell_engine(Word word) {
    switch (word) {
      case Word::submit_a: return at_first(SubmitCommand{kSpecs[kTaskA]});
      case Word::submit_b: return at_second(SubmitCommand{kSpecs[kTaskB]});
      case Word::want_at_1: return at_first(WantCommand{kPool, 1});
      case Word::want_at_2: return at_second(WantCommand{kPool, 1});
      case Word::succeed_a: return settle(kTaskA, lease_of_a_, true, "in time");
      case Word::succeed_a_late: return settle(kTaskA, first_of_a_, true, "late");
      case Word::fail_a: return settle(kTaskA, lease_of_a_, false, "no");
      case Word::succeed_b: return settle(kTaskB, lease_of_b_, true, "in time");
      case Word::cancel_a: return at_second(CancelCommand{kIds[kTaskA], "because"});
      case Word::retry_a: return at_first(RetryCommand{kIds[kTaskA]});
      case Word::pass_time: {
        journal_.advance(Duration{1000 * kTimePasses});
        const SmallModel::Answer answer = at_first(TickCommand{});
        at_second(AliveCommand{0});
        return answer;
      }
      case Word::restart_2: return restart_second();
    }
    return {};
  }

  SmallModel::Answer settle(std::size_t name, int lease, bool success, std::string_view text) {
    SettleCommand command;
    command.task = kIds[name];
    command.token = lease == 0 ? kNoSuchLease : tokens_.at(static_cast<std::size_t>(lease) - 1);
    command.outcome = success ? Outcome::succeeded : Outcome::failed;
    (success ? command.result : command.error) = text;
    return at_first(command);
  }

  template <typename Command>
  SmallModel::Answer at_first(const Command& command) {
    return take(journal_.write(command));
  }
  template <typename... Commands>
  SmallModel::Answer at_second(const Commands&... commands) {
    const EntryHeader first = std::exchange(journal_.header(), second_);
    const SmallModel::Answer answer = take(journal_.write(commands...));
    second_ = std::exchange(journal_.header(), first);
    return answer;
  }
  SmallModel::Answer restart_second() {
    second_.incarnation = id128(static_cast<std::uint8_t>(200 + ++restarts_));
    second_.number = 0;
    return at_second(JoinCommand{}, OpenPoolCommand{kPool, false, Duration{0}, {kQueue}});
  }

  SmallModel::Answer take(const Outcomes& outcomes) {
    if (outcomes.verdict != Outcomes::Verdict::applied) differ("the entry does not count");
    for (const Assignment& assignment : outcomes.assignments) {
      if (!tokens_.empty() && assignment.token.value <= tokens_.back().value) {
        differ("the token of a lease is not above the one before");
      }
      tokens_.push_back(assignment.token);
      const std::size_t name = name_in(assignment.task);
      const int lease = static_cast<int>(tokens_.size());
      (name == kTaskA ? lease_of_a_ : lease_of_b_) = lease;
      if (name == kTaskA && first_of_a_ == 0) first_of_a_ = lease;
      handed_.push_back({name, assignment.incarnation == second_.incarnation ? 1 : 0});
    }
    for (const LeaseEnd& end : outcomes.lease_ends) {
      ended_.push_back({name_in(end.task), end.outcome});
    }
    for (const CommandOutcome& outcome : outcomes.commands) {
      if (outcome.code != Code::ok) return {outcome.code, outcome.repeated};
    }
    return {Code::ok, outcomes.commands.front().repeated};
  }

  static std::size_t name_in(const TaskId& id) { return id == kIds[kTaskA] ? kTaskA : kTaskB; }

  void compare() {
    if (handed_ != model_.handed) differ("other tasks are handed out, or to others");
    std::sort(ended_.begin(), ended_.end(), by_task);
    std::sort(model_.ended.begin(), model_.ended.end(), by_task);
    if (ended_ != model_.ended) differ("other leases end, or otherwise");
    compare_tasks();
  }

  void compare_tasks() {
    std::uint64_t unfinished = 0;
    for (std::size_t name = 0; name < 2; ++name) {
      const SmallModel::Task& expected = model_.tasks[name];
      const std::string who = name == kTaskA ? "A" : "B";
      if (!expected.exists) continue;
      if (!is_terminal(expected.state)) ++unfinished;
      const TaskStatus status = journal_.status(kIds[name]);
      if (status.state != expected.state) {
        differ(who + " is " + std::string(name_of(status.state)) + ", not " +
               std::string(name_of(expected.state)));
      }
      if (status.attempt != static_cast<std::uint32_t>(expected.attempt) ||
          status.cycle != static_cast<std::uint32_t>(expected.cycle)) {
        differ(who + " is in another attempt or cycle");
      }
      const LeaseToken token =
          expected.lease == 0 ? kNoLease : tokens_.at(static_cast<std::size_t>(expected.lease) - 1);
      if (status.token != token) differ(who + " has another lease");
    }
    if (journal_.state().unfinished() != unfinished)
      differ("other numbers of tasks are unfinished");
  }

  static bool by_task(const SmallModel::Ended& a, const SmallModel::Ended& b) {
    return a.task < b.task;
  }

  SmallModel model_;
  Journal journal_;
  EntryHeader second_;  // of the second engine's next entry; the first one's is the journal's
  int restarts_ = 0;
  std::vector<LeaseToken> tokens_;  // of the leases that were given, in order
  int lease_of_a_ = 0;
  int lease_of_b_ = 0;
  int first_of_a_ = 0;
  std::vector<SmallModel::Handed> handed_;
  std::vector<SmallModel::Ended> ended_;
};

// The n-th sequence: the digits of n.
std::vector<Word> sequence_of(std::uint64_t number, std::size_t length) {
  std::vector<Word> words(length);
  for (std::size_t i = length; i > 0; --i) {
    words[i - 1] = static_cast<Word>(number % kWords.size());
    number /= kWords.size();
  }
  return words;
}

}  // namespace
}  // namespace jack::test

int main(int argc, char** argv) {
  using namespace jack::test;
  std::size_t length = 6;
  CLI::App app{"holds every short sequence of commands against a model"};
  app.add_option("--length", length, "commands in a sequence")->check(CLI::Range(1, 9));
  CLI11_PARSE(app, argc, argv);

  std::uint64_t sequences = 1;
  for (std::size_t i = 0; i < length; ++i) sequences *= kWords.size();
  std::unordered_set<std::string> states;
  std::uint64_t differing = 0;
  for (std::uint64_t number = 0; number < sequences; ++number) {
    const std::vector<Word> words = sequence_of(number, length);
    std::string said;
    try {
      Pair pair;
      for (std::size_t i = 0; i < length; ++i) {
        said += (i == 0 ? "" : ", ") + std::string(kWords[static_cast<std::size_t>(words[i])]);
        pair.step(words[i]);
        // At every place in turn, so that what is stored makes no difference either.
        if (number % (length + 1) == i) pair.flush_and_restart();
      }
      states.insert(pair.model_state());
    } catch (const Difference& difference) {
      ++differing;
      if (differing <= 10) std::cout << "FAILED " << said << ": " << difference.what << "\n";
    }
  }
  std::cout << sequences << " sequences of " << length << " commands, to " << states.size()
            << " states; " << differing << " differ\n";
  return differing == 0 ? 0 : 1;
}

// The rules that keep a journal sound with several engines, each as the story that breaks without
// it (docs/architecture.md, "Rules of the journal"). The state alone, without an engine around it.
#include "tests/catch.hpp"
#include "tests/state/machine.h"

namespace jack::test {
namespace {

using Verdict = Outcomes::Verdict;

// One more engine on the journal of another.
class OtherEngine {
 public:
  OtherEngine(Journal& journal, std::uint8_t number) : journal_(journal) {
    header_.engine = id128(number);
    header_.incarnation = id128(static_cast<std::uint8_t>(200 + number));
  }

  template <typename... Commands>
  const Outcomes& write(const Commands&... commands) {
    const EntryHeader own = journal_.header();
    journal_.header() = header_;
    const Outcomes& outcomes = journal_.write(commands...);
    header_.number = journal_.header().number;
    journal_.header() = own;
    return outcomes;
  }
  EntryHeader& header() { return header_; }

 private:
  Journal& journal_;
  EntryHeader header_;
};

}  // namespace

TEST_CASE("an entry of an incarnation that has ended is refused whole") {
  Journal journal;
  const EntryHeader killed = journal.header();
  const TaskSpec in_flight = journal.spec("mail", "in a socket buffer when the engine was killed");
  journal.join();  // the same engine, restarted

  const EntryHeader restarted = journal.header();
  journal.header() = killed;
  const std::string bytes = encoded(in_flight);
  const Verdict late = journal.write(SubmitCommand{bytes, std::nullopt, std::nullopt}).verdict;
  journal.header() = restarted;

  CHECK(late == Verdict::not_joined);
  CHECK_FALSE(journal.state().find(in_flight.id));
  CHECK(journal.submit(in_flight).code == Code::ok);
}

TEST_CASE("an entry that comes twice counts once, and one out of turn not at all") {
  Journal journal;
  const TaskSpec task = journal.spec("mail");
  REQUIRE(journal.submit(task).code == Code::ok);

  --journal.header().number;
  CHECK(journal.write(TickCommand{}).verdict == Verdict::repeated);
  ++journal.header().number;
  CHECK(journal.write(TickCommand{}).verdict == Verdict::out_of_turn);
  journal.header().number -= 2;
  CHECK(journal.write(TickCommand{}).verdict == Verdict::applied);  // the number left out
}

TEST_CASE("an entry of another epoch changes nothing") {
  Journal journal;
  journal.header().epoch = 2;
  CHECK(journal.write(TickCommand{}).verdict == Verdict::other_epoch);
  CHECK(journal.write(PauseCommand{"mail", true}).commands.empty());
  CHECK_FALSE(journal.state().queue("mail"));
}

TEST_CASE("an engine that supports only other rules is refused") {
  Journal journal;
  OtherEngine newer(journal, 2);
  const Outcomes& outcomes = newer.write(JoinCommand{7, 8, std::nullopt});
  CHECK(outcomes.commands.front().code == Code::unsupported);
  CHECK(newer.write(TickCommand{}).verdict == Verdict::not_joined);
}

TEST_CASE("journal time never goes back, and jumps only where nobody else lives by it") {
  Journal journal;
  const Instant start = journal.state().now();
  OtherEngine other(journal, 2);
  other.write(JoinCommand{1, 1, start + Duration{86'400'000}});
  CHECK(journal.state().now() == start);

  journal.advance(Duration{-5000});
  journal.write(TickCommand{});
  CHECK(journal.state().now() == start);

  other.write(LeaveCommand{});
  journal.write(LeaveCommand{});
  journal.advance(Duration{86'400'000});
  journal.join();
  CHECK(journal.state().now() == journal.now());
}

TEST_CASE("a journal that was silent for a minute ages no engine") {
  Journal journal;
  OtherEngine other(journal, 2);
  other.write(JoinCommand{1, 1, std::nullopt});
  other.write(OpenPoolCommand{1, false, Duration{30'000}, {"mail"}}, WantCommand{1, 1});
  const TaskSpec task = journal.spec("mail");
  journal.submit(task);

  journal.advance(std::chrono::minutes{1});
  journal.write(TickCommand{});

  CHECK(journal.status(task.id).state == TaskState::running);
  CHECK(other.write(TickCommand{}).verdict == Verdict::applied);
}

TEST_CASE("an engine that appends nothing while others do is lost, and its tasks run again") {
  Journal journal;
  OtherEngine other(journal, 2);
  other.write(JoinCommand{1, 1, std::nullopt});
  other.write(OpenPoolCommand{1, false, Duration{30'000}, {"mail"}}, WantCommand{1, 1});
  const TaskSpec task = journal.spec("mail");
  journal.submit(task);
  REQUIRE(journal.status(task.id).state == TaskState::running);

  for (int i = 0; i < 10; ++i) {
    journal.advance(Duration{2000});
    journal.write(TickCommand{});
  }

  CHECK(other.write(TickCommand{}).verdict == Verdict::not_joined);
  const TaskStatus status = journal.status(task.id);
  CHECK(status.state != TaskState::running);
  CHECK(status.attempts.at(0).outcome == Outcome::lost);
}

// Found by simulation: the tick of an engine that had been silent declared that very engine lost,
// and what came behind it in the entry crashed every engine that applied it.
TEST_CASE("an engine that speaks again is not lost by its own tick") {
  Journal journal;
  OtherEngine other(journal, 2);
  other.write(JoinCommand{1, 1, std::nullopt});
  for (int i = 0; i < 10; ++i) {
    journal.advance(Duration{2000});
    journal.write(PauseCommand{"mail", false});
  }

  const Outcomes& outcomes =
      other.write(TickCommand{}, OpenPoolCommand{1, false, Duration{30'000}, {"mail"}});

  CHECK(outcomes.commands.at(1).code == Code::ok);
  CHECK(other.write(TickCommand{}).verdict == Verdict::applied);
}

TEST_CASE("the journal is kept until every engine has it in its store, or has been gone for long") {
  Journal journal;
  OtherEngine other(journal, 2);
  other.write(JoinCommand{1, 1, std::nullopt});
  journal.write(AliveCommand{2});
  CHECK(journal.state().flushed_by_all() == 0);
  other.write(AliveCommand{1});
  CHECK(journal.state().flushed_by_all() == 1);

  other.write(LeaveCommand{});
  CHECK(journal.state().flushed_by_all() == 1);
  ++other.header().incarnation.back();
  other.write(JoinCommand{1, 1, std::nullopt});
  CHECK(journal.state().flushed_by_all() == 1);
  other.write(LeaveCommand{});
  journal.advance(journal.state().limits().absence_max);
  journal.write(TickCommand{});
  CHECK(journal.state().flushed_by_all() == 2);
}

TEST_CASE("what stands behind a leave, or behind a join that is refused, does nothing") {
  Journal journal;
  OtherEngine newer(journal, 2);
  const Outcomes& refused =
      newer.write(JoinCommand{7, 8, std::nullopt}, PauseCommand{"mail", true});
  CHECK(refused.commands.at(1).code == Code::failed_precondition);

  const Outcomes& left = journal.write(
      LeaveCommand{}, OpenPoolCommand{1, false, Duration{30'000}, {"mail"}}, WantCommand{1, 1},
      ClosePoolCommand{1}, AliveCommand{1}, PauseCommand{"mail", true});
  for (std::size_t i = 1; i < left.commands.size(); ++i) {
    CHECK(left.commands[i].code == Code::failed_precondition);
  }
  CHECK_FALSE(journal.state().queue("mail"));
}

TEST_CASE("a remote worker's lease outlives its engine and is resumed at any other") {
  Journal journal;
  OtherEngine other(journal, 2);
  other.write(JoinCommand{1, 1, std::nullopt});
  journal.open_pool(1, {"mail"}, 1, true);
  const TaskSpec task = journal.spec("mail");
  journal.submit(task);
  const LeaseToken token = journal.status(task.id).token;
  journal.write(LeaveCommand{});

  const auto resume = [&](LeaseToken with) {
    return other
        .write(OpenPoolCommand{1, true, Duration{30'000}, {"mail"}},
               ResumeCommand{task.id, with, 1})
        .commands.at(1)
        .code;
  };
  CHECK(resume(LeaseToken{token.value + 1}) == Code::lease_lost);
  CHECK(resume(token) == Code::ok);

  SettleCommand settle;
  settle.task = task.id;
  settle.token = token;
  CHECK(other.write(settle).commands.front().code == Code::ok);
  CHECK(journal.status(task.id).attempts.size() == 1);
}

TEST_CASE("a lease that nobody resumes ends by the liveness clock") {
  Journal journal;
  journal.open_pool(1, {"mail"}, 1, true);
  const TaskSpec task = journal.spec("mail");
  journal.submit(task);
  journal.join();

  journal.run_for(Duration{29'000});
  CHECK(journal.status(task.id).state == TaskState::running);
  journal.run_for(Duration{5000});
  CHECK(journal.status(task.id).attempts.at(0).outcome == Outcome::lost);
}

TEST_CASE("one slot for three queues gets one task") {
  Journal journal;
  for (const char* queue : {"a", "b", "c"}) journal.submit(journal.spec(queue));

  journal.open_pool(1, {"a", "b", "c"}, 1);

  CHECK(journal.state().running() == 1);
}

TEST_CASE("a settle that is refused still asks for the next task") {
  Journal journal;
  journal.open_pool(1, {"mail"}, 1);
  const TaskSpec task = journal.spec("mail");
  journal.submit(task);
  journal.submit(journal.spec("mail"));
  SettleCommand stale;
  stale.task = task.id;
  stale.token = LeaseToken{1};
  stale.pool = 1;
  stale.again = true;

  const Outcomes& outcomes = journal.write(stale);

  CHECK(outcomes.commands.front().code == Code::lease_lost);
  CHECK(outcomes.assignments.size() == 1);
}

TEST_CASE("a withdrawal that finds too little tells the shortfall") {
  Journal journal;
  journal.open_pool(1, {"mail"}, 3);
  journal.submit(journal.spec("mail"));
  journal.submit(journal.spec("mail"));

  CHECK(journal.write(WantCommand{1, -3}).commands.front().shortfall == 2);
  journal.submit(journal.spec("mail"));
  CHECK(journal.state().running() == 2);
}

// The state counted no more than a million, and the engine's own count went on.
TEST_CASE("a pool may want as much as all sessions of an engine together") {
  Journal journal;
  journal.open_pool(1, {"mail"}, 2'000'000'000);
  CHECK(journal.write(WantCommand{1, -2'000'000'000}).commands.front().shortfall == 0);
}

// The journal of durability `normal` can lose its tail with the power. The engine that came back
// gave the tokens of the tail to others, whose work the first workers could then settle.
TEST_CASE("tokens of a tail that was lost are not given again") {
  const auto first_token = [](Journal& journal) {
    journal.open_pool(1, {"mail"}, 1);
    const TaskSpec task = journal.spec("mail");
    journal.submit(task);
    return journal.status(task.id).token;
  };
  Journal before;
  before.join();
  const LeaseToken lost = first_token(before);

  Journal after;  // the same up to its last join, which is durable
  after.join();
  after.join();
  CHECK(first_token(after) > lost);
  CHECK(lost.value >> 48 == 1);
}

TEST_CASE("pools that are hungry for one queue are served in turn") {
  Journal journal;
  journal.open_pool(1, {"mail"}, 2);
  journal.open_pool(2, {"mail"}, 2);
  std::vector<PoolNumber> served;
  for (int i = 0; i < 4; ++i) {
    const std::string bytes = encoded(journal.spec("mail"));
    const Outcomes& outcomes = journal.write(SubmitCommand{bytes, std::nullopt, std::nullopt});
    served.push_back(outcomes.assignments.at(0).pool);
  }
  CHECK(served == std::vector<PoolNumber>{1, 2, 1, 2});
}

TEST_CASE("queues of one pool take turns, but the more urgent task goes first") {
  Journal journal;
  std::vector<TaskId> expected;
  for (const char* queue : {"a", "a", "b", "b"}) journal.submit(journal.spec(queue));
  TaskSpec urgent = journal.spec("b");
  urgent.priority = Priority::urgent;
  journal.submit(urgent);

  journal.write(OpenPoolCommand{1, false, Duration{30'000}, {"a", "b"}});
  std::vector<std::string> queues;
  for (const Assignment& assignment : journal.write(WantCommand{1, 5}).assignments) {
    const auto task = journal.state().find(assignment.task);
    Unpacker unpacker;
    queues.emplace_back(decode_spec(unpacker, *task->spec)->queue);
  }

  CHECK(queues == std::vector<std::string>{"b", "a", "b", "a", "b"});
}

TEST_CASE("a repeated submit is recognised for the deduplication window, then refused as too old") {
  Journal journal;
  Limits limits;
  limits.retention = Duration{0};
  journal.write(SetLimitsCommand{limits});
  journal.open_pool(1, {"mail"}, 1);
  const TaskSpec task = journal.spec("mail");
  journal.submit(task);
  journal.settle(task.id, journal.status(task.id).token, Outcome::succeeded);
  journal.machine().flush();

  journal.run_for(std::chrono::hours{2});
  CHECK_FALSE(journal.state().find(task.id));
  CHECK(journal.submit(task).repeated);
  journal.run_for(std::chrono::hours{24});
  const CommandOutcome late = journal.submit(task);
  CHECK(late.code == Code::invalid_argument);
  CHECK(journal.state().unfinished() == 0);
}

// A retry brought a task without its spec back to life: no store could write the row, and every
// start applied the same retry again.
TEST_CASE("a task that was emptied stays gone, even if the retention grows") {
  Journal journal;
  Limits limits;
  limits.retention = std::chrono::hours{1};
  journal.write(SetLimitsCommand{limits});
  journal.open_pool(1, {"mail"}, 1);
  TaskSpec task = journal.spec("mail");
  task.max_attempts = 1;
  journal.submit(task);
  journal.settle(task.id, journal.status(task.id).token, Outcome::failed, "no");
  journal.machine().flush();
  journal.run_for(std::chrono::hours{3});
  limits.retention = std::chrono::hours{24};
  journal.write(SetLimitsCommand{limits});

  CHECK(journal.write(RetryCommand{task.id}).commands.front().code == Code::not_found);
  CHECK(journal.write(CancelCommand{task.id, "x"}).commands.front().code == Code::not_found);
  CHECK(journal.submit(task).repeated);
  journal.machine().flush();
  CHECK_NOTHROW(journal.machine().restart());
}

// Journal time stays ahead after a start with a wrong clock. Judged against it, every later id was
// longer ago than the window.
TEST_CASE("a start with the clock two days ahead refuses no submit once the clock is right again") {
  Journal journal;
  Limits limits;
  limits.retention = Duration{0};
  journal.write(SetLimitsCommand{limits});
  journal.open_pool(1, {"mail"}, 100);
  const auto run_one = [&] {
    const TaskSpec task = journal.spec("mail");
    REQUIRE(journal.submit(task).code == Code::ok);
    journal.settle(task.id, journal.status(task.id).token, Outcome::succeeded);
    journal.machine().flush();
    return task;
  };
  const TaskSpec before = run_one();
  const Instant right = journal.now();

  journal.advance(std::chrono::hours{48});
  journal.join();
  journal.open_pool(1, {"mail"}, 100);
  const TaskSpec meanwhile = run_one();
  journal.advance(std::chrono::hours{-47});
  journal.join();
  journal.open_pool(1, {"mail"}, 100);
  CHECK(journal.state().now() == right + std::chrono::hours{48});
  run_one();

  // Days later the ids of the wrong clock are forgotten, too, and still no other is refused.
  for (int hour = 0; hour < 36; ++hour) {
    journal.advance(std::chrono::hours{1});
    const std::int64_t ahead = (journal.state().now() - journal.now()).count();
    CAPTURE(hour, ahead);
    const TaskSpec task = journal.spec("mail");
    journal.advance(std::chrono::hours{47});  // by journal time, which is ahead
    CHECK(journal.submit(task).code == Code::ok);
    journal.write(TickCommand{});
    journal.advance(std::chrono::hours{-47});
  }
  CHECK(journal.submit(before).code == Code::invalid_argument);
  CHECK(journal.submit(meanwhile).code == Code::invalid_argument);
}

// The id was unknown, and not older than the window of now.
TEST_CASE("a longer deduplication window accepts no id forgotten under a shorter one") {
  Journal journal;
  Limits limits;
  limits.retention = Duration{0};
  journal.write(SetLimitsCommand{limits});
  journal.open_pool(1, {"mail"}, 1);
  const TaskSpec task = journal.spec("mail");
  journal.submit(task);
  journal.settle(task.id, journal.status(task.id).token, Outcome::succeeded);
  journal.machine().flush();
  journal.run_for(std::chrono::hours{30});
  limits.dedup_window = std::chrono::hours{24 * 10};
  journal.write(SetLimitsCommand{limits});

  CHECK(journal.submit(task).code == Code::invalid_argument);
  journal.machine().flush();
  journal.machine().restart();
  CHECK(journal.submit(task).code == Code::invalid_argument);
  CHECK(journal.submit(journal.spec("mail")).code == Code::ok);
}

// Such an id was never too old, so a repeat after the window ran a second time.
TEST_CASE("an id of the far future is refused once it was forgotten, and no other for its sake") {
  Journal journal;
  Limits limits;
  limits.retention = Duration{0};
  journal.write(SetLimitsCommand{limits});
  journal.open_pool(1, {"mail"}, 1);
  TaskSpec task = journal.spec("mail");
  task.id =
      task_id(7, journal.now().ms + std::chrono::milliseconds{std::chrono::hours{87'600}}.count());
  REQUIRE(journal.submit(task).code == Code::ok);
  journal.settle(task.id, journal.status(task.id).token, Outcome::succeeded);
  journal.machine().flush();
  CHECK(journal.submit(task).repeated);

  journal.run_for(std::chrono::hours{30});

  CHECK(journal.submit(task).code == Code::invalid_argument);
  CHECK(journal.submit(journal.spec("mail")).code == Code::ok);
}

TEST_CASE(
    "a follow-up that is refused refuses its settle, changes nothing, and the lease goes on") {
  Journal journal;
  journal.open_pool(1, {"mail"}, 1);
  const TaskSpec task = journal.spec("mail");
  journal.submit(task);
  const std::uint64_t before = journal.state().hash();
  const std::string good = encoded(journal.spec("next"));
  TaskSpec wrong = journal.spec("next");
  wrong.queue = "not a name";
  const std::string bad = encoded(wrong);
  SettleCommand settle;
  settle.task = task.id;
  settle.token = journal.status(task.id).token;
  settle.follow_ups = {{good, std::nullopt, std::nullopt}, {bad, std::nullopt, std::nullopt}};

  const CommandOutcome refused = journal.write(settle).commands.front();

  CHECK(refused.code == Code::invalid_argument);
  CHECK_THAT(refused.message, ::test::ContainsSubstring("follow-up 2"));
  CHECK(journal.status(task.id).state == TaskState::running);
  CHECK(journal.state().unfinished() == 1);
  CHECK(before != journal.state().hash());  // the entry itself counts in the hash

  settle.follow_ups.pop_back();
  CHECK(journal.write(settle).commands.front().code == Code::ok);
  CHECK(journal.state().queue("next")->counts.queued == 1);
}

// Each queue was judged alone, so a settle could submit past the limit of the whole.
TEST_CASE("follow-ups for several queues count together against the limit of all tasks") {
  Journal journal;
  Limits limits;
  limits.unfinished_max = 3;
  journal.write(SetLimitsCommand{limits});
  journal.open_pool(1, {"mail"}, 1);
  const TaskSpec task = journal.spec("mail");
  journal.submit(task);
  std::vector<std::string> next;
  for (const char* queue : {"a", "b", "c"}) next.push_back(encoded(journal.spec(queue)));
  SettleCommand settle;
  settle.task = task.id;
  settle.token = journal.status(task.id).token;
  for (const std::string& spec : next) settle.follow_ups.push_back({spec, {}, {}});

  const CommandOutcome refused = journal.write(settle).commands.front();
  CHECK(refused.code == Code::queue_full);
  CHECK_THAT(refused.message, ::test::ContainsSubstring("follow-up 3"));
  CHECK(journal.state().unfinished() == 1);

  settle.follow_ups.pop_back();
  CHECK(journal.write(settle).commands.front().code == Code::ok);
  CHECK(journal.state().unfinished() == 2);
}

// The event's text was a view into the task's error, which the later commands of the entry change.
TEST_CASE("an event shows the text of its own moment, whatever else the entry does to the task") {
  Journal journal;
  journal.open_pool(1, {"mail"}, 2);
  TaskSpec spec = journal.spec("mail");
  spec.max_attempts = 2;
  journal.submit(spec);
  const TaskId task = spec.id;
  const std::string first(60, 'a');
  const std::string second(3000, 'b');
  const std::string third(60, 'c');
  SettleCommand fail;
  fail.task = task;
  fail.token = journal.status(task).token;
  fail.outcome = Outcome::failed;
  fail.error = first;
  fail.delay = Duration{0};

  const Outcomes& outcomes = journal.write(fail, TickCommand{}, CancelCommand{task, second},
                                           RetryCommand{task}, CancelCommand{task, third});

  std::vector<std::string> texts;
  for (const EventView& event : outcomes.events) {
    if (!event.text.empty()) texts.emplace_back(event.text);
  }
  CHECK(texts == std::vector<std::string>{first, second, third});
}

TEST_CASE("an attempt that is timed out says so in its event") {
  Journal journal;
  journal.open_pool(1, {"mail"}, 1);
  TaskSpec spec = journal.spec("mail");
  spec.timeout = Duration{123'456};
  journal.submit(spec);
  journal.advance(Duration{123'456});

  const Outcomes& outcomes = journal.write(TickCommand{}, CancelCommand{spec.id, "not needed"});

  REQUIRE(outcomes.events.size() == 2);
  CHECK(outcomes.events[0].text == "the attempt ran longer than its timeout of 2m3s456ms");
  CHECK(outcomes.events[1].text == "not needed");
}

TEST_CASE("a full reply queue does not hold back the outcome") {
  Journal journal;
  Limits limits;
  limits.unfinished_per_queue_max = 1;
  journal.write(SetLimitsCommand{limits});
  journal.submit(journal.spec("answers"));
  CHECK(journal.submit(journal.spec("answers")).code == Code::queue_full);
  TaskSpec task = journal.spec("mail");
  task.reply_to = "answers";
  journal.submit(task);
  journal.open_pool(1, {"mail"}, 1);

  CHECK(journal.settle(task.id, journal.status(task.id).token, Outcome::succeeded).code ==
        Code::ok);

  CHECK(journal.state().queue("answers")->counts.queued == 2);
}

TEST_CASE("one tick fires a bounded number of timers, and asks for the next at once") {
  Journal journal;
  Limits limits;
  limits.timers_per_tick_max = 10;
  journal.write(SetLimitsCommand{limits});
  for (int i = 0; i < 25; ++i) {
    TaskSpec task = journal.spec("mail");
    task.delay = Duration{100};
    journal.submit(task);
  }
  journal.advance(Duration{100});

  journal.write(TickCommand{});
  CHECK(journal.state().queue("mail")->counts.queued == 10);
  CHECK(journal.state().next_deadline() <= journal.state().now());
  journal.write(TickCommand{});
  journal.write(TickCommand{});
  CHECK(journal.state().queue("mail")->counts.queued == 25);
  CHECK(journal.state().next_deadline() > journal.state().now());
}

TEST_CASE("limits that make no sense are refused and change nothing") {
  Journal journal;
  const auto code_with = [&](auto change) {
    Limits limits;
    change(limits);
    return journal.write(SetLimitsCommand{limits}).commands.front().code;
  };
  CHECK(code_with([](Limits& l) { l.payload_bytes_max = (4u << 20) + 1; }) ==
        Code::invalid_argument);
  CHECK(code_with([](Limits& l) { l.retention = std::chrono::hours{24 * 400}; }) ==
        Code::invalid_argument);
  CHECK(code_with([](Limits& l) { l.timers_per_tick_max = 0; }) == Code::invalid_argument);
  CHECK(code_with([](Limits& l) { l.engine_liveness = Duration{1}; }) == Code::invalid_argument);
  CHECK(journal.state().limits() == Limits{});
  CHECK(code_with([](Limits& l) { l.payload_bytes_max = 4u << 20; }) == Code::ok);
}

// What was beyond a row of the store or the type behind a limit was accepted; the engine stopped at
// the first flush, and at every start.
TEST_CASE("every limit has a bound of its own") {
  Journal journal;
  const auto refusal = [&](auto change) {
    Limits limits;
    change(limits);
    const CommandOutcome outcome = journal.write(SetLimitsCommand{limits}).commands.front();
    CHECK(outcome.code == Code::invalid_argument);
    return outcome.message;
  };
  using ::test::ContainsSubstring;
  const std::uint64_t much = 1ull << 40;
  CHECK_THAT(refusal([](Limits& l) { l.result_bytes_max = (4u << 20) + 1; }),
             ContainsSubstring("result_bytes_max may be at most 4194304"));
  CHECK_THAT(refusal([](Limits& l) { l.error_bytes_max = 1 << 20; }),
             ContainsSubstring("error_bytes_max"));
  CHECK_THAT(refusal([=](Limits& l) { l.output_bytes_max = much; }),
             ContainsSubstring("output_bytes_max"));
  CHECK_THAT(refusal([=](Limits& l) { l.unfinished_max = much; }),
             ContainsSubstring("unfinished_max"));
  CHECK_THAT(refusal([=](Limits& l) { l.unfinished_per_queue_max = much; }),
             ContainsSubstring("unfinished_per_queue_max"));
  CHECK_THAT(refusal([=](Limits& l) { l.queues_max = much; }), ContainsSubstring("queues_max"));
  CHECK_THAT(refusal([](Limits& l) { l.attempts_max = UINT32_MAX; }),
             ContainsSubstring("attempts_max"));
  CHECK_THAT(refusal([](Limits& l) { l.timers_per_tick_max = UINT32_MAX; }),
             ContainsSubstring("timers_per_tick_max"));
  CHECK_THAT(refusal([](Limits& l) { l.watch_retention = std::chrono::hours{24 * 400}; }),
             ContainsSubstring("watch_retention"));
  CHECK_THAT(refusal([](Limits& l) { l.engine_liveness = std::chrono::hours{25}; }),
             ContainsSubstring("engine_liveness"));
  CHECK(journal.state().limits() == Limits{});
}

TEST_CASE("a queue that nobody used for as long as finished tasks are kept is forgotten") {
  Journal journal;
  Limits limits;
  limits.queues_max = 2;
  journal.write(SetLimitsCommand{limits});
  journal.open_pool(1, {"kept"}, 1);
  const TaskSpec task = journal.spec("used-once");
  journal.submit(task);
  journal.write(CancelCommand{task.id, "done with it"});
  CHECK(journal.submit(journal.spec("third")).code == Code::queue_full);

  journal.run_for(std::chrono::hours{24 * 8});

  CHECK_FALSE(journal.state().queue("used-once"));
  CHECK(journal.state().queue("kept"));
  CHECK(journal.submit(journal.spec("third")).code == Code::ok);
}

TEST_CASE("back-off grows to its bound, moved by jitter that follows from the id") {
  Journal journal;
  journal.open_pool(1, {"mail"}, 1);
  TaskSpec task = journal.spec("mail");
  task.max_attempts = 20;
  journal.submit(task);
  std::int64_t expected = 1000;
  for (int attempt = 1; attempt <= 14; ++attempt) {
    CAPTURE(attempt);
    journal.settle(task.id, journal.status(task.id).token, Outcome::failed, "no");
    journal.write(WantCommand{1, 1});
    const TaskStatus status = journal.status(task.id);
    REQUIRE(status.due);
    const std::int64_t wait = (*status.due - journal.state().now()).count();
    CHECK(wait >= expected * 8 / 10);
    CHECK(wait <= expected * 12 / 10);
    expected = std::min<std::int64_t>(2 * expected, 600'000);
    journal.run_for(Duration{wait});
    CHECK(journal.status(task.id).attempt == static_cast<std::uint32_t>(attempt) + 1);
  }
}

TEST_CASE("damaged bytes stop the state, and nothing of them is applied") {
  Journal journal;
  const std::uint64_t before = journal.state().hash();
  Outcomes outcomes;
  const auto damaged = std::make_shared<const std::string>("not an entry");

  const Result<void> applied = journal.state().apply(99, damaged, outcomes);

  REQUIRE_FALSE(applied);
  CHECK(applied.error().code == Code::corruption);
  CHECK(journal.state().hash() == before);
}

TEST_CASE("a stored state with a row missing or changed is refused as damaged") {
  Journal journal;
  journal.submit(journal.spec("mail"));
  journal.machine().flush();
  REQUIRE_NOTHROW(journal.machine().restart());

  journal.machine().tables().live.begin()->second.status.back() ^= 1;

  CHECK_THROWS_WITH(journal.machine().restart(), ::test::ContainsSubstring("corruption"));
}

}  // namespace jack::test

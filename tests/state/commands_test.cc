// What the rarer commands on tasks do: recorded ones, those ended without a lease, those taken by
// name, notes, removal, numbers.
#include "tests/catch.hpp"
#include "tests/state/machine.h"

namespace jack::test {
namespace {

using namespace std::chrono_literals;

CommandOutcome record(Journal& journal, const TaskSpec& spec, std::string_view result) {
  const std::string bytes = encoded(spec);
  SubmitCommand command{bytes};
  command.result = result;
  command.content_type = "text/plain";
  return journal.write(command).commands.front();
}

CommandOutcome complete(Journal& journal, const TaskId& task, std::string_view result = "done") {
  return journal.settle(task, kNoLease, Outcome::succeeded, result);
}

CommandOutcome annotate(Journal& journal, const TaskId& task, AnnotationChanges changes) {
  return journal.write(AnnotateCommand{task, std::move(changes)}).commands.front();
}

std::string note(Journal& journal, const TaskId& task, const std::string& name) {
  const TaskStatus status = journal.status(task);
  const auto found = status.annotations.find(name);
  return found == status.annotations.end() ? "none" : found->second;
}

TaskSpec queued(Journal& journal) {
  TaskSpec spec = journal.spec("mail");
  journal.submit(spec);
  return spec;
}

}  // namespace

TEST_CASE("a task that was done elsewhere is kept as succeeded and given to nobody") {
  Journal journal;
  journal.open_pool(1, {"mail"}, 5);
  const TaskSpec spec = journal.spec("mail");

  CHECK(record(journal, spec, "result").code == Code::ok);

  const auto view = journal.state().find(spec.id);
  REQUIRE(view);
  CHECK(view->status.state == TaskState::succeeded);
  CHECK(view->status.attempts.size() == 1);
  CHECK(view->result == "result");
  CHECK(view->result_content_type == "text/plain");
  CHECK(journal.state().unfinished() == 0);
  CHECK(record(journal, spec, "result").repeated);
  CHECK(journal.settle(spec.id, {1}, Outcome::succeeded).code == Code::lease_lost);
}

TEST_CASE("a recorded task counts for no queue limit, and its result has that of all results") {
  Journal journal;
  Limits limits;
  limits.unfinished_per_queue_max = 1;
  limits.result_bytes_max = 4;
  journal.write(SetLimitsCommand{limits});
  queued(journal);

  CHECK(record(journal, journal.spec("mail"), "four").code == Code::ok);
  CHECK(record(journal, journal.spec("mail"), "more!").code == Code::payload_too_large);
}

TEST_CASE("a submit is the repeat of one under another id, if only the id differs") {
  Journal journal;
  TaskSpec first = journal.spec("mail", "text");
  journal.submit(first);
  if (GENERATE(false, true)) journal.machine().flush();
  TaskSpec second = first;
  second.id = journal.next_id();
  const auto submit = [&](const TaskSpec& spec, std::vector<TaskId> others) {
    const std::string bytes = encoded(spec);
    SubmitCommand command{bytes};
    command.other_ids = std::move(others);
    return journal.write(command).commands.front();
  };

  CHECK(submit(second, {journal.next_id(), first.id}).repeated);
  CHECK_FALSE(journal.state().find(second.id));
  second.payload = "other text";
  CHECK(submit(second, {first.id}).code == Code::already_exists);
  CHECK(submit(second, std::vector<TaskId>(kOtherIdsMax + 1, first.id)).code ==
        Code::invalid_argument);
  CHECK(submit(second, {journal.next_id()}).code == Code::ok);
}

TEST_CASE("a task that nobody holds is ended without a lease, once") {
  Journal journal;
  const TaskSpec spec = queued(journal);

  CHECK(complete(journal, spec.id).code == Code::ok);

  const TaskStatus status = journal.status(spec.id);
  CHECK(status.state == TaskState::succeeded);
  CHECK(status.attempt == 1);
  CHECK(status.attempts.back().outcome == Outcome::succeeded);
  if (GENERATE(false, true)) journal.machine().flush();
  CHECK(complete(journal, spec.id).repeated);
  CHECK(complete(journal, spec.id, "otherwise").code == Code::failed_precondition);
  CHECK(journal.state().running() == 0);
}

TEST_CASE(
    "what somebody holds, what is not due and what is not there is not ended without a lease") {
  Journal journal;
  TaskSpec later = journal.spec("later");
  later.delay = Duration{1min};
  journal.submit(later);
  CHECK(complete(journal, later.id).code == Code::failed_precondition);
  CHECK(complete(journal, journal.next_id()).code == Code::not_found);

  const TaskSpec held = queued(journal);
  CHECK(journal.settle(held.id, kNoLease, Outcome::failed, "no").code == Code::invalid_argument);
  journal.open_pool(1, {"mail"}, 1);
  CHECK(complete(journal, held.id).code == Code::failed_precondition);
  // Its attempt ends; while it waits for the next one, nobody holds it.
  journal.settle(held.id, journal.status(held.id).token, Outcome::failed, "no");
  REQUIRE(journal.status(held.id).state == TaskState::scheduled);
  CHECK(complete(journal, held.id).code == Code::ok);
  CHECK(journal.status(held.id).attempt == 2);
}

TEST_CASE("a task of a new cycle is not taken for ended by what ended the last one") {
  Journal journal;
  const TaskSpec spec = queued(journal);
  journal.write(CancelCommand{spec.id, "no"});
  journal.write(RetryCommand{spec.id});
  CHECK(complete(journal, spec.id).code == Code::ok);
  CHECK_FALSE(journal.status(spec.id).cycle == 1);
}

TEST_CASE("a chosen task is taken out of turn, whatever the appetite is") {
  Journal journal;
  const TaskSpec first = queued(journal);
  const TaskSpec second = queued(journal);
  journal.write(OpenPoolCommand{1, true, Duration{30'000}, {"other"}});

  const Outcomes& outcomes = journal.write(TakeCommand{second.id, 1});

  CHECK(outcomes.commands.front().code == Code::ok);
  REQUIRE(outcomes.assignments.size() == 1);
  CHECK(outcomes.assignments[0].task == second.id);
  CHECK(outcomes.assignments[0].pool == 1);
  CHECK(journal.status(second.id).attempt == 1);
  CHECK(journal.status(first.id).state == TaskState::queued);
  CHECK(journal.write(TakeCommand{second.id, 1}).commands.front().code ==
        Code::failed_precondition);
}

TEST_CASE("a paused queue, another pool, and a task that ended or is not there give nothing") {
  Journal journal;
  const TaskSpec spec = queued(journal);
  const auto take = [&](const TaskId& task, PoolNumber pool = 1) {
    return journal.write(TakeCommand{task, pool}).commands.front().code;
  };
  CHECK(take(spec.id) == Code::failed_precondition);  // there is no such pool
  journal.write(OpenPoolCommand{1, true, Duration{30'000}, {"mail"}});
  journal.write(PauseCommand{"mail", true});
  CHECK(take(spec.id) == Code::failed_precondition);
  journal.write(PauseCommand{"mail", false}, CancelCommand{spec.id, "no"});
  CHECK(take(spec.id) == Code::failed_precondition);
  journal.machine().flush();
  CHECK(take(spec.id) == Code::failed_precondition);
  CHECK(take(journal.next_id()) == Code::not_found);
}

TEST_CASE("notes stay on a task in every state, over flushes and a restart") {
  Journal journal;
  const TaskSpec spec = queued(journal);
  CHECK(annotate(journal, spec.id, {{"by", "ada"}, {"gone", "soon"}}).code == Code::ok);
  complete(journal, spec.id, "result");
  CHECK(annotate(journal, spec.id, {{"gone", std::nullopt}}).code == Code::ok);
  journal.machine().flush();  // it leaves memory
  CHECK(annotate(journal, spec.id, {{"late", "1"}}).code == Code::ok);
  journal.machine().begin_flush();
  CHECK(annotate(journal, spec.id, {{"amid", "2"}}).code == Code::ok);
  journal.machine().end_flush();
  CHECK(annotate(journal, spec.id, {{"last", "3"}}).code == Code::ok);
  journal.machine().flush();

  for (int i = 0; i < 2; ++i) {
    CHECK(note(journal, spec.id, "by") == "ada");
    CHECK(note(journal, spec.id, "gone") == "none");
    CHECK(note(journal, spec.id, "late") + note(journal, spec.id, "amid") == "12");
    CHECK(note(journal, spec.id, "last") == "3");
    CHECK(journal.machine().store().result(spec.id).value() == "result");
    journal.machine().restart();
  }
}

TEST_CASE("a task may have notes from the beginning, and its success may change them") {
  Journal journal;
  const TaskSpec spec = journal.spec("mail");
  const std::string bytes = encoded(spec);
  SubmitCommand submit{bytes};
  submit.annotations = {{"by", "ada"}, {"status", "begun"}, {"kept", "yes"}};
  REQUIRE(journal.write(submit).commands.front().code == Code::ok);
  CHECK(note(journal, spec.id, "by") == "ada");
  submit.annotations = {{"by", "eve"}};
  CHECK(journal.write(submit).commands.front().repeated);

  SettleCommand settle;
  settle.task = spec.id;
  settle.token = kNoLease;
  const std::string large(kAnnotationBytesMax, 'x');
  settle.changes = {{"large", large}};
  CHECK(journal.write(settle).commands.front().code == Code::invalid_argument);
  CHECK(journal.status(spec.id).state == TaskState::queued);
  settle.changes = {{"status", std::nullopt}, {"by", "bob"}};
  CHECK(journal.write(settle).commands.front().code == Code::ok);
  settle.changes = {{"by", "eve"}};
  CHECK(journal.write(settle).commands.front().repeated);

  for (int i = 0; i < 2; ++i) {
    CHECK(note(journal, spec.id, "by") == "bob");
    CHECK(note(journal, spec.id, "status") == "none");
    CHECK(note(journal, spec.id, "kept") == "yes");
    journal.machine().flush();
    journal.machine().restart();
  }
}

TEST_CASE("a submit with notes beyond their bounds is refused") {
  Journal journal;
  const TaskSpec spec = journal.spec("mail");
  const std::string bytes = encoded(spec);
  SubmitCommand submit{bytes};
  submit.annotations = {{"", "x"}};
  CHECK(journal.write(submit).commands.front().code == Code::invalid_argument);
  CHECK_FALSE(journal.state().find(spec.id));
}

TEST_CASE("notes are bounded, and a refused change leaves those that were") {
  Journal journal;
  const TaskSpec spec = queued(journal);
  annotate(journal, spec.id, {{"kept", "yes"}});
  const std::string large(kAnnotationBytesMax, 'x');
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kAnnotationsMax; ++i) names.push_back(std::to_string(i));
  AnnotationChanges many;
  for (const std::string& name : names) many.push_back({name, ""});

  CHECK(annotate(journal, spec.id, {{"large", large}}).code == Code::invalid_argument);
  CHECK(annotate(journal, spec.id, many).code == Code::invalid_argument);
  CHECK(annotate(journal, spec.id, {{"", "x"}}).code == Code::invalid_argument);
  CHECK(annotate(journal, spec.id, {{std::string(257, 'n'), "x"}}).code == Code::invalid_argument);
  CHECK(annotate(journal, journal.next_id(), {{"a", "b"}}).code == Code::not_found);
  CHECK(journal.status(spec.id).annotations.size() == 1);

  many.pop_back();
  CHECK(annotate(journal, spec.id, many).code == Code::ok);
  CHECK(journal.status(spec.id).annotations.size() == kAnnotationsMax);
}

TEST_CASE("a removed task is gone but for its id, wherever it was") {
  Journal journal;
  const TaskSpec spec = queued(journal);
  CHECK(journal.write(RemoveCommand{spec.id}).commands.front().code == Code::failed_precondition);
  complete(journal, spec.id);
  const int when = GENERATE(0, 1, 2);
  CAPTURE(when);
  if (when == 1) journal.machine().begin_flush();
  if (when == 2) journal.machine().flush();

  CHECK(journal.write(RemoveCommand{spec.id}).commands.front().code == Code::ok);

  for (int i = 0; i < 3; ++i) {
    CAPTURE(i);
    CHECK(journal.machine().shown(spec.id) == "none");
    CHECK(journal.write(RemoveCommand{spec.id}).commands.front().code == Code::not_found);
    CHECK(journal.write(RetryCommand{spec.id}).commands.front().code == Code::not_found);
    CHECK(annotate(journal, spec.id, {{"a", "b"}}).code == Code::not_found);
    CHECK(journal.submit(spec).repeated);
    journal.machine().flush();
    if (i == 1) journal.machine().restart();
  }
  CHECK(journal.machine().store().result(spec.id).value() == std::nullopt);
}

TEST_CASE("a removed task keeps nothing that was said of it") {
  Journal journal;
  TaskSpec spec = journal.spec("mail");
  spec.headers = {{"secret", "x"}};
  spec.reply_to = "answers";
  spec.max_attempts = 1;
  journal.submit(spec);
  journal.open_pool(1, {"mail"}, 1);
  const LeaseToken token = journal.status(spec.id).token;
  journal.write(ProgressCommand{spec.id, token, 500, "half a secret"});
  journal.settle(spec.id, token, Outcome::failed, "a secret error");
  annotate(journal, spec.id, {{"note", "a secret note"}});

  journal.write(RemoveCommand{spec.id});
  journal.machine().flush();

  const auto stored = journal.machine().store().find(spec.id).value();
  REQUIRE(stored);
  CHECK(stored->status.find("secret") == std::string::npos);
}

TEST_CASE("a follow-up that is another task under one of its other ids refuses the settle") {
  Journal journal;
  const TaskSpec there = queued(journal);
  TaskSpec next = there;
  next.id = journal.next_id();
  next.payload = "something else";
  const TaskSpec held = journal.spec("held");
  journal.submit(held);
  journal.open_pool(1, {"held"}, 1);
  const std::string bytes = encoded(next);
  SettleCommand settle;
  settle.task = held.id;
  settle.token = journal.status(held.id).token;
  settle.follow_ups = {{bytes}};
  settle.follow_ups.front().other_ids = {there.id};

  CHECK(journal.write(settle).commands.front().code == Code::already_exists);
  CHECK(journal.status(held.id).state == TaskState::running);
}

TEST_CASE("a note on a finished task does not keep it from being retried") {
  Journal journal;
  const TaskSpec spec = queued(journal);
  journal.write(CancelCommand{spec.id, "no"});
  journal.machine().flush();
  annotate(journal, spec.id, {{"why", "again"}});
  CHECK(journal.write(RetryCommand{spec.id}).commands.front().code == Code::ok);
  journal.machine().flush();
  journal.machine().restart();
  CHECK(journal.status(spec.id).state == TaskState::queued);
  CHECK(note(journal, spec.id, "why") == "again");
}

TEST_CASE("tasks are found by their numbers before, amid and after a flush, and after a restart") {
  Journal journal;
  const TaskSpec first = queued(journal);
  journal.machine().begin_flush();
  const TaskSpec second = queued(journal);
  Machine& machine = journal.machine();
  CHECK(machine.by_number(1) == first.id);
  CHECK(machine.by_number(2) == second.id);
  machine.end_flush();
  CHECK(machine.by_number(1) == first.id);
  CHECK(machine.by_number(2) == second.id);
  machine.flush();
  machine.restart();
  CHECK(machine.by_number(1) == first.id);
  CHECK(machine.by_number(2) == second.id);
  CHECK_FALSE(machine.by_number(0));
  CHECK_FALSE(machine.by_number(3));
}

}  // namespace jack::test

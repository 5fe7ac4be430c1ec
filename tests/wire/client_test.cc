// A Client against an engine that says what the test tells it to.
#include <atomic>
#include <future>
#include <memory>

#include <jack_engine/client.h>

#include "engine/format/pack.h"
#include "engine/format/spec.h"
#include "engine/format/status.h"
#include "engine/runtime/attach.h"
#include "tests/catch.hpp"
#include "tests/wire/fake_engine.h"
#include "tests/wire/folder.h"

namespace jack {
namespace {

using namespace std::chrono_literals;
using test::FakeEngine;
using test::Folder;

const TaskId kTask = TaskId::from(WallTime{Duration{1'700'000'000'000}}, 7, 9);

Client client_of(const std::string& data_dir, Duration patience = 20s) {
  ClientOptions options;
  options.data_dir = data_dir;
  options.patience = patience;
  return Client::connect(options).value();
}

TaskSpec spec_of(std::string payload) {
  TaskSpec spec;
  spec.queue = "mail";
  spec.payload = std::move(payload);
  return spec;
}

// A call that waits on a thread of its own, while the test plays the engine.
template <typename Call>
auto in_background(Call call) {
  return std::async(std::launch::async, std::move(call));
}

wire::Done done_with(wire::Correlation correlation, std::vector<wire::Done::Item> items) {
  wire::Done done;
  done.correlation = correlation;
  done.items = std::move(items);
  return done;
}

std::string encoded(const TaskSpec& spec) {
  std::string bytes;
  encode(spec, bytes);
  return bytes;
}

std::string event_at(std::uint64_t entry, std::string_view text) {
  EventView event;
  event.position = {entry, 0};
  event.kind = EventKind::progressed;
  event.at = {1000};
  event.task = kTask;
  event.queue = "mail";
  event.text = text;
  std::string bytes;
  encode(event, bytes);
  return bytes;
}

}  // namespace

TEST_CASE("a client greets the engine once and then asks") {
  Folder folder;
  FakeEngine engine(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path());

  auto submitted = in_background([&] { return client.submit(spec_of("a")); });
  engine.welcome();
  const auto submit = engine.take<wire::Submit>();
  REQUIRE(submit.tasks.size() == 1);
  Unpacker unpacker;
  const SpecView spec = decode_spec(unpacker, submit.tasks[0].spec).value();
  CHECK(spec.queue == "mail");
  CHECK(spec.payload == "a");
  CHECK(spec.id.is_version_7());
  const TaskId id = spec.id;
  engine.agree(submit.correlation);
  CHECK(submitted.get().value() == id);

  auto again = in_background([&] { return client.cancel(id, "why"); });
  const auto cancel = engine.take<wire::Cancel>();
  CHECK(cancel.tasks == std::vector{id});
  CHECK(cancel.reason == "why");
  engine.agree(cancel.correlation);
  CHECK(again.get().has_value());
}

TEST_CASE("each task of a batch has an outcome of its own") {
  Folder folder;
  FakeEngine engine(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path());
  std::vector<TaskSpec> specs = {spec_of("a"), spec_of("b"), spec_of("c")};
  specs[1].id = kTask;

  auto submitted = in_background([&] { return client.submit(specs); });
  engine.welcome();
  const auto submit = engine.take<wire::Submit>();
  REQUIRE(submit.tasks.size() == 3);
  Unpacker unpacker;
  CHECK(decode_spec(unpacker, submit.tasks[1].spec)->id == kTask);
  CHECK(decode_spec(unpacker, submit.tasks[2].spec)->payload == "c");
  engine.say(done_with(submit.correlation,
                       {{}, {Code::already_exists, false, "taken"}, {Code::ok, true, {}}}));

  const auto results = submitted.get().value();
  REQUIRE(results.size() == 3);
  CHECK(results[0].has_value());
  CHECK(results[1].error() == Error{Code::already_exists, "taken"});
  CHECK(results[2].has_value());
}

TEST_CASE("to complete a task is to settle it without a lease") {
  Folder folder;
  FakeEngine engine(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path());

  auto completed = in_background([&] { return client.complete(kTask, "r", "text/plain"); });
  engine.welcome();
  const auto settle = engine.take<wire::Settle>();
  REQUIRE(settle.items.size() == 1);
  CHECK(settle.items[0].task == kTask);
  CHECK(settle.items[0].token == kNoLease);
  CHECK(settle.items[0].outcome == Outcome::succeeded);
  CHECK(!settle.items[0].again);
  CHECK(settle.items[0].result == "r");
  CHECK(settle.items[0].content_type == "text/plain");
  CHECK(settle.items[0].follow_ups.empty());
  engine.agree(settle.correlation);
  CHECK(completed.get().has_value());

  completed = in_background([&] { return client.complete(kTask, "r"); });
  engine.say(done_with(engine.take<wire::Settle>().correlation,
                       {{Code::failed_precondition, false, "it is held"}}));
  CHECK(completed.get().error() == Error{Code::failed_precondition, "it is held"});
}

TEST_CASE("of tasks that are completed together each has an outcome of its own") {
  Folder folder;
  FakeEngine engine(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path());
  const std::vector<Completion> completions = {
      {kTask, "r", "text/plain"}, {kTask, "r", {}}, {new_task_id(), {}, {}}};

  auto completed = in_background([&] { return client.complete(completions); });
  engine.welcome();
  const auto settle = engine.take<wire::Settle>();
  REQUIRE(settle.items.size() == 3);
  CHECK(settle.items[0].content_type == "text/plain");
  CHECK(settle.items[1].token == kNoLease);
  CHECK(settle.items[2].task == completions[2].task);
  engine.say(done_with(settle.correlation,
                       {{}, {Code::ok, true, {}}, {Code::not_found, false, "where?"}}));
  const auto outcomes = completed.get().value();
  REQUIRE(outcomes.size() == 3);
  CHECK(!outcomes[0].value().repeated);
  CHECK(outcomes[1].value().repeated);
  CHECK(outcomes[2].error() == Error{Code::not_found, "where?"});

  completed = in_background([&] { return client.complete(completions); });
  engine.agree(engine.take<wire::Settle>().correlation, 2);
  CHECK(completed.get().error().code == Code::internal);
}

TEST_CASE("an engine that asks who this is gets a greeting and the same request again") {
  Folder folder;
  FakeEngine engine(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path());

  auto submitted = in_background([&] { return client.submit(spec_of("a")); });
  engine.welcome();
  const auto first = engine.take<wire::Submit>();
  const std::string spec(first.tasks[0].spec);
  engine.say(wire::Who{first.correlation});
  engine.welcome();
  const auto second = engine.take<wire::Submit>();

  CHECK(second.tasks[0].spec == spec);
  engine.agree(second.correlation);
  CHECK(submitted.get().has_value());
}

TEST_CASE("a submit whose answer is lost with the engine is repeated to the next one") {
  Folder folder;
  auto engine = std::make_unique<FakeEngine>(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path());

  auto submitted = in_background([&] { return client.submit(spec_of("a")); });
  engine->welcome();
  const auto first = engine->take<wire::Submit>();
  const std::string spec(first.tasks[0].spec);
  engine.reset();
  engine = std::make_unique<FakeEngine>(FakeEngine::in(folder.path()));
  engine->welcome();
  const auto second = engine->take<wire::Submit>();

  CHECK(second.tasks[0].spec == spec);
  engine->agree(second.correlation);
  CHECK(submitted.get().has_value());
}

TEST_CASE("a client waits for an engine that is still to start") {
  Folder folder;
  Client client = client_of(folder.path());

  auto queues = in_background([&] { return client.queues(); });
  FakeEngine engine(FakeEngine::in(folder.path()));
  engine.welcome();
  const auto request = engine.take<wire::Queues>();
  wire::QueueList list;
  list.correlation = request.correlation;
  list.queues = {{"mail", true, 1, 2, 3, 4, 5, 6, 7, 8}};
  engine.say(list);

  const auto answer = queues.get().value();
  REQUIRE(answer.size() == 1);
  CHECK(answer[0].name == "mail");
  CHECK(answer[0].paused);
  CHECK(answer[0].scheduled == 1);
  CHECK(answer[0].workers == 8);
}

TEST_CASE("without an engine a call ends when its patience does, and says how to start one") {
  Folder folder;
  Client client = client_of(folder.path(), 50ms);

  const Result<TaskId> submitted = client.submit(spec_of("a"));

  REQUIRE_FALSE(submitted.has_value());
  CHECK(submitted.error().code == Code::unavailable);
  CHECK_THAT(submitted.error().message, ::test::ContainsSubstring("jack serve"));
  CHECK_THAT(submitted.error().message, ::test::ContainsSubstring(folder.path()));
}

TEST_CASE("an engine that says nothing any more is out of reach too") {
  Folder folder;
  FakeEngine engine(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path(), 200ms);

  auto info = in_background([&] { return client.info(); });
  engine.welcome();
  engine.take<wire::Info>();

  CHECK(info.get().error().code == Code::unavailable);
}

TEST_CASE("a late answer to a call that was given up is not taken for the next one's") {
  Folder folder;
  FakeEngine engine(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path(), 500ms);
  auto first = in_background([&] { return client.cancel(kTask); });
  engine.welcome();
  const auto cancel = engine.take<wire::Cancel>();
  REQUIRE(first.get().error().code == Code::unavailable);

  auto second = in_background([&] { return client.pause("mail"); });
  const auto pause = engine.take<wire::Pause>();
  engine.say(done_with(cancel.correlation, {{Code::not_found, false, "late"}}));
  engine.agree(pause.correlation);

  CHECK(second.get().has_value());
}

TEST_CASE("an answer that does not fit the question is an error, not a crash") {
  Folder folder;
  FakeEngine engine(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path());

  auto got = in_background([&] { return client.get(kTask); });
  engine.welcome();
  engine.agree(engine.take<wire::Get>().correlation);
  CHECK(got.get().error().code == Code::internal);

  got = in_background([&] { return client.get(kTask); });
  engine.say(wire::TaskMessage{engine.take<wire::Get>().correlation, "rubbish", "rubbish", {}});
  CHECK_FALSE(got.get().has_value());

  auto batch = in_background([&] {
    return client.submit(std::vector{spec_of("a"), spec_of("b")});
  });
  engine.agree(engine.take<wire::Submit>().correlation, 1);
  CHECK(batch.get().error().code == Code::internal);
}

// The bound on values in a frame was meant for requests: the client could not read a list of 500
// queues, dropped it, and waited for ever, because the engine went on answering its pings.
TEST_CASE("a list of as many queues as an engine may have is read") {
  Folder folder;
  FakeEngine engine(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path());
  wire::QueueList list;
  std::vector<std::string> names;
  for (int i = 0; i < 100'000; ++i) names.push_back(std::to_string(i));
  for (const std::string& name : names)
    list.queues.push_back({name, false, 0, 0, 0, 0, 0, 0, 0, 0});

  auto queues = in_background([&] { return client.queues(); });
  engine.welcome();
  list.correlation = engine.take<wire::Queues>().correlation;
  engine.say(list);

  CHECK(queues.get().value().size() == names.size());
}

TEST_CASE("an answer that cannot be read is an error of its call, not silence") {
  Folder folder;
  FakeEngine engine(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path());
  const auto answer_with = [&](auto... values) {
    std::string frame;
    Packer packer(frame);
    packer.array(sizeof...(values));
    (packer.u64(static_cast<std::uint64_t>(values)), ...);
    return frame;
  };
  auto queues = in_background([&] { return client.queues(); });
  engine.welcome();

  // Its fields are of the wrong kind.
  engine.say_bytes(answer_with(wire::Kind::queue_list, engine.take<wire::Queues>().correlation, 1));
  CHECK(queues.get().error().code == Code::internal);
  // It is of a kind that a newer engine may know.
  queues = in_background([&] { return client.queues(); });
  engine.say_bytes(answer_with(120, engine.take<wire::Queues>().correlation));
  CHECK(queues.get().error().code == Code::internal);
  // Something stands behind it.
  queues = in_background([&] { return client.queues(); });
  engine.say_bytes(
      answer_with(wire::Kind::queue_list, engine.take<wire::Queues>().correlation).append(1, 'x'));
  CHECK(queues.get().error().code == Code::internal);
  // It is nothing that could be told from the answer to this call.
  queues = in_background([&] { return client.queues(); });
  engine.take<wire::Queues>();
  engine.say_bytes("rubbish");
  CHECK(queues.get().error().code == Code::internal);
  // What answers no request and is of an unknown kind is for newer clients.
  queues = in_background([&] { return client.queues(); });
  const auto request = engine.take<wire::Queues>();
  engine.say_bytes(answer_with(120, 0));
  engine.say(wire::QueueList{request.correlation, {}});
  CHECK(queues.get().has_value());
  // The engine could not read the request, and so not tell which it was.
  queues = in_background([&] { return client.queues(); });
  engine.take<wire::Queues>();
  engine.say(wire::Refused{0, Code::invalid_argument, "not a message"});
  CHECK(queues.get().error() == Error{Code::invalid_argument, "not a message"});
}

TEST_CASE("a message to a watcher that cannot be read ends the watch") {
  Folder folder;
  FakeEngine engine(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path());
  WatchOptions options;
  options.after = Position{1, 0};

  auto watched =
      in_background([&] { return client.watch(options, [](const Event&) { return true; }); });
  engine.welcome();
  const auto watch = engine.take<wire::Watch>();
  std::string frame;
  Packer(frame)
      .array(3)
      .u64(static_cast<std::uint64_t>(wire::Kind::events))
      .u64(watch.correlation)
      .nil();
  engine.say_bytes(frame);

  CHECK(watched.get().error().code == Code::internal);
}

// The second of two retries is refused, because the first has done it.
// A cycle above the first counted as begun by this retry, even if an earlier one had begun it.
TEST_CASE("a retry whose answer was lost is told from one that was refused") {
  Folder folder;
  FakeEngine engine(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path());
  TaskSpec spec = spec_of("a");
  spec.id = kTask;
  const auto refuse = [&](wire::Correlation correlation) {
    engine.say(done_with(correlation, {{Code::failed_precondition, false, "it is queued"}}));
  };
  const auto tell_cycle = [&](std::uint32_t cycle) {
    TaskStatus status;
    status.state = TaskState::queued;
    status.cycle = cycle;
    std::string bytes;
    encode(status, bytes);
    const auto get = engine.take<wire::Get>();
    engine.say(wire::TaskMessage{get.correlation, encoded(spec), bytes, Duration{0}});
  };

  // Refused at once: that is the answer.
  auto retried = in_background([&] { return client.retry(kTask); });
  engine.welcome();
  tell_cycle(2);
  refuse(engine.take<wire::Retry>().correlation);
  CHECK(retried.get().error().code == Code::failed_precondition);
  // Repeated: it begins anew, or does not, whatever was before.
  const std::uint32_t cycle_after = GENERATE(3u, 2u);
  retried = in_background([&] { return client.retry(kTask); });
  tell_cycle(2);
  engine.say(wire::Who{engine.take<wire::Retry>().correlation});
  engine.welcome();
  refuse(engine.take<wire::Retry>().correlation);
  tell_cycle(cycle_after);
  CHECK(retried.get().has_value() == (cycle_after == 3));
}

TEST_CASE("an engine that does not take the session is the end of a call") {
  Folder folder;
  FakeEngine engine(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path());

  auto info = in_background([&] { return client.info(); });
  engine.say(wire::Refused{engine.take<wire::Hello>().correlation, Code::unsupported, "too old"});

  CHECK(info.get().error() == Error{Code::unsupported, "too old"});
}

TEST_CASE("a request that no engine would take is refused on the spot") {
  Folder folder;
  Client client = client_of(folder.path());

  const Result<TaskId> submitted = client.submit(spec_of(std::string(9 << 20, 'x')));

  CHECK(submitted.error().code == Code::payload_too_large);
}

TEST_CASE("what a task is and was is read back, with dates instead of journal times") {
  Folder folder;
  FakeEngine engine(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path());
  TaskSpec spec = spec_of("a");
  spec.id = kTask;
  TaskStatus status;
  status.state = TaskState::failed;
  status.submitted = {100};
  status.changed = {200};
  status.due = Instant{300};
  status.expires = kNever;
  status.attempts = {{1, Outcome::failed, {110}, {120}, "bad", "w"}};
  std::string status_bytes;
  encode(status, status_bytes);

  auto got = in_background([&] { return client.get(kTask, true); });
  engine.welcome();
  const auto get = engine.take<wire::Get>();
  CHECK(get.with_payload);
  engine.say(wire::TaskMessage{get.correlation, encoded(spec), status_bytes, Duration{5}});
  const Task task = got.get().value();
  CHECK(task.spec == spec);
  CHECK(task.status.submitted == Instant{105});
  CHECK(task.status.changed == Instant{205});
  CHECK(task.status.due == Instant{305});
  CHECK(task.status.expires == kNever);
  CHECK(task.status.attempts.at(0).started == Instant{115});
  CHECK(task.status.attempts.at(0).ended == Instant{125});

  auto listed = in_background([&] {
    ListFilter filter;
    filter.queue = "mail";
    filter.state = TaskState::failed;
    filter.count_max = 7;
    return client.list(filter);
  });
  const auto list = engine.take<wire::List>();
  CHECK(list.queue == "mail");
  CHECK(list.state == TaskState::failed);
  CHECK(list.count == 7);
  engine.say(wire::Page{list.correlation, {{encoded(spec), status_bytes}}, kTask, Duration{-5}});
  const TaskPage page = listed.get().value();
  CHECK(page.next == kTask);
  REQUIRE(page.tasks.size() == 1);
  CHECK(page.tasks[0].status.submitted == Instant{95});
}

TEST_CASE("output, pauses and facts about the engine") {
  Folder folder;
  FakeEngine engine(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path());

  auto output = in_background([&] { return client.read_output(kTask, 3); });
  engine.welcome();
  const auto read = engine.take<wire::ReadOutput>();
  CHECK(read.offset == 3);
  engine.say(wire::OutputBytes{read.correlation, "abc", 6, true});
  const OutputPart part = output.get().value();
  CHECK(part.bytes == "abc");
  CHECK(part.total == 6);
  CHECK(part.terminal);

  auto paused = in_background([&] { return client.pause("mail"); });
  auto pause = engine.take<wire::Pause>();
  CHECK(pause.paused);
  engine.agree(pause.correlation);
  CHECK(paused.get().has_value());
  auto resumed = in_background([&] { return client.resume("mail"); });
  pause = engine.take<wire::Pause>();
  CHECK_FALSE(pause.paused);
  engine.say(done_with(pause.correlation, {{Code::invalid_argument, false, "bad name"}}));
  CHECK(resumed.get().error().code == Code::invalid_argument);

  auto info = in_background([&] { return client.info(); });
  engine.say(wire::EngineInfo{engine.take<wire::Info>().correlation, {{"version", "1"}}});
  CHECK(info.get().value().at("version") == "1");
}

TEST_CASE("a wait goes on over a restart of the engine, with the time that is left") {
  Folder folder;
  auto engine = std::make_unique<FakeEngine>(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path());

  auto waited = in_background([&] { return client.wait(kTask, 60s); });
  engine->welcome();
  auto wait = engine->take<wire::Wait>();
  CHECK(wait.wait <= 60s);
  engine->say(wire::Refused{wait.correlation, Code::stopped, "going down"});
  engine.reset();
  engine = std::make_unique<FakeEngine>(FakeEngine::in(folder.path()));
  engine->welcome();
  wait = engine->take<wire::Wait>();
  CHECK(wait.wait <= 60s);
  CHECK(wait.wait > 30s);
  engine->say(wire::ResultMessage{wait.correlation, kTask, TaskState::succeeded, "r", "t", ""});

  const TaskResult result = waited.get().value();
  CHECK(result.state == TaskState::succeeded);
  CHECK(result.result == "r");
  CHECK(result.content_type == "t");
}

// It ended with its patience, because pings came only every two and a half seconds.
TEST_CASE("a wait may be longer than the patience with an engine that gives signs of life") {
  Folder folder;
  FakeEngine engine(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path(), 600ms);

  auto waited = in_background([&] { return client.wait(kTask, 60s); });
  engine.welcome();
  const auto wait = engine.take<wire::Wait>();
  engine.idle_until([&] { return engine.pings() == 4; });
  engine.say(wire::ResultMessage{wait.correlation, kTask, TaskState::succeeded, "r", "t", ""});

  CHECK(waited.get().value().result == "r");
}

TEST_CASE("a wait that an engine cuts short is asked again") {
  Folder folder;
  FakeEngine engine(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path());

  auto waited = in_background([&] { return client.wait(kTask, 60s); });
  engine.welcome();
  engine.say(wire::Refused{engine.take<wire::Wait>().correlation, Code::timed_out, "not yet"});
  engine.say(wire::Refused{engine.take<wire::Wait>().correlation, Code::not_found, "no such task"});
  CHECK(waited.get().error().code == Code::not_found);

  waited = in_background([&] { return client.wait(kTask, 0s); });
  engine.say(wire::Refused{engine.take<wire::Wait>().correlation, Code::timed_out, "not yet"});
  CHECK(waited.get().error().code == Code::timed_out);
}

TEST_CASE("an engine that stays stopped ends a wait with its own word") {
  Folder folder;
  FakeEngine engine(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path(), 300ms);
  std::atomic<bool> over = false;

  auto waited = in_background([&] {
    auto result = client.wait(kTask, 60s);
    over = true;
    return result;
  });
  engine.welcome();
  int asked = 0;
  while (!over) {
    engine.turn(5ms);
    if (!engine.has_arrived()) continue;
    engine.say(
        wire::Refused{engine.take<wire::Wait>().correlation, Code::stopped, "the disk failed"});
    ++asked;
  }

  CHECK(waited.get().error() == Error{Code::stopped, "the disk failed"});
  CHECK(asked > 1);
}

TEST_CASE("a watcher sees every event once, over a restart of the engine") {
  Folder folder;
  auto engine = std::make_unique<FakeEngine>(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path());
  std::vector<std::string> seen;
  std::vector<Instant> times;
  WatchOptions options;
  options.task = kTask;
  options.after = Position{1, 2};

  auto watched = in_background([&] {
    return client.watch(options, [&](const Event& event) {
      seen.push_back(event.text);
      times.push_back(event.at);
      return event.text != "d";
    });
  });
  engine->welcome();
  auto watch = engine->take<wire::Watch>();
  CHECK(watch.task == kTask);
  CHECK(watch.after == Position{1, 2});
  CHECK(watch.credit > 0);
  const std::string a = event_at(2, "a");
  const std::string b = event_at(3, "b");
  engine->say(wire::Events{watch.correlation, {a, b}, {3, 4}, Duration{7}});
  const auto grant = engine->take<wire::Grant>();
  CHECK(grant.watch == watch.correlation);
  CHECK(grant.credit == 1);

  engine.reset();
  engine = std::make_unique<FakeEngine>(FakeEngine::in(folder.path()));
  engine->welcome();
  const wire::Correlation before = watch.correlation;
  watch = engine->take<wire::Watch>();
  CHECK(watch.after == Position{3, 4});
  const std::string c = event_at(5, "c");
  const std::string d = event_at(6, "d");
  const std::string e = event_at(7, "e");
  engine->say(wire::Events{before, {a}, {2, 0}, Duration{7}});  // of the watch before: not ours
  engine->say(wire::Events{watch.correlation, {c, d, e}, {7, 0}, Duration{7}});
  CHECK(watched.get().has_value());
  CHECK(seen == std::vector<std::string>{"a", "b", "c", "d"});
  CHECK(times == std::vector<Instant>(4, Instant{1007}));

  engine->take<wire::Grant>();
  CHECK(engine->take<wire::Unwatch>().watch == watch.correlation);
}

TEST_CASE("a watch from now on leaves no gap if the engine restarts before the first event") {
  Folder folder;
  auto engine = std::make_unique<FakeEngine>(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path());

  auto watched =
      in_background([&] { return client.watch({}, [](const Event&) { return false; }); });
  engine->welcome();
  const auto info = engine->take<wire::Info>();
  const auto first = engine->take<wire::Watch>();
  CHECK_FALSE(first.after.has_value());
  engine->say(wire::EngineInfo{info.correlation, {{"entry", "41"}}});
  // Another answer, so that it is sure that the one before has been read.
  engine->say(wire::Events{first.correlation, {}, {41, 3}, Duration{0}});
  engine->take<wire::Grant>();
  engine.reset();
  engine = std::make_unique<FakeEngine>(FakeEngine::in(folder.path()));
  engine->welcome();
  const auto second = engine->take<wire::Watch>();

  REQUIRE(second.after.has_value());
  CHECK(second.after->entry == 41);
  engine->say(wire::Refused{second.correlation, Code::position_gone, "too long ago"});
  CHECK(watched.get().error().code == Code::position_gone);
}

TEST_CASE("a watch in which nothing happens ends after its idle time") {
  Folder folder;
  FakeEngine engine(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path());

  auto watched = in_background([&] {
    return client.watch(
        {}, [](const Event&) { return true; }, 100ms);
  });
  engine.welcome();
  engine.take<wire::Info>();
  engine.take<wire::Watch>();

  CHECK(watched.get().error().code == Code::timed_out);
}

TEST_CASE("a client that watches takes no other calls meanwhile") {
  Folder folder;
  FakeEngine engine(FakeEngine::in(folder.path()));
  Client client = client_of(folder.path());
  Code inner = Code::ok;

  auto watched = in_background([&] {
    return client.watch({}, [&](const Event&) {
      inner = client.get(kTask).error().code;
      return false;
    });
  });
  engine.welcome();
  engine.take<wire::Info>();
  const auto watch = engine.take<wire::Watch>();
  const std::string event = event_at(1, "a");
  engine.say(wire::Events{watch.correlation, {event}, {1, 0}, Duration{0}});
  CHECK(watched.get().has_value());
  CHECK(inner == Code::failed_precondition);

  engine.take<wire::Grant>();
  engine.take<wire::Unwatch>();
  auto info = in_background([&] { return client.info(); });
  engine.say(wire::EngineInfo{engine.take<wire::Info>().correlation, {}});
  CHECK(info.get().has_value());
}

TEST_CASE("a client in the engine's process hears at once that the engine stops") {
  const auto context = wire::open_context().value();
  const auto router = wire::Router::open(*context, {}).value();
  Client client = Attach::client(*context, wire::Router::kInProcess, {}).value();

  auto waited = in_background([&] { return client.wait(kTask, 60s); });
  test::wait_for_a_message(*router);
  context->shutdown();

  CHECK(waited.get().error().code == Code::stopped);
}

TEST_CASE("a moved client goes on") {
  Folder folder;
  FakeEngine engine(FakeEngine::in(folder.path()));
  Client first = client_of(folder.path());
  Client client = std::move(first);

  auto info = in_background([&] { return client.info(); });
  engine.welcome();
  engine.say(wire::EngineInfo{engine.take<wire::Info>().correlation, {}});

  CHECK(info.get().has_value());
}

}  // namespace jack

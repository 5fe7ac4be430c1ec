// The bytes of the golden files never change: what older versions wrote is read, and written again
// the same. To add a form: print hex(bytes) once, and keep it in tests/unit/golden for ever.
#include <fstream>
#include <iterator>

#include "engine/format/command.h"
#include "engine/format/entry.h"
#include "engine/format/spec.h"
#include "engine/format/status.h"
#include "engine/format/unpack.h"
#include "engine/front/event_log.h"
#include "engine/state/stored.h"
#include "tests/catch.hpp"
#include "tests/unit/samples.h"

namespace jack {
namespace {

// The bytes in tests/unit/golden/NAME.hex. JACK_TEST_SOURCES is the folder of tests.
std::string golden(const std::string& name) {
  std::ifstream file(std::string(JACK_TEST_SOURCES) + "/unit/golden/" + name + ".hex");
  std::string digits;
  file >> digits;
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

template <typename Value>
std::string encoded(const Value& value) {
  std::string bytes;
  encode(value, bytes);
  return bytes;
}

Limits other_limits() {
  Limits limits;
  limits.payload_bytes_max = 77;
  limits.retention = Duration{88};
  return limits;
}

// Every kind of command, and every form of a settle.
std::string all_commands() {
  const TaskId id = full_spec().id;
  SettleCommand success;
  success.task = id;
  success.token = {77};
  success.pool = 3;
  success.again = true;
  success.result = "result";
  success.content_type = "text/plain";
  success.worker = "w";
  success.follow_ups = {{"spec", Instant{5}, std::nullopt}};
  SubmitCommand known{"spec"};
  known.result = "known";
  known.content_type = "text/plain";
  known.other_ids = {id};
  SettleCommand failure;
  failure.task = id;
  failure.token = {78};
  failure.outcome = Outcome::failed;
  failure.error = "because";
  failure.retry = false;
  failure.delay = Duration{9};
  SettleCommand release;
  release.task = id;
  release.token = {79};
  release.outcome = Outcome::released;
  SettleCommand loss;
  loss.task = id;
  loss.token = {80};
  loss.outcome = Outcome::lost;
  loss.error = "silent";

  EntryBuilder builder;
  builder.add(JoinCommand{1, 2, Instant{3}});
  builder.add(SetLimitsCommand{other_limits()});
  builder.add(SubmitCommand{"spec", Instant{1}, std::nullopt});
  builder.add(known);
  builder.add(OpenPoolCommand{4, true, Duration{30}, {"a", "b"}});
  builder.add(WantCommand{4, -2});
  builder.add(success);
  builder.add(failure);
  builder.add(release);
  builder.add(loss);
  builder.add(ProgressCommand{id, LeaseToken{77}, 500, "half"});
  builder.add(OutputCommand{id, LeaseToken{77}, "out"});
  builder.add(CancelCommand{id, "why"});
  builder.add(RetryCommand{id});
  builder.add(PauseCommand{"q", true});
  builder.add(ResumeCommand{id, LeaseToken{77}, 4});
  builder.add(TickCommand{});
  builder.add(ClosePoolCommand{4});
  builder.add(LeaveCommand{});
  builder.add(TakeCommand{id, 4});
  builder.add(AnnotateCommand{id, {{"note", "text"}, {"gone", std::nullopt}}});
  builder.add(RemoveCommand{id});
  builder.add(AliveCommand{9});
  return builder.close({1, {1}, {2}, 3, Instant{4}});
}

TaskRecord full_task() {
  TaskRecord task;
  task.queue = 1;
  task.state = TaskState::failed;
  task.priority = Priority::high;
  task.order = -3;
  task.serial = 9;
  task.token = {0x0001'0000'0000'0007};
  task.settled_token = {0x0001'0000'0000'0006};
  task.settled_digest = 0x0123456789abcdef;
  task.spec_digest = 0xfedcba9876543210;
  task.submitted = {10};
  task.changed = {20};
  task.started = {15};
  task.due = {12};
  task.expires = kNever;
  task.timeout = Duration{5000};
  task.pool = 2;
  task.attempt = 1;
  task.max_attempts = 7;
  task.cycle = 2;
  task.outcome = Outcome::failed;
  TaskExtras& extras = task.more();
  extras.reply_to = "answers";
  extras.header_count = 1;
  extras.headers = "\xa1k\xa1v";
  extras.backoff = {Duration{10}, 1500, Duration{1000}, 0};
  extras.error = "boom";
  extras.progress_note = "half";
  extras.progress_permille = 500;
  extras.output_bytes = 33;
  extras.attempts = {{3, Outcome::lost, Instant{1}, Instant{2}, "gone", "w", 1},
                     {1, Outcome::failed, Instant{15}, Instant{20}, "boom", "w", 2}};
  extras.annotations = {{"note", "text"}};
  extras.removed = true;
  return task;
}

TaskStatus full_status() {
  TaskStatus status;
  status.state = TaskState::scheduled;
  status.serial = 9;
  status.attempt = 1;
  status.cycle = 2;
  status.token = {0x0001'0000'0000'0007};
  status.submitted = {10};
  status.changed = {20};
  status.due = Instant{30};
  status.progress_permille = 500;
  status.progress_note = "half";
  status.output_bytes = 33;
  status.worker = "w";
  status.error = "boom";
  status.attempts = full_task().extras->attempts;
  status.annotations = {{"note", "text"}};
  return status;
}

EventView full_event() {
  EventView event;
  event.position = {7, 1};
  event.kind = EventKind::progressed;
  event.at = {20};
  event.task = full_spec().id;
  event.queue = "mail";
  event.attempt = 1;
  event.text = "half";
  event.progress_permille = 500;
  event.cycle = 2;
  return event;
}

}  // namespace

TEST_CASE("golden: a spec") {
  const std::string bytes = golden("spec-1");
  Unpacker unpacker;

  CHECK(hex(encoded(full_spec())) == hex(bytes));
  CHECK(to_spec(decode_spec(unpacker, bytes).value()) == full_spec());
}

TEST_CASE("golden: an entry with every kind of command") {
  const std::string bytes = golden("entry-1");
  CHECK(hex(all_commands()) == hex(bytes));

  Unpacker unpacker;
  EntryView entry = decode_entry(unpacker, bytes).value();
  EntryBuilder again;
  while (entry.commands.more()) {
    const Result<Command> command = decode_command(entry.commands.array(), Limits{});
    REQUIRE(command);
    std::visit([&](const auto& one) { again.add(one); }, *command);
  }
  CHECK(again.count() == std::variant_size_v<Command> + 4);  // settles have four forms, submits two
  CHECK(hex(again.close(entry.header)) == hex(bytes));
}

TEST_CASE("golden: a stored task") {
  const std::string bytes = golden("task-1");
  const UnflushedBytes beside{{}, {}, "text/plain", "worker"};
  std::string row;
  encode_task(full_task(), &beside, row);
  CHECK(hex(row) == hex(bytes));

  Unpacker unpacker;
  const DecodedTask task = decode_task(unpacker, bytes).value();
  const UnflushedBytes decoded{{}, {}, task.content_type, task.worker};
  row.clear();
  encode_task(task.record, &decoded, row);
  CHECK(hex(row) == hex(bytes));
}

TEST_CASE("golden: a stored queue") {
  const std::string bytes = golden("queue-1");
  Queue queue;
  queue.paused = true;
  queue.counts.succeeded = 5;
  queue.hungry = {3, 1};
  std::string row;
  encode_queue(queue, row);
  CHECK(hex(row) == hex(bytes));

  Queue decoded;
  REQUIRE(decode_queue(bytes, decoded));
  row.clear();
  encode_queue(decoded, row);
  CHECK(hex(row) == hex(bytes));
}

TEST_CASE("golden: the state beside tasks and queues") {
  const std::string bytes = golden("meta-1");
  Register values;
  values.limits = other_limits();
  values.members.resize(1);
  values.partitions[5] = {1, 2, true, {}};
  values.partitions[5].ids.add(IdTimes::Stretch{6, 7});
  values.forgotten.add(IdTimes::Stretch{1, 2});
  values.members[0].flushed = 3;
  values.absent[Id128{4}] = {5, Instant{6}};
  Pools pools;
  pools.restore(1).queues = {0, 2};
  std::string row;
  encode_meta(values, pools, row);
  CHECK(hex(row) == hex(bytes));

  Register decoded;
  Pools decoded_pools;
  REQUIRE(decode_meta(bytes, decoded, decoded_pools));
  row.clear();
  encode_meta(decoded, decoded_pools, row);
  CHECK(hex(row) == hex(bytes));
}

TEST_CASE("golden: a status") {
  const std::string bytes = golden("status-1");
  Unpacker unpacker;

  CHECK(hex(encoded(full_status())) == hex(bytes));
  CHECK(hex(encoded(decode_status(unpacker, bytes).value())) == hex(bytes));
}

TEST_CASE("golden: events as the store keeps them") {
  const std::string bytes = golden("events-1");
  EventView of_queue;
  of_queue.position = {8, 0};
  of_queue.kind = EventKind::queue_paused;
  of_queue.queue = "mail";
  EventLog log;
  log.begin_after(6);
  log.add(7, {full_event()});
  log.add(8, {of_queue});
  CHECK(hex(log.cut().blob) == hex(bytes));

  EventPart part;
  REQUIRE(read_blob(bytes, {}, SIZE_MAX, part));
  REQUIRE(part.events.size() == 2);
  CHECK(hex(part.events[0]) == hex(encoded(full_event())));
  CHECK(hex(part.events[1]) == hex(encoded(of_queue)));
  Unpacker unpacker;
  CHECK(hex(encoded(decode_event(unpacker, part.events[0]).value())) == hex(part.events[0]));
}

}  // namespace jack

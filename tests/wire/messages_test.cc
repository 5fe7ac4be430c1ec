#include "engine/wire/messages.h"

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "engine/format/pack.h"
#include "engine/format/status.h"
#include "tests/catch.hpp"

namespace jack::wire {
namespace {

const TaskId kTask = TaskId::from(WallTime{Duration{1'700'000'000'000}}, 7, 9);
const TaskId kOther = TaskId::from(WallTime{Duration{1'700'000'000'001}}, 8, 10);

Settle::Item item(std::uint64_t token, Outcome outcome) {
  Settle::Item item;
  item.task = kTask;
  item.token = {token};
  item.outcome = outcome;
  return item;
}

Settle settle() {
  Settle settle;
  settle.correlation = 4;
  Settle::Item success = item(1, Outcome::succeeded);
  success.again = true;
  success.result = "r";
  success.content_type = "t";
  success.follow_ups = {"f", "g"};
  success.follow_ups[1].result = "known";
  success.changes = {{"by", "ada"}, {"status", std::nullopt}};
  Settle::Item failure = item(2, Outcome::failed);
  failure.error = "e";
  failure.retry = false;
  failure.delay = Duration{5};
  Settle::Item release = item(4, Outcome::released);
  release.delay = Duration{6};
  settle.items = {success, failure, item(3, Outcome::failed), release, item(5, Outcome::released)};
  return settle;
}

Submit submit_with_more() {
  NewTask known("spec c");
  known.result = "";
  NewTask again("spec d");
  again.other_ids = {kTask, kOther};
  NewTask noted("spec e");
  noted.annotations = {{"by", "ada"}};
  return {2, {std::move(known), std::move(again), std::move(noted)}};
}

// A message of each kind with every field away from its default, encoded.
std::vector<std::string> requests() {
  return {
      encode(Hello{1, 1, "name", "key", "answers"}),
      encode(Submit{2, {"spec a", "spec b"}}),
      encode(Work{3, 4, -5, Duration{6000}, {"q", "r"}, true}),
      encode(settle()),
      encode(Extend{5, {{kTask, {1}, Duration{2}}}}),
      encode(Output{6, {{kTask, {1}, "bytes"}}}),
      encode(Progress{7, {{kTask, {1}, 1000, "note"}}}),
      encode(Resume{8, 2, {{kTask, {1}}, {kOther, {2}}}}),
      encode(Get{9, kTask, true, 0}),
      encode(Wait{10, kTask, Duration{11}}),
      encode(List{11, "q", TaskState::failed, kTask, 7, false, "type", kOther, 5, 6, true}),
      encode(List{}),
      encode(Cancel{12, {kTask, kOther}, "reason"}),
      encode(Retry{13, {kTask}}),
      encode(Queues{14}),
      encode(Pause{15, "q", false}),
      encode(Watch{16, kTask, "q", Position{1, 2}, 3}),
      encode(Watch{17, {}, "", std::nullopt, 1}),
      encode(Grant{18, 17, 2}),
      encode(Unwatch{19, 17}),
      encode(ReadOutput{20, kTask, 1, 2}),
      encode(Info{21}),
      encode(Ping{22}),
      encode(Bye{23}),
      encode(Take{24, 1, {kTask, kOther}}),
      encode(Annotate{25, {{kTask, {{"a", "1"}, {"b", std::nullopt}}}, {kOther, {}}}}),
      encode(Remove{26, {kTask}}),
      encode(Unwork{27, 3}),
      encode(submit_with_more()),
      encode(Get{9, {}, true, 1234}),
  };
}

std::vector<std::string> replies() {
  return {
      encode(Welcome{1, 1, "engine", "incarnation", Duration{30'000}, 5, 6}),
      encode(Refused{2, Code::queue_full, "full"}),
      encode(Done{3, {{}, {Code::ok, true, {}}, {Code::lease_lost, false, "lost"}}}),
      encode(Deliver{4, {{{1}, 2, Duration{3}, "spec"}, {{4}, 5, Duration{6}, "other"}}}),
      encode(Ended{{{kTask, {1}, Outcome::cancelled, "why"}}}),
      encode(ResultMessage{5, kTask, TaskState::failed, "r", "t", "e"}),
      encode(TaskMessage{6, "spec", "status", Duration{-7}}),
      encode(Page{7, {{"spec", "status"}, {"a", "b"}}, kTask, Duration{8}}),
      encode(QueueList{8, {{"q", true, 1, 2, 3, 4, 5, 6, 7, 8, Duration{9}, 10, 11}}}),
      encode(Events{9, {"event", "other"}, {1, 2}, Duration{-3}}),
      encode(OutputBytes{10, "bytes", 11, true}),
      encode(EngineInfo{11, {{"version", "1"}, {"entry", "2"}}}),
      encode(Pong{12, true}),
      encode(Who{13}),
  };
}

// Encodes what was decoded; where that gives the same bytes, no field got lost.
template <typename Message>
std::string encoded_again(const Message& message) {
  return std::visit([](const auto& alternative) { return encode(alternative); }, message);
}

void decode_both_ways(Unpacker& unpacker, std::string_view frame) {
  static_cast<void>(decode_request(unpacker, frame).has_value());
  static_cast<void>(decode_reply(unpacker, frame).has_value());
  static_cast<void>(correlation_of(unpacker, frame));
}

std::string packed(const std::function<void(Packer&)>& write) {
  std::string frame;
  Packer packer(frame);
  write(packer);
  return frame;
}

}  // namespace

TEST_CASE("every request is read as it was written") {
  Unpacker unpacker;
  for (const std::string& frame : requests()) {
    const Result<Request> decoded = decode_request(unpacker, frame);
    CAPTURE(static_cast<int>(frame[1]));
    REQUIRE(decoded.has_value());
    CHECK(encoded_again(*decoded) == frame);
  }
}

TEST_CASE("every reply is read as it was written") {
  Unpacker unpacker;
  for (const std::string& frame : replies()) {
    const Result<Reply> decoded = decode_reply(unpacker, frame);
    CAPTURE(static_cast<int>(frame[1]));
    REQUIRE(decoded.has_value());
    CHECK(encoded_again(*decoded) == frame);
  }
}

TEST_CASE("fields arrive under their own name") {
  Unpacker unpacker;
  const std::string frame = requests()[3];
  const auto decoded = std::get<Settle>(decode_request(unpacker, frame).value());

  CHECK(decoded.correlation == 4);
  REQUIRE(decoded.items.size() == 5);
  CHECK(decoded.items[0].task == kTask);
  CHECK(decoded.items[0].again);
  REQUIRE(decoded.items[0].follow_ups.size() == 2);
  CHECK(decoded.items[0].follow_ups[0].spec == "f");
  CHECK_FALSE(decoded.items[0].follow_ups[0].result);
  CHECK(decoded.items[0].follow_ups[1].spec == "g");
  CHECK(decoded.items[0].follow_ups[1].result == "known");
  REQUIRE(decoded.items[0].changes.size() == 2);
  CHECK(decoded.items[0].changes[0].value == "ada");
  CHECK_FALSE(decoded.items[0].changes[1].value);
  CHECK(decoded.items[1].error == "e");
  CHECK_FALSE(decoded.items[1].retry);
  CHECK(decoded.items[1].delay == Duration{5});
  CHECK(decoded.items[2].retry);
  CHECK_FALSE(decoded.items[2].delay.has_value());
  CHECK(decoded.items[3].outcome == Outcome::released);
}

TEST_CASE("a message of a newer version may have more fields at its end") {
  Unpacker unpacker;
  const std::string frame =
      packed([](Packer& out) { out.array(4).u64(21).u64(5).text("new").boolean(true); });

  const Result<Request> decoded = decode_request(unpacker, frame);

  REQUIRE(decoded.has_value());
  CHECK(std::get<Ping>(*decoded).correlation == 5);
}

TEST_CASE("a filter that is not known is refused, because leaving it out would show more") {
  Unpacker unpacker;
  const std::string frame =
      packed([](Packer& out) { out.array(3).u64(11).u64(1).map(1).text("colour").text("blue"); });

  CHECK(decode_request(unpacker, frame).error().code == Code::invalid_argument);
}

TEST_CASE("a kind that is not known is told apart from a malformed message") {
  Unpacker unpacker;
  const std::string unknown = packed([](Packer& out) { out.array(2).u64(50).u64(9); });
  const std::string malformed = packed([](Packer& out) { out.array(3).u64(9).u64(8).text("id"); });

  CHECK(decode_request(unpacker, unknown).error().code == Code::unsupported);
  CHECK(decode_reply(unpacker, unknown).error().code == Code::unsupported);
  CHECK(decode_request(unpacker, malformed).error().code == Code::invalid_argument);
  CHECK(correlation_of(unpacker, malformed) == 8);
  CHECK(correlation_of(unpacker, "no msgpack") == 0);
}

TEST_CASE("requests are no replies and replies no requests") {
  Unpacker unpacker;
  for (const std::string& frame : requests()) {
    CHECK(decode_reply(unpacker, frame).error().code == Code::unsupported);
  }
  for (const std::string& frame : replies()) {
    CHECK(decode_request(unpacker, frame).error().code == Code::unsupported);
  }
}

TEST_CASE("a worker cannot say the outcomes that are the engine's") {
  Unpacker unpacker;
  for (const Outcome outcome : {Outcome::lost, Outcome::timed_out, Outcome::cancelled}) {
    const std::string frame = packed([&](Packer& out) {
      out.array(3).u64(4).u64(1).array(1).array(6).id(kTask).u64(1);
      out.u64(static_cast<std::uint64_t>(outcome)).boolean(false).text("").boolean(true);
    });
    CHECK_FALSE(decode_request(unpacker, frame).has_value());
  }
}

TEST_CASE("a span of time is neither negative nor too long to be counted in nanoseconds") {
  Unpacker unpacker;
  const std::string negative =
      packed([](Packer& out) { out.array(4).u64(10).u64(1).id(kTask).i64(-1); });
  const std::string huge =
      packed([](Packer& out) { out.array(4).u64(10).u64(1).id(kTask).i64(INT64_MAX); });

  CHECK_FALSE(decode_request(unpacker, negative).has_value());
  const auto wait = std::get<Wait>(decode_request(unpacker, huge).value());
  CHECK(std::chrono::nanoseconds{wait.wait}.count() > 0);
}

TEST_CASE("a frame that is cut anywhere is refused") {
  Unpacker unpacker;
  std::vector<std::string> frames = requests();
  for (std::string& frame : replies()) frames.push_back(std::move(frame));
  for (const std::string& frame : frames) {
    for (std::size_t length = 0; length < frame.size(); ++length) {
      const std::string cut = frame.substr(0, length);  // its own memory, so that ASan sees its end
      CHECK_FALSE(decode_request(unpacker, cut).has_value());
      CHECK_FALSE(decode_reply(unpacker, cut).has_value());
    }
    CHECK_FALSE(decode_request(unpacker, frame + '\0').has_value());
    CHECK_FALSE(decode_reply(unpacker, frame + '\0').has_value());
  }
}

TEST_CASE("fields of a wrong kind are refused wherever they stand") {
  Unpacker unpacker;
  for (std::uint64_t kind = 1; kind <= 77; ++kind) {
    for (std::size_t good = 0; good < 8; ++good) {
      const std::string frame = packed([&](Packer& out) {
        out.array(good + 3).u64(kind).u64(1);
        for (std::size_t i = 0; i < good; ++i) out.u64(i);
        out.boolean(true);
      });
      decode_both_ways(unpacker, frame);  // whether refused or not: never a crash
    }
    const std::string nested = packed([&](Packer& out) {
      out.array(4).u64(kind).u64(1).array(2).array(1).nil().map(1).u64(1).boolean(true).nil();
    });
    decode_both_ways(unpacker, nested);
  }
  const std::string no_kind = packed([](Packer& out) { out.array(2).text("hello").u64(1); });
  CHECK_FALSE(decode_request(unpacker, no_kind).has_value());
  CHECK_FALSE(decode_request(unpacker, packed([](Packer& out) { out.array(0); })).has_value());
  CHECK_FALSE(decode_request(unpacker, packed([](Packer& out) { out.map(0); })).has_value());
}

TEST_CASE("deep nesting is refused") {
  Unpacker unpacker;
  std::string frame = packed([](Packer& out) { out.array(3).u64(2).u64(1); });
  frame.append(100'000, '\x91');
  frame += '\xc0';

  CHECK_FALSE(decode_request(unpacker, frame).has_value());
}

TEST_CASE("a declared length is not believed") {
  Unpacker unpacker;
  const std::string heads[] = {
      std::string("\xdd\xff\xff\xff\xff", 5),                  // an array of 2^32 − 1
      std::string("\x93\x02\x01\xdd\xff\xff\xff\xff", 8),      // a submit of as many
      std::string("\x93\x02\x01\x91\xc6\xff\xff\xff\xff", 9),  // of one with as many bytes
      std::string("\x93\x0b\x01\xdf\xff\xff\xff\xff", 8),      // a list with as many filters
      std::string("\x94\x01\x01\x01\xdb\xff\xff\xff\xff", 9),  // a hello with as long a name
  };
  for (const std::string& head : heads) {
    decode_both_ways(unpacker, head);
    CHECK_FALSE(decode_request(unpacker, head).has_value());
    CHECK_FALSE(decode_request(unpacker, head + std::string(1000, '\x01')).has_value());
  }
}

TEST_CASE("random bytes and damaged messages never crash the decoders") {
  Unpacker unpacker;
  std::mt19937 random(20'260);
  std::vector<std::string> frames = requests();
  for (std::string& frame : replies()) frames.push_back(std::move(frame));
  for (int round = 0; round < 20'000; ++round) {
    std::string noise(random() % 64, '\0');
    for (char& byte : noise) byte = static_cast<char>(random());
    decode_both_ways(unpacker, noise);

    std::string damaged = frames[random() % frames.size()];
    for (std::size_t hits = 1 + random() % 3; hits > 0; --hits) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    decode_both_ways(unpacker, damaged);
  }
  SUCCEED("nothing crashed");
}

TEST_CASE("a status is read as it was written") {
  TaskStatus status;
  status.state = TaskState::failed;
  status.serial = 1;
  status.attempt = 2;
  status.cycle = 3;
  status.token = {4};
  status.submitted = {5};
  status.changed = {6};
  status.due = Instant{7};
  status.expires = std::nullopt;
  status.progress_permille = 8;
  status.progress_note = "note";
  status.output_bytes = 9;
  status.worker = "worker";
  status.error = "error";
  status.attempts = {{1, Outcome::lost, {10}, {11}, "gone", "w1"},
                     {2, Outcome::failed, {12}, {13}, "bad", "w2"}};
  std::string bytes;
  encode(status, bytes);
  Unpacker unpacker;

  const Result<TaskStatus> decoded = decode_status(unpacker, bytes);

  REQUIRE(decoded.has_value());
  std::string again;
  encode(*decoded, again);
  CHECK(again == bytes);
  CHECK(decoded->worker == "worker");
  CHECK(decoded->due == Instant{7});
  CHECK_FALSE(decoded->expires.has_value());
  CHECK(decoded->attempts[1].worker == "w2");
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    CHECK_FALSE(decode_status(unpacker, bytes.substr(0, length)).has_value());
  }
}

TEST_CASE("an event is read as it was written, of a task or of a queue") {
  Unpacker unpacker;
  for (const TaskId& task : {kTask, TaskId{}}) {
    const EventView event{{1, 2}, EventKind::progressed, {3}, task, "q", 4, "text", 5};
    std::string bytes;
    encode(event, bytes);

    const Result<EventView> decoded = decode_event(unpacker, bytes);

    REQUIRE(decoded.has_value());
    const Event copy = to_event(*decoded);
    CHECK(copy.position == Position{1, 2});
    CHECK(copy.kind == EventKind::progressed);
    CHECK(copy.at == Instant{3});
    CHECK(copy.task == task);
    CHECK(copy.queue == "q");
    CHECK(copy.attempt == 4);
    CHECK(copy.text == "text");
    CHECK(copy.progress_permille == 5);
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      CHECK_FALSE(decode_event(unpacker, bytes.substr(0, length)).has_value());
    }
  }
}

}  // namespace jack::wire

// What clients hand in by HTTP: JSON, the tasks in it, queries, keys.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <jack_engine/testing/harness.h>

#include "apps/api/claims.h"
#include "apps/api/idempotency.h"
#include "apps/api/input.h"
#include "apps/api/takes.h"
#include "apps/api/task_input.h"
#include "apps/strict_json.h"
#include "tests/catch.hpp"

namespace jack {
namespace {

std::string refusal(std::string_view text) {
  const auto parsed = app::parse_json(text);
  return parsed ? "" : parsed.error().message;
}

std::string nested(int depth) {
  const auto levels = static_cast<std::size_t>(depth);
  return std::string(levels, '[') + std::string(levels, ']');
}

std::string object_of(int members, int same_as_first) {
  std::string text = "{";
  for (int i = 0; i < members; ++i) {
    text += (i > 0 ? ",\"" : "\"") + std::to_string(i == same_as_first ? 0 : i) + "\":0";
  }
  return text + "}";
}

std::string field_at_fault(std::string_view body, std::string_view queue = "") {
  api::Input<api::TaskInput> input = api::tasks_from_json(body, queue, 2);
  return input ? "none" : input.error().field;
}

TEST_CASE("JSON is read as it stands, names in their order") {
  const auto parsed = app::parse_json(R"( {"b": [1, -2, 2.5, true, null, "é\n"], "a": {}} )");
  REQUIRE(parsed);
  CHECK(parsed->dump() == R"({"b":[1,-2,2.5,true,null,"é\n"],"a":{}})");
  CHECK(app::parse_json("7")->get<int>() == 7);
}

TEST_CASE("what is no JSON is refused with its place") {
  CHECK(refusal("").find("unexpected end of input") != std::string::npos);
  CHECK(refusal("{\"a\":}").find("line 1, column 6") != std::string::npos);
  CHECK_FALSE(refusal("1 2").empty());
  CHECK_FALSE(refusal("NaN").empty());
  CHECK_FALSE(refusal("\"\xff\"").empty());
}

TEST_CASE("JSON is bounded in depth, in number, and in whole numbers") {
  CHECK(refusal(nested(app::kJsonDepthMax)).empty());
  CHECK(refusal(nested(app::kJsonDepthMax + 1)) == "the JSON is nested too deep");

  std::string zeros = "[0";
  for (std::size_t i = 2; i < app::kJsonValuesMax; ++i) zeros += ",0";
  CHECK(refusal(zeros + "]").empty());
  CHECK(refusal(zeros + ",0]") == "the JSON has too many values");

  CHECK(refusal("[9007199254740992, -9007199254740992]").empty());
  CHECK(refusal("9007199254740993").find("2^53") != std::string::npos);
  CHECK(refusal("-9007199254740993").find("2^53") != std::string::npos);
  // The library reads these as floating point.
  CHECK(refusal("18446744073709551616").find("2^53") != std::string::npos);
  CHECK(refusal("-9223372036854775809").find("2^53") != std::string::npos);
  CHECK(refusal("[1" + std::string(400, '0') + "]") != "");
  CHECK(refusal("[18446744073709551616.0, 1e25, 1E25]").empty());
}

TEST_CASE("a name that is there twice in one object is refused, among few and among many") {
  CHECK(refusal(R"({"a": 1, "b": {"a": 2}})").empty());
  for (const int members : {2, 15, 16, 17, 18, 50'000}) {
    INFO(members);
    CHECK(refusal(object_of(members, -1)).empty());
    CHECK(refusal(object_of(members, members - 1)) ==
          "the JSON has the name \"0\" twice in one object");
  }
}

TEST_CASE("a task in JSON has the fields of a spec") {
  api::Input<api::TaskInput> input = api::tasks_from_json(
      R"({"queue": "q", "type": "t", "payload": {"z": 1, "a": 2}, "priority": "urgent",
          "delay_ms": 5, "timeout_ms": 6, "max_attempts": 7, "reply_to": "r", "from": "me",
          "backoff": {"initial_ms": 8, "factor": 1.5, "max_ms": 9, "jitter": 0.1},
          "headers": {"traceparent": "x"}})",
      "", 1);
  REQUIRE(input);
  CHECK_FALSE(input->is_batch);
  REQUIRE(input->specs.size() == 1);
  const TaskSpec& spec = input->specs.front();
  CHECK(spec.queue == "q");
  CHECK(spec.type == "t");
  CHECK(spec.payload == R"({"z":1,"a":2})");
  CHECK(spec.content_type == "application/json");
  CHECK(spec.priority == Priority::urgent);
  CHECK(spec.delay == Duration{5});
  CHECK(spec.timeout == Duration{6});
  CHECK(spec.max_attempts == 7);
  CHECK(spec.backoff == Backoff{Duration{8}, 1500, Duration{9}, 100});
  CHECK(spec.headers.at("traceparent") == "x");
}

TEST_CASE("an error names the field that is to blame") {
  CHECK(field_at_fault(R"({})") == "queue");
  CHECK(field_at_fault(R"({"queue": 1})") == "queue");
  CHECK(field_at_fault(R"({"queue": "a"})", "b") == "queue");
  CHECK(field_at_fault(R"({"queue": "a", "colour": 1})") == "colour");
  CHECK(field_at_fault(R"({"queue": "a", "priority": "extreme"})") == "priority");
  CHECK(field_at_fault(R"({"queue": "a", "delay_ms": -1})") == "delay_ms");
  CHECK(field_at_fault(R"({"queue": "a", "delay_ms": 1.5})") == "delay_ms");
  CHECK(field_at_fault(R"({"queue": "a", "not_before": "soon"})") == "not_before");
  CHECK(field_at_fault(R"({"queue": "a", "backoff": {"factor": "2"}})") == "backoff.factor");
  CHECK(field_at_fault(R"({"queue": "a", "headers": {"x": 1}})") == "headers.x");
  CHECK(field_at_fault(R"({"queue": "a", "payload_base64": "?"})") == "payload_base64");
  CHECK(field_at_fault(R"({"queue": "a", "payload": 1, "payload_text": "x"})") == "payload_text");
  CHECK(field_at_fault(R"({"tasks": []})") == "tasks");
  CHECK(field_at_fault(R"({"tasks": [{"queue": "a"}, {}]})") == "tasks[1].queue");
  CHECK(field_at_fault(R"({"tasks": [{}, {}, {}]})") == "tasks");
  CHECK(field_at_fault(R"({"tasks": [{"queue": "a"}], "queue": "b"})") == "tasks");
}

TEST_CASE("a raw body is the payload, and the query has the rest") {
  http::Request request;
  request.body = std::string("\0\xff", 2);
  request.headers = {{"content-type", "image/png"}};
  request.query = {{"priority", "low"}, {"max_attempts", "2"}, {"headers.trace", "1"}};
  api::Input<TaskSpec> spec = api::task_from_raw(request, "q");
  REQUIRE(spec);
  CHECK(spec->payload == request.body);
  CHECK(spec->content_type == "image/png");
  CHECK(spec->priority == Priority::low);
  CHECK(spec->max_attempts == 2);
  CHECK(spec->headers.at("trace") == "1");

  request.query = {{"payload_text", "x"}};
  CHECK(api::task_from_raw(request, "q").error().field == "payload_text");
}

std::string field_at_fault(const TaskSpec& spec, const Limits& limits = {}) {
  const std::optional<api::InputError> fault = api::fault_in(spec, limits, "here");
  if (!fault) return "none";
  CHECK(fault->error.code == Code::invalid_argument);
  CHECK_FALSE(fault->error.message.empty());
  return fault->field;
}

TEST_CASE("what the engine would refuse of a task's form is known by its field") {
  TaskSpec good;
  good.id = TaskId::from(WallTime{}, 1, 2);
  good.queue = "q";
  CHECK(field_at_fault(good) == "none");
  const auto field_with = [&good](auto change) {
    TaskSpec spec = good;
    change(spec);
    return field_at_fault(spec);
  };
  const Duration too_long = Limits{}.delay_max + Duration{1};
  const std::string long_text(kShortTextBytesMax + 1, 'x');
  CHECK(field_with([](TaskSpec& spec) { spec.queue = "a b"; }) == "here.queue");
  CHECK(field_with([&](TaskSpec& spec) { spec.type = long_text; }) == "here.type");
  CHECK(field_with([](TaskSpec& spec) { spec.content_type = "a\n"; }) == "here.content_type");
  CHECK(field_with([](TaskSpec& spec) { spec.from = "\x7f"; }) == "here.from");
  CHECK(field_with([](TaskSpec& spec) { spec.reply_to = "a b"; }) == "here.reply_to");
  CHECK(field_with([](TaskSpec& spec) { spec.max_attempts = 0; }) == "here.max_attempts");
  CHECK(field_with([&](TaskSpec& spec) { spec.delay = too_long; }) == "here.delay_ms");
  CHECK(field_with([&](TaskSpec& spec) { spec.expires_in = too_long; }) == "here.expires_in_ms");
  CHECK(field_with([&](TaskSpec& spec) { spec.timeout = too_long; }) == "here.timeout_ms");
  CHECK(field_with([&](TaskSpec& spec) { spec.backoff.initial = too_long; }) ==
        "here.backoff.initial_ms");
  CHECK(field_with([&](TaskSpec& spec) { spec.backoff.max = too_long; }) == "here.backoff.max_ms");
  CHECK(field_with([](TaskSpec& spec) { spec.backoff.factor_permille = 999; }) ==
        "here.backoff.factor");
  CHECK(field_with([](TaskSpec& spec) { spec.backoff.jitter_permille = 1001; }) ==
        "here.backoff.jitter");
  CHECK(field_with([&](TaskSpec& spec) { spec.headers["a"] = std::string(4096, 'x'); }) ==
        "here.headers");
  CHECK(field_with([](TaskSpec& spec) {
          spec.delay = Duration{1};
          spec.not_before = WallTime{};
        }) == "here.not_before");
  CHECK(field_with([](TaskSpec& spec) {
          spec.expires_in = Duration{1};
          spec.expires_at = WallTime{};
        }) == "here.expires_at");

  // What nobody gave may be wrong by other limits, and how large a payload is says the engine.
  CHECK(field_at_fault(good, {.attempts_max = 2}) == "here.max_attempts");
  CHECK(field_at_fault(good, {.delay_max = Duration{1}}) == "here.backoff.initial_ms");
  good.payload = "xx";
  CHECK(field_at_fault(good, {.payload_bytes_max = 1}) == "none");
}

// The status of the refusal, and the field that it names.
std::string takes_refusal(const api::Takes& takes, const http::Request& request) {
  const std::optional<http::Response> refusal = api::refusal_of(takes, request);
  if (!refusal) return "none";
  const auto problem = nlohmann::json::parse(refusal->body);
  return std::to_string(refusal->status) + " " + problem.value("field", "");
}

TEST_CASE("a route takes the parameters that it knows, each of them once") {
  http::Request request;
  const auto refusal = [&](const api::Takes& takes, std::vector<http::Field> query) {
    request.query = std::move(query);
    return takes_refusal(takes, request);
  };
  CHECK(refusal({{"a", "b"}}, {{"b", "1"}, {"a", ""}}) == "none");
  CHECK(refusal({{"a", "b"}}, {{"b", "1"}, {"c", ""}}) == "400 c");
  CHECK(refusal({{"a", "b"}}, {{"b", "1"}, {"a", ""}, {"b", "1"}}) == "400 b");
  CHECK(refusal({}, {{"", ""}}) == "400 ");

  // The fields of a task stand there where the body is its payload.
  CHECK(refusal({{}, api::Body::task}, {{"type", "x"}}) == "400 type");
  request.headers = {{"content-type", "image/png"}};
  CHECK(refusal({{}, api::Body::task}, {{"type", "x"}}) == "none");
  CHECK(refusal({{}, api::Body::task}, {{"headers.a", "x"}, {"headers.a", "x"}}) ==
        "400 headers.a");
}

TEST_CASE("a route takes the body that it knows") {
  using api::Body;
  http::Request request;
  const auto refusal = [&](Body takes, const std::string& type, std::string body = "{}") {
    request.body = std::move(body);
    request.headers.clear();
    if (!type.empty()) request.headers = {{"content-type", type}};
    return takes_refusal({{}, takes}, request);
  };
  CHECK(refusal(Body::none, "", "") == "none");
  CHECK(refusal(Body::none, "") == "400 ");
  for (const Body takes : {Body::json, Body::patch, Body::json_or_raw, Body::task}) {
    CHECK(refusal(takes, "") == "none");
    for (const char* good :
         {"application/json", "Application/JSON ; charset=UTF-8", "application/json;a=b",
          "application/json;a; charset=\"utf-8\"", "application/json;"}) {
      CHECK(refusal(takes, good) == "none");
    }
    for (const char* bad : {"application/json;charset=utf-16", "application/json;a=b; Charset=x"}) {
      CHECK(refusal(takes, bad) == "415 Content-Type");
    }
    CHECK(refusal(takes, "multipart/form-data; boundary=x") == "415 Content-Type");
    CHECK(refusal(takes, "application/x-www-form-urlencoded", "") == "none");
    const bool takes_raw = takes == Body::json_or_raw || takes == Body::task;
    CHECK(refusal(takes, "text/plain;charset=latin1") == (takes_raw ? "none" : "415 Content-Type"));
    const bool takes_patches = takes == Body::patch || takes_raw;
    CHECK(refusal(takes, "application/merge-patch+json") ==
          (takes_patches ? "none" : "415 Content-Type"));
  }
  request.headers = {{"content-encoding", "gzip"}};
  CHECK(takes_refusal({{}, Body::json_or_raw}, request) == "415 Content-Encoding");
  request.headers = {{"content-encoding", "Identity"}};
  CHECK(takes_refusal({{}, Body::json_or_raw}, request) == "none");
}

TEST_CASE("a claim says for how many, how long it waits, and for how long it takes them") {
  http::Request request;
  request.parameters = {{"queue", "q"}};
  const auto read = [&](std::vector<http::Field> query) {
    request.query = std::move(query);
    return api::read_claim(request, Duration{30'000});
  };
  api::Input<api::ClaimRequest> plain = read({});
  REQUIRE(plain);
  CHECK(plain->queue == "q");
  CHECK(plain->max == 1);
  CHECK(plain->wait == Duration{0});
  CHECK(plain->lease == Duration{30'000});

  api::Input<api::ClaimRequest> all = read({{"max", "100"}, {"wait", "1h"}, {"lease", "12h"}});
  REQUIRE(all);
  CHECK(all->max == 100);
  CHECK(all->wait == api::kWaitMax);
  CHECK(all->lease == std::chrono::hours{12});

  for (const auto& [name, text] :
       std::map<std::string, std::vector<std::string>>{{"max", {"0", "101", "x", ""}},
                                                       {"wait", {"soon", "-1s"}},
                                                       {"lease", {"999ms", "13h"}}}) {
    for (const std::string& value : text) {
      INFO(name << '=' << value);
      CHECK(read({{name, value}}).error().field == name);
    }
  }
}

TEST_CASE("a lease is named by a text that is read back") {
  api::Lease lease;
  const LeaseToken token{281'474'976'710'657};
  REQUIRE(api::read_lease_text(api::lease_text({{}, token, Duration{5}, "a.b-c"}), lease));
  CHECK(lease.token == token);
  CHECK(lease.length == Duration{5});
  CHECK(lease.queue == "a.b-c");
  REQUIRE(api::read_lease_text("7", lease));
  CHECK(lease.token == LeaseToken{7});
  CHECK(lease.length == Duration{0});
  CHECK(lease.queue.empty());
  REQUIRE(api::read_lease_text("7.18446744073709551615.q", lease));
  CHECK(lease.length == std::chrono::hours{12});
  for (const char* const wrong :
       {"", "0", "0.5.q", ".5.q", "7.", "7.x.q", "x", "-7", "7 ", "7.5", "7.5.", "7.5.a b"}) {
    INFO(wrong);
    CHECK_FALSE(api::read_lease_text(wrong, lease));
  }
}

bool are_same(const api::KeyedIds& first, const api::KeyedIds& later) {
  return later.id == first.id ||
         std::find(later.earlier.begin(), later.earlier.end(), first.id) != later.earlier.end();
}

TEST_CASE("an idempotency key gives the same task for a day, and to everybody his own") {
  const WallTime now{Duration{1'800'000'000'000}};
  const Duration window = api::key_window({});
  CHECK(window == Duration{std::chrono::hours{24}});
  const api::KeyedIds first = api::ids_for_key("key", {"ada", 0}, window, now);
  CHECK(api::ids_for_key("key", {"ada", 0}, window, now).id == first.id);
  CHECK(api::ids_for_key("key", {"bob", 0}, window, now).id != first.id);
  CHECK(api::ids_for_key("key", {"ada", 1}, window, now).id != first.id);
  CHECK(api::ids_for_key("yek", {"ada", 0}, window, now).id != first.id);

  for (const int hours : {1, 8, 12, 23, 24}) {
    INFO(hours);
    const WallTime then = now + Duration{std::chrono::hours{hours}};
    CHECK(are_same(first, api::ids_for_key("key", {"ada", 0}, window, then)));
  }
}

// Else a new key gets an id of a time of which ids have been forgotten, and is refused.
TEST_CASE("an idempotency key is new in an engine that soon forgets ids, and known for as long") {
  Limits limits;
  limits.retention = limits.dedup_window = std::chrono::hours{1};
  const Duration window = api::key_window(limits);
  CHECK(window == Duration{std::chrono::hours{1}});
  testing::Harness jack({.limits = limits});

  std::vector<std::pair<WallTime, api::KeyedIds>> all;
  for (int i = 0; i < 100; ++i) {
    const auto ids = api::ids_for_key("key-" + std::to_string(i), {}, window, jack.wall_now());
    all.emplace_back(jack.wall_now(), ids);
    TaskSpec spec;
    spec.id = ids.id;
    spec.queue = "q";
    const Result<TaskId> submitted = jack.try_submit(spec);
    INFO(i << ": " << (submitted ? "" : submitted.error().message));
    CHECK(submitted.has_value());
    jack.succeed(jack.claim("q"));
    jack.advance(std::chrono::minutes{7});
  }

  for (std::size_t i = 0; i < all.size(); ++i) {
    const WallTime end = all[i].first + window;
    CHECK(are_same(all[i].second, api::ids_for_key("key-" + std::to_string(i), {}, window, end)));
  }
}

}  // namespace
}  // namespace jack

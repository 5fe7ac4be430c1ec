// What needs no socket: targets, the guard, problems, the router's table.
#include <string>

#include "apps/http/guard.h"
#include "apps/http/problem.h"
#include "apps/http/router.h"
#include "apps/http/target.h"
#include "tests/catch.hpp"

namespace jack::http {
namespace {

using Segments = std::vector<std::string>;

Request request_to(std::string host, Method method = Method::get) {
  Request request;
  request.method = method;
  request.host = std::move(host);
  request.came_to_loopback = true;
  return request;
}

bool passes(const GuardRules& rules, const Request& request) {
  return !guard(rules, request).answer.has_value();
}

bool host_passes(const GuardRules& rules, std::string host) {
  return passes(rules, request_to(std::move(host)));
}

Request post_from(std::string origin) {
  Request request = request_to("localhost:5000", Method::post);
  if (!origin.empty()) request.headers.push_back({"origin", std::move(origin)});
  return request;
}

std::string header_of(const Response& response, std::string_view name) {
  for (const Field& field : response.headers) {
    if (same_name(field.name, name)) return field.value;
  }
  return {};
}

}  // namespace

TEST_CASE("a path is split before its segments are decoded") {
  CHECK(parse_target("/")->segments == Segments{});
  CHECK(parse_target("/v1/tasks")->segments == Segments{"v1", "tasks"});
  CHECK(parse_target("/v1/a%2Fb/")->segments == Segments{"v1", "a/b", ""});
  CHECK(parse_target("/a+b/%c3%a4")->segments == Segments{"a+b", "ä"});
  CHECK(parse_target("//")->segments == Segments{"", ""});
}

TEST_CASE("the parameters of a query keep their order, and those of like names") {
  const std::vector<Field> expected = {{"a", "1 2"}, {"b", ""}, {"a", "&="}, {"", "x"}};
  CHECK(parse_target("/?a=1+2&b&&a=%26%3d&=x")->query == expected);
  CHECK(parse_target("/?")->query.empty());
}

TEST_CASE("what is not properly escaped UTF-8 is no target") {
  for (const char* bad :
       {"", "x", "/%", "/%4", "/%4g", "/%00", "/%ff", "/%c0%af", "/%ed%a0%80", "/?%", "/?a=%0",
        "/?%00", "/?a=%80", "/a/../b", "/%2e%2E", "/.", "/a/."}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_target(bad));
  }
}

TEST_CASE("on loopback only names of loopback and configured ones are served") {
  GuardRules rules;
  rules.hosts = {"jack.example"};
  for (const char* good : {"localhost", "LOCALHOST:5000", "127.0.0.1", "127.9.8.7:1", "[::1]",
                           "[::1]:5000", "Jack.example:80"}) {
    CAPTURE(good);
    CHECK(host_passes(rules, good));
  }
  for (const char* bad : {"", "evil.example", "127.evil.example", "127.0.0.1.evil.example",
                          "localhost.evil.example", "[::2]", "128.0.0.1", "127.0.0.", ":5000"}) {
    CAPTURE(bad);
    CHECK_FALSE(host_passes(rules, bad));
  }
}

TEST_CASE("beyond loopback every name is served unless some are configured") {
  GuardRules rules;
  const auto host_passes_there = [&rules](std::string host) {
    Request request = request_to(std::move(host));
    request.came_to_loopback = false;
    return passes(rules, request);
  };
  CHECK(host_passes_there("whatever.example"));
  CHECK_FALSE(host_passes(rules, "whatever.example"));

  rules.hosts = {"jack.example"};
  CHECK(host_passes_there("jack.example"));
  CHECK(host_passes_there("127.0.0.1:5000"));
  CHECK_FALSE(host_passes_there("whatever.example"));
}

TEST_CASE("a page of another origin may not change anything") {
  GuardRules rules;
  rules.allowed_origins = {"https://board.example"};
  CHECK(passes(rules, post_from("")));
  CHECK(passes(rules, post_from("http://localhost:5000")));
  CHECK(passes(rules, post_from("https://board.example")));
  for (const char* bad : {"http://evil.example", "null", "https://localhost:5000",
                          "http://localhost:5001", "https://board.example.evil", "http://", "x"}) {
    CAPTURE(bad);
    CHECK(guard(rules, post_from(bad)).answer->status == 403);
  }

  Request get = post_from("http://evil.example");
  get.method = Method::get;
  CHECK(passes(rules, get));
  CHECK(guard(rules, get).headers == std::vector<Field>{{"Vary", "Origin"}});
}

TEST_CASE("a cross-site request without an Origin may not change anything either") {
  Request request = post_from("");
  request.headers.push_back({"sec-fetch-site", "cross-site"});
  CHECK_FALSE(passes({}, request));
  request.method = Method::get;
  CHECK(passes({}, request));
  request.method = Method::del;
  request.headers.back().value = "same-origin";
  CHECK(passes({}, request));
}

TEST_CASE("behind a proxy that ends TLS the origin's scheme may differ") {
  GuardRules rules;
  CHECK_FALSE(passes(rules, post_from("https://localhost:5000")));
  rules.behind_proxy = true;
  CHECK(passes(rules, post_from("https://localhost:5000")));
}

TEST_CASE("a preflight is answered for allowed origins alone") {
  GuardRules rules;
  rules.allowed_origins = {"https://board.example"};
  Request preflight = post_from("https://board.example");
  preflight.method = Method::options;
  preflight.headers.push_back({"access-control-request-method", "POST"});

  const Admission allowed = guard(rules, preflight);
  REQUIRE(allowed.answer);
  CHECK(allowed.answer->status == 204);
  CHECK(header_of(*allowed.answer, "Access-Control-Allow-Headers").find("Idempotency-Key") !=
        std::string::npos);
  CHECK(allowed.headers ==
        std::vector<Field>{{"Vary", "Origin"},
                           {"Access-Control-Allow-Origin", "https://board.example"}});

  preflight.headers.front().value = "https://evil.example";
  CHECK_FALSE(guard(rules, preflight).answer);
  CHECK(guard(rules, preflight).headers == std::vector<Field>{{"Vary", "Origin"}});
  CHECK(guard({}, preflight).headers.empty());
}

TEST_CASE("every code has a status, and a reason") {
  const std::vector<std::pair<Code, int>> expected = {
      {Code::ok, 200},
      {Code::invalid_argument, 400},
      {Code::not_found, 404},
      {Code::already_exists, 409},
      {Code::lease_lost, 409},
      {Code::payload_too_large, 413},
      {Code::queue_full, 429},
      {Code::storage_full, 507},
      {Code::unavailable, 503},
      {Code::unsupported, 501},
      {Code::unauthenticated, 401},
      {Code::permission_denied, 403},
      {Code::failed_precondition, 409},
      {Code::position_gone, 410},
      {Code::rate_limited, 429},
      {Code::stopped, 503},
      {Code::corruption, 500},
      {Code::internal, 500},
      {Code::timed_out, 504},
  };
  for (const auto& [code, status] : expected) {
    CAPTURE(name_of(code));
    CHECK(status_of(code) == status);
    CHECK(reason_of(status) != "Unknown");
  }
  CHECK(status_of(static_cast<Code>(200)) == 500);
}

TEST_CASE("a problem tells its status, code and field, whatever bytes it quotes") {
  const Response response = problem({Code::invalid_argument, "bad \xff \"x\""}, "limit");
  CHECK(response.status == 400);
  CHECK(response.body ==
        R"({"type":"about:blank","title":"Bad Request","status":400,"detail":"bad )"
        "\xef\xbf\xbd"
        R"( \"x\"","code":"invalid_argument","field":"limit"})");
  CHECK(header_of(response, "Content-Type") == "application/problem+json");
  CHECK(header_of(problem({Code::queue_full, ""}), "Retry-After") == "1");
  CHECK(header_of(problem({Code::stopped, ""}), "Retry-After") == "1");
  CHECK(header_of(problem({Code::unauthenticated, ""}), "WWW-Authenticate") == "Bearer");
}

TEST_CASE("the router lists its routes by pattern") {
  Router router;
  const Handler none = [](Request, Responder) {};
  router.add(Method::post, "/v1/tasks", none);
  router.add(Method::get, "/v1/tasks/{id}", none);
  router.add(Method::get, "/v1/tasks", none);

  const std::vector<Router::Route> expected = {
      {Method::get, "/v1/tasks"}, {Method::post, "/v1/tasks"}, {Method::get, "/v1/tasks/{id}"}};
  CHECK(router.routes() == expected);
}

TEST_CASE("methods have a case, names of headers have none") {
  CHECK(method_named("DELETE") == Method::del);
  CHECK_FALSE(method_named("get"));
  CHECK_FALSE(method_named("CONNECT"));
  Request request;
  request.headers = {{"x-a", "1"}, {"x-a", "2"}};
  CHECK(*request.header("X-A") == "1");
  CHECK(request.header("x-b") == nullptr);
}

}  // namespace jack::http

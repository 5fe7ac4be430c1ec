#include "apps/jules/legacy.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "apps/http/problem.h"
#include "apps/json.h"

namespace jack::jules {
namespace {

constexpr std::array<std::string_view, 6> kFirstSegments = {"",      "add_task", "tasks",
                                                            "agent", "health",   "metrics"};

}  // namespace

bool is_legacy(const http::Request& request) {
  std::string_view first;
  if (!request.segments.empty()) first = request.segments.front();
  return std::find(kFirstSegments.begin(), kFirstSegments.end(), first) != kFirstSegments.end();
}

http::Response failure(int status, std::string_view text) {
  http::Response response{status, {}, app::Json::object().set("error", text).line() + "\n"};
  response.set("Content-Type", "application/json");
  if (status == 401) response.set("WWW-Authenticate", "Bearer");
  if (status == 429 || status == 503) response.set("Retry-After", "1");
  return response;
}

http::Response refusal(const Error& error) {
  switch (error.code) {
    case Code::not_found: return failure(404, "Task not found");
    case Code::unauthenticated:
      return failure(401, error.message == "API key required" ? error.message : "Invalid API key");
    default: return failure(http::status_of(error.code), error.message);
  }
}

}  // namespace jack::jules

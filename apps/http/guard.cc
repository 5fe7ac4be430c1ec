#include "apps/http/guard.h"

#include <algorithm>
#include <string_view>

#include "apps/http/problem.h"

namespace jack::http {
namespace {

constexpr std::string_view kAllowedMethods = "GET, HEAD, POST, PUT, PATCH, DELETE";
constexpr std::string_view kAllowedHeaders =
    "Authorization, X-API-Key, Content-Type, Idempotency-Key, Last-Event-ID";
// Of answers, besides those that every script may read.
constexpr std::string_view kExposedHeaders =
    "Location, Retry-After, Jack-Output-Bytes, Jack-Output-Complete";
constexpr std::string_view kPreflightSeconds = "600";

// "[::1]:5000" is "[::1]", "localhost:5000" is "localhost".
std::string_view without_port(std::string_view host) {
  const std::size_t colon = host.rfind(':');
  const std::size_t bracket = host.rfind(']');
  if (colon == std::string_view::npos) return host;
  if (bracket != std::string_view::npos && bracket > colon) return host;
  return host.substr(0, colon);
}

// Four numbers, the first of which is 127: "127.evil.example" is somebody's name.
bool is_loopback_v4(std::string_view name) {
  if (!name.starts_with("127.")) return false;
  if (std::count(name.begin(), name.end(), '.') != 3 || name.ends_with('.')) return false;
  return name.find_first_not_of("0123456789.") == std::string_view::npos;
}

bool names_loopback(std::string_view name) {
  return same_name(name, "localhost") || name == "[::1]" || is_loopback_v4(name);
}

bool host_allowed(const GuardRules& rules, const Request& request) {
  if (!request.came_to_loopback && rules.hosts.empty()) return true;
  const std::string_view name = without_port(request.host);
  return names_loopback(name) ||
         std::any_of(rules.hosts.begin(), rules.hosts.end(),
                     [&](const std::string& allowed) { return same_name(allowed, name); });
}

bool is_own_origin(const GuardRules& rules, const Request& request, std::string_view origin) {
  const std::string_view http = "http://";
  const std::string_view https = "https://";
  const bool as_https = origin.starts_with(https);
  if (!as_https && !origin.starts_with(http)) return false;
  if (as_https != request.tls && !rules.behind_proxy) return false;
  origin.remove_prefix(as_https ? https.size() : http.size());
  return !origin.empty() && same_name(origin, request.host);
}

bool origin_allowed(const GuardRules& rules, std::string_view origin) {
  return std::find(rules.allowed_origins.begin(), rules.allowed_origins.end(), origin) !=
         rules.allowed_origins.end();
}

// What a page of another origin makes a browser send. A program sends neither field.
bool is_foreign(const GuardRules& rules, const Request& request) {
  if (const std::string* origin = request.header("origin"); origin != nullptr) {
    return !origin_allowed(rules, *origin) && !is_own_origin(rules, request, *origin);
  }
  const std::string* site = request.header("sec-fetch-site");
  return site != nullptr && *site == "cross-site";
}

Response preflight_answer() {
  Response response;
  response.status = 204;
  response.set("Access-Control-Allow-Methods", std::string(kAllowedMethods))
      .set("Access-Control-Allow-Headers", std::string(kAllowedHeaders))
      .set("Access-Control-Max-Age", std::string(kPreflightSeconds));
  return response;
}

Response forbidden(const char* why) { return problem({Code::permission_denied, why}); }

}  // namespace

Admission guard(const GuardRules& rules, const Request& request) {
  Admission admission;
  if (!rules.allowed_origins.empty()) admission.headers.push_back({"Vary", "Origin"});
  if (!host_allowed(rules, request)) {
    admission.answer = forbidden("this server does not serve the host that the request names");
    return admission;
  }
  const std::string* origin = request.header("origin");
  if (origin != nullptr && origin_allowed(rules, *origin)) {
    admission.headers.push_back({"Access-Control-Allow-Origin", *origin});
    const bool preflight = request.method == Method::options &&
                           request.header("access-control-request-method") != nullptr;
    if (preflight) {
      admission.answer = preflight_answer();
    } else {
      admission.headers.push_back({"Access-Control-Expose-Headers", std::string(kExposedHeaders)});
    }
    return admission;
  }
  if (!is_safe(request.method) && is_foreign(rules, request)) {
    admission.answer = forbidden("a page of another origin may not change anything here");
  }
  return admission;
}

}  // namespace jack::http

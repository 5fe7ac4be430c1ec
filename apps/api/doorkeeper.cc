#include "apps/api/doorkeeper.h"

#include <algorithm>
#include <array>
#include <utility>

#include "apps/http/problem.h"
#include "apps/jules/legacy.h"
#include "apps/keys/api_key.h"
#include "apps/text/date.h"

namespace jack::api {
namespace {

constexpr std::array<std::string_view, 4> kOpenPaths = {"health", "healthz", "readyz",
                                                        "openapi.json"};
// Refusals come in floods.
constexpr std::chrono::seconds kLogEvery{10};

// Never from the URL, which ends up in logs.
const std::string* presented_key(const http::Request& request, std::string& scratch) {
  if (const std::string* key = request.header("x-api-key")) return key;
  const std::string* const authorization = request.header("authorization");
  constexpr std::string_view kBearer = "bearer ";
  if (authorization == nullptr || authorization->size() < kBearer.size() ||
      !http::same_name(std::string_view(*authorization).substr(0, kBearer.size()), kBearer)) {
    return nullptr;
  }
  scratch = authorization->substr(kBearer.size());
  return &scratch;
}

}  // namespace

Doorkeeper::Doorkeeper(DoorkeeperOptions options, std::shared_ptr<wire::KeyRing> keys,
                       std::shared_ptr<wire::LastUsed> last_used)
    : options_(std::move(options)), keys_(std::move(keys)), last_used_(std::move(last_used)) {}

bool Doorkeeper::is_open(const http::Request& request) {
  return request.segments.size() == 1 && std::find(kOpenPaths.begin(), kOpenPaths.end(),
                                                   request.segments.front()) != kOpenPaths.end();
}

http::Admission Doorkeeper::admit(const http::Request& request) {
  http::Admission admission = http::guard(options_.guard, request);
  if (admission.answer || is_open(request)) return admission;
  const Result<std::string> principal = principal_of(request);
  Error refusal;
  if (!principal) {
    refusal = principal.error();
  } else if (is_too_fast(*principal)) {
    refusal = {Code::rate_limited, "more than " + std::to_string(options_.requests_per_second_max) +
                                       " requests a second; try again later"};
  } else {
    admission.principal = *principal;
    return admission;
  }
  log_refusal(request, refusal);
  admission.answer = jules::is_legacy(request) ? jules::refusal(refusal) : http::problem(refusal);
  return admission;
}

// Once there are keys they are needed, also while the list cannot be read or all are revoked.
bool Doorkeeper::needs_key() {
  return options_.keys_required || !keys_->surely_has_no(wire::KeyKind::api);
}

Result<std::string> Doorkeeper::principal_of(const http::Request& request) {
  if (!needs_key()) return std::string();
  std::string scratch;
  const std::string* const presented = presented_key(request, scratch);
  if (presented == nullptr) return kKeyRequired;
  const std::shared_ptr<const wire::KeyTable> table = keys_->table();
  const WallTime now = app::wall_now();
  const Result<const wire::Key*> key = app::authenticate(*table, *presented, now);
  if (!key) return key.error();
  if (last_used_) last_used_->note((*key)->name, now);
  return (*key)->name;
}

// A bucket of tokens that holds what one second brings.
bool Doorkeeper::is_too_fast(const std::string& principal) {
  if (options_.requests_per_second_max == 0) return false;
  const double most = options_.requests_per_second_max;
  const Clock::time_point now = Clock::now();
  const auto [at, is_new] = buckets_.try_emplace(principal, Bucket{most, now});
  Bucket& bucket = at->second;
  const std::chrono::duration<double> passed = now - std::exchange(bucket.filled, now);
  bucket.tokens = std::min(most, bucket.tokens + passed.count() * most);
  if (bucket.tokens < 1) return true;
  bucket.tokens -= 1;
  return false;
}

// Without the key.
void Doorkeeper::log_refusal(const http::Request& request, const Error& error) {
  const Clock::time_point now = Clock::now();
  if (!options_.log) return;
  if (now - logged_ < kLogEvery) {
    ++unlogged_;
    return;
  }
  logged_ = now;
  std::string line = "HTTP: refused a request from " + request.peer + ": " + error.message;
  if (unlogged_ > 0) line += " (and " + std::to_string(std::exchange(unlogged_, 0)) + " before)";
  options_.log(LogLevel::warning, line);
}

}  // namespace jack::api

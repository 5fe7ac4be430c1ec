#include "apps/jules/client.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "apps/text/escape.h"

namespace jack::jules {
namespace {

constexpr int kDepthMax = 100;  // of an answer: it is printed by recursion
constexpr std::size_t kErrorColumnsMax = 300;

std::optional<Value> parse_answer(const std::string& text) {
  bool too_deep = false;
  const auto look = [&too_deep](int depth, Value::parse_event_t, const Value&) {
    too_deep = too_deep || depth > kDepthMax;
    return !too_deep;
  };
  Value value = Value::parse(text, look, false);
  if (too_deep || value.is_discarded()) return std::nullopt;
  return value;
}

Code code_of(int status) {
  switch (status) {
    case 401: return Code::unauthenticated;
    case 403: return Code::permission_denied;
    case 404: return Code::not_found;
    case 413: return Code::payload_too_large;
    case 429: return Code::rate_limited;
    case 500: return Code::internal;
    case 507: return Code::storage_full;
    default: break;
  }
  if (status >= 500) return Code::unavailable;
  return status >= 400 ? Code::invalid_argument : Code::unsupported;  // a redirect
}

// The server's own words: `error` of the API of before, `detail` of a problem document.
std::optional<std::string> complaint_of(const std::string& body) {
  const std::optional<Value> answer = parse_answer(body);
  if (!answer || !answer->is_object()) return std::nullopt;
  for (const char* name : {"error", "detail"}) {
    std::string text = text_of(*answer, name);
    if (!text.empty()) return text;
  }
  return std::nullopt;
}

Error refusal_of(const http::BaseUrl& url, const http::Response& response) {
  const std::string address = http::address_of(url);
  if (const std::optional<std::string> complaint = complaint_of(response.body)) {
    return {code_of(response.status),
            fmt::format("{} says: {}", address, app::cut_to(*complaint, kErrorColumnsMax))};
  }
  const auto is_location = [](const http::Field& field) {
    return http::same_name(field.name, "location");
  };
  const auto location = std::ranges::find_if(response.headers, is_location);
  if (response.status < 400 && location != response.headers.end()) {
    return {Code::unsupported,
            fmt::format("{} sends everybody to {}, which is not followed", address,
                        app::cut_to(location->value, kErrorColumnsMax))};
  }
  return {code_of(response.status),
          fmt::format("{} answered with status {}", address, response.status)};
}

bool is_object(const Value& value) { return value.is_object(); }

const Value& field_of(const Value& fields, std::string_view name) {
  static const Value nothing;
  const auto at = fields.find(std::string(name));
  return at == fields.end() ? nothing : *at;
}

// An answer of another shape is of something else than this API.
Result<Value> expect_shape(const http::BaseUrl& url, Result<Value> answer,
                           bool (*has_shape)(const Value&)) {
  if (!answer || has_shape(*answer)) return answer;
  return Error{Code::unavailable, fmt::format("{} gave an answer that is not one of the earlier "
                                              "server's",
                                              http::address_of(url))};
}

}  // namespace

Result<Value> Client::ask(http::Method method, std::string path, std::string body) {
  http::Call request{method, std::move(path), {{"Accept", "application/json"}}, std::move(body)};
  if (!request.body.empty()) request.headers.push_back({"Content-Type", "application/json"});
  if (!key_.empty()) request.headers.push_back({"X-API-Key", key_});
  const Result<http::Response> response = http::call(url_, request, limits_);
  if (!response) return response.error();
  if (response->status < 200 || response->status > 299) return refusal_of(url_, *response);
  std::optional<Value> answer = parse_answer(response->body);
  if (answer) return *std::move(answer);
  return Error{Code::unavailable,
               fmt::format("{} gave an answer that is not JSON", http::address_of(url_))};
}

Result<Value> Client::health() {
  return expect_shape(url_, ask(http::Method::get, "/health"), is_object);
}

Result<Value> Client::add(std::string_view text, std::string_view agent) {
  if (!app::is_utf8(text) || !app::is_utf8(agent)) {
    return Error{Code::invalid_argument, "only UTF-8 can be sent, and this is not"};
  }
  Value body = {{"task", text}};
  if (!agent.empty()) body["assigned_to"] = agent;
  return expect_shape(url_, ask(http::Method::post, "/add_task", body.dump()), is_object);
}

Result<Value> Client::tasks() {
  return expect_shape(url_, ask(http::Method::get, "/tasks"), [](const Value& answer) {
    return answer.is_array() && std::ranges::all_of(answer, is_object);
  });
}

Result<Value> Client::task(std::string_view id) {
  return expect_shape(url_, ask(http::Method::get, "/tasks/" + http::escaped_segment(id)),
                      [](const Value& answer) {
                        return answer.is_object() && field_of(answer, "data").is_object();
                      });
}

Result<Value> Client::results(std::size_t count_max) {
  const Result<Value> entries = tasks();
  if (!entries) return entries;
  Value found = Value::array();
  for (const Value& entry : *entries) {
    if (found.size() >= count_max) break;
    Result<Value> task = with_result(entry);
    if (!task) return task;
    if (!result_of(field_of(*task, "data")).is_null()) found.push_back(*std::move(task));
  }
  return found;
}

// As task() gives it, or null. The list of `jack serve` has no results, and that of the earlier
// server has no status for some.
Result<Value> Client::with_result(const Value& entry) {
  const std::string status = text_of(entry, "status");
  if (!status.empty() && status != "completed") return Value();
  const std::string id = text_of(entry, "id");
  if (!result_of(entry).is_null() || id.empty()) {
    Value task = {{"task_id", id}, {"data", entry}};
    return task;
  }
  Result<Value> answer = task(id);
  // Removed meanwhile, or in the earlier server's list alone.
  if (!answer && answer.error().code == Code::not_found) return Value();
  return answer;
}

const Value& result_of(const Value& fields) {
  static const Value nothing;
  if (!fields.is_object()) return nothing;
  for (const char* name : {"result", "response"}) {
    const Value& result = field_of(fields, name);
    if (!result.is_null() && result != "") return result;
  }
  return nothing;
}

std::string text_of(const Value& fields, std::string_view name) {
  const Value& field = field_of(fields, name);
  if (field.is_null()) return {};
  if (field.is_string()) return field.get<std::string>();
  return field.dump(-1, ' ', false, Value::error_handler_t::replace);
}

}  // namespace jack::jules

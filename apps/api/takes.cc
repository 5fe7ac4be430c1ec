#include "apps/api/takes.h"

#include <algorithm>
#include <string>

#include "apps/api/input.h"
#include "apps/http/problem.h"

namespace jack::api {
namespace {

using http::Request;
using http::Response;

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool is_type(std::string_view media_type, std::string_view wanted) {
  return http::same_name(trimmed(media_type.substr(0, media_type.find(';'))), wanted);
}

bool is_merge_patch(std::string_view media_type) {  // RFC 7396
  return is_type(media_type, "application/merge-patch+json");
}

bool is_form(std::string_view media_type) {
  return is_type(media_type, "application/x-www-form-urlencoded") ||
         is_type(media_type, "multipart/form-data");
}

// The parameter "charset" of a media type; empty without one.
std::string_view charset_of(std::string_view media_type) {
  for (std::size_t at = media_type.find(';'); at != media_type.npos;) {
    const std::size_t next = media_type.find(';', at + 1);
    const std::string_view parameter = media_type.substr(at + 1, next - at - 1);
    const std::size_t equals = std::min(parameter.find('='), parameter.size());
    if (http::same_name(trimmed(parameter.substr(0, equals)), "charset")) {
      std::string_view value = trimmed(parameter.substr(std::min(equals + 1, parameter.size())));
      if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
        value = value.substr(1, value.size() - 2);
      }
      return value;
    }
    at = next;
  }
  return {};
}

Response wrong(const InputError& error) { return http::problem(error.error, error.field); }

Response unsupported(const std::string& what, const char* field) {
  return http::problem(415, {Code::invalid_argument, what}, field);
}

std::optional<Response> wrong_body(Body takes, const Request& request) {
  if (takes == Body::none) {
    if (request.body.empty()) return std::nullopt;
    return wrong(wrong_input({}, "this request takes no body"));
  }
  const std::string* const coding = request.header("content-encoding");
  if (coding != nullptr && !coding->empty() && !http::same_name(*coding, "identity")) {
    return unsupported("the body must be sent as it is, without a Content-Encoding",
                       "Content-Encoding");
  }
  const std::string* const type = request.header("content-type");
  const bool is_patch = takes == Body::patch && type != nullptr && is_merge_patch(*type);
  const bool takes_raw = takes == Body::json_or_raw || takes == Body::task;
  if (is_raw(request) && !is_patch) {
    if (takes_raw && !is_form(*type)) return std::nullopt;
    return unsupported("the body of this request must be application/json", "Content-Type");
  }
  const std::string_view charset = type == nullptr ? std::string_view() : charset_of(*type);
  if (!charset.empty() && !http::same_name(charset, "utf-8")) {
    return unsupported("JSON is in UTF-8, whatever its charset says: application/json",
                       "Content-Type");
  }
  return std::nullopt;
}

std::optional<Response> wrong_query(const Takes& takes, const Request& request) {
  const bool has_fields = takes.body == Body::task && is_raw(request);
  for (auto at = request.query.begin(); at != request.query.end(); ++at) {
    const std::string& name = at->name;
    const bool is_known =
        has_fields || std::find(takes.query.begin(), takes.query.end(), name) != takes.query.end();
    if (!is_known) return wrong(wrong_input(name, "is not known here"));
    const auto is_same = [&](const http::Field& field) { return field.name == name; };
    if (std::any_of(request.query.begin(), at, is_same)) {
      return wrong(wrong_input(name, "is there twice"));
    }
  }
  return std::nullopt;
}

}  // namespace

bool is_json(std::string_view media_type) { return is_type(media_type, "application/json"); }

bool is_raw(const Request& request) {
  const std::string* const type = request.header("content-type");
  return type != nullptr && !is_json(*type) && !(request.body.empty() && is_form(*type));
}

std::optional<Response> refusal_of(const Takes& takes, const Request& request) {
  if (std::optional<Response> refusal = wrong_body(takes.body, request)) return refusal;
  return wrong_query(takes, request);
}

}  // namespace jack::api

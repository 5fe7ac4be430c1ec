#include "apps/http/problem.h"

#include <string>

#include <nlohmann/json.hpp>

namespace jack::http {

int status_of(Code code) {
  switch (code) {
    case Code::ok: return 200;
    case Code::invalid_argument: return 400;
    case Code::not_found: return 404;
    case Code::already_exists: return 409;
    case Code::lease_lost: return 409;
    case Code::payload_too_large: return 413;
    case Code::queue_full: return 429;
    case Code::storage_full: return 507;
    case Code::unavailable: return 503;
    case Code::unsupported: return 501;
    case Code::unauthenticated: return 401;
    case Code::permission_denied: return 403;
    case Code::failed_precondition: return 409;  // 412 is for preconditions in header fields
    case Code::position_gone: return 410;
    case Code::rate_limited: return 429;
    case Code::stopped: return 503;
    case Code::corruption: return 500;
    case Code::internal: return 500;
    // Not 408, which says that the *client* was slow, and which browsers repeat by themselves.
    case Code::timed_out: return 504;
  }
  return 500;
}

std::string_view reason_of(int status) {
  switch (status) {
    case 100: return "Continue";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 507: return "Insufficient Storage";
    default: return "Unknown";
  }
}

Response problem(const Error& error, std::string_view field) {
  return problem(status_of(error.code), error, field);
}

Response problem(int status, const Error& error, std::string_view field) {
  nlohmann::ordered_json json = {{"type", "about:blank"},
                                 {"title", reason_of(status)},
                                 {"status", status},
                                 {"detail", error.message},
                                 {"code", name_of(error.code)}};
  if (!field.empty()) json["field"] = field;

  Response response;
  response.status = status;
  // A message may quote what somebody sent; bytes that are not UTF-8 must not fail the answer.
  response.body = json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  response.set("Content-Type", "application/problem+json");
  if (status == 401) response.set("WWW-Authenticate", "Bearer");
  if (status == 429 || status == 503) response.set("Retry-After", "1");
  return response;
}

Response internal_problem() {
  return problem({Code::internal, "the server failed to answer; its log tells more"});
}

}  // namespace jack::http

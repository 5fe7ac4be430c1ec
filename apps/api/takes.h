// What a route takes of a request beside its path, declared where the route is added. All else is
// refused: it was meant to do something.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "apps/http/message.h"

namespace jack::api {

enum class Body : std::uint8_t {
  none,
  json,
  patch,        // JSON, or application/merge-patch+json
  json_or_raw,  // JSON, or any other media type but those of forms
  task,         // the same; the query of a raw one has the fields that JSON would have
};

struct Takes {
  std::vector<std::string_view> query;  // names of parameters, each there once at most
  Body body = Body::none;
};

// The answer to a request that has something else: 400, which names the parameter, or 415. That
// something is missing is for the route to find.
std::optional<http::Response> refusal_of(const Takes& takes, const http::Request& request);

// Whether a media type is that of JSON, with parameters or without.
bool is_json(std::string_view media_type);

// Whether the body is to be taken as it is: its media type is not JSON. Forms, which clients such
// as curl name when nobody chose a type, say nothing where there is no body.
bool is_raw(const http::Request& request);

}  // namespace jack::api

// The description of /v1 that the server serves: apps/api/openapi.json.
#pragma once

#include <string_view>

namespace jack::api {

// OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0), as JSON.
std::string_view openapi_document();

}  // namespace jack::api

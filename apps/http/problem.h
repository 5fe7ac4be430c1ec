// Errors as answers: application/problem+json (RFC 9457).
#pragma once

#include <string_view>

#include <jack_engine/error.h>

#include "apps/http/message.h"

namespace jack::http {

// The status that says over HTTP what `code` says elsewhere.
int status_of(Code code);

// "Not Found" for 404; "Unknown" for a status that this server does not use.
std::string_view reason_of(int status);

// {"type": "about:blank", "title", "status", "detail": the error's message, "code": its name}, and
// "field" where one part of the request is to blame. 401 comes with WWW-Authenticate, 429 and 503
// with `Retry-After: 1`.
Response problem(const Error& error, std::string_view field = {});

// The same where HTTP has a status of its own for what is wrong, such as 405.
Response problem(int status, const Error& error, std::string_view field = {});

// Where a handler failed.
Response internal_problem();

}  // namespace jack::http

// The paths of the API of before ("Jules"), and how it says no.
#pragma once

#include <string_view>

#include <jack_engine/error.h>

#include "apps/http/message.h"

namespace jack::jules {

// Whether a request is for a path of that API, known or not.
bool is_legacy(const http::Request& request);

// {"error": TEXT}
http::Response failure(int status, std::string_view text);

// The same for an error of today, in the words of before where there were any.
http::Response refusal(const Error& error);

}  // namespace jack::jules

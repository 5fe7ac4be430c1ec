// Where a payload comes from.
#pragma once

#include <optional>
#include <string>

#include <jack_engine/error.h>

namespace jack::app {

// `argument` as it is, all of standard input where it is "-", or the file; nothing at all is an
// empty payload.
// Errors: payload_too_large  beyond what any engine takes; no more than that is read
//         invalid_argument   it cannot be read
Result<std::string> read_payload(const std::optional<std::string>& argument,
                                 const std::optional<std::string>& file);

}  // namespace jack::app

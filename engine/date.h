// Dates as RFC 3339 writes them: "2026-01-31T12:00:00Z", "2026-01-31T13:00:00.250+01:00".
#pragma once

#include <string>
#include <string_view>

#include <jack_engine/error.h>
#include <jack_engine/time.h>

namespace jack {

// Date and time with "Z" or an offset; a blank may stand for the T. Digits of a second beyond the
// third are cut off, and a leap second is the second after it.
// Errors: invalid_argument
Result<WallTime> parse_date(std::string_view text);

// In UTC, with milliseconds: "2026-01-31T12:00:00.250Z".
std::string date_text(WallTime at);

}  // namespace jack

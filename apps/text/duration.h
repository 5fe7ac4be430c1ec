// Durations as people write them: "500ms", "10s", "5m", "2h", "3d", "1h30m".
#pragma once

#include <string>
#include <string_view>

#include <jack_engine/error.h>
#include <jack_engine/time.h>

#include "engine/format/duration.h"

namespace jack::app {

// Whole numbers with units, largest first or not; "0" alone needs no unit. At most 100 years.
// Errors: invalid_argument
Result<Duration> parse_duration(std::string_view text);

// What parse_duration() reads back as the same duration.
using jack::exact_text;

// For people to read at a glance, the two largest units: "3d 4h", "1m 5s", "1.2s", "15ms".
std::string short_text(Duration duration);

}  // namespace jack::app

// Dates as they are read and printed.
#pragma once

#include <string>

#include <jack_engine/time.h>

#include "engine/date.h"

namespace jack::app {

using jack::date_text;
using jack::parse_date;

// By this host's clock.
WallTime wall_now();

// For people, in this host's time zone: "2026-01-31 13:00:00".
std::string local_date_text(WallTime at);

}  // namespace jack::app

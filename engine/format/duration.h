// Durations as people write them.
#pragma once

#include <string>

#include <jack_engine/time.h>

namespace jack {

// "90s" is "1m30s", nothing is "0s". apps/text/duration.h reads it back as the same duration.
std::string exact_text(Duration duration);

}  // namespace jack

// Names of facts about an engine that others of its program go by; Loop::answer_info() gives them.
#pragma once

#include <string_view>

namespace jack::fact_names {

inline constexpr std::string_view kState = "state";
inline constexpr std::string_view kRunning = "running";     // a state: it takes work
inline constexpr std::string_view kAppendMs = "append_ms";  // how long an entry is on its way
inline constexpr std::string_view kFlushMs = "flush_ms";    // how long one waits for the store

}  // namespace jack::fact_names

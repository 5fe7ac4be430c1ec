// JSON from strangers.
#pragma once

#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include <jack_engine/error.h>

namespace jack::app {

inline constexpr int kJsonDepthMax = 32;
inline constexpr std::size_t kJsonValuesMax = 200'000;  // of a batch of tasks with headers

// Exactly one value (RFC 8259), in time that grows with the length of the text, whatever is in it.
// Pure.
// Errors: invalid_argument  not JSON, not UTF-8, nested too deep, too many values, a name that is
//                           there twice in one object, a whole number beyond 2^53; the message says
//                           what
Result<nlohmann::ordered_json> parse_json(std::string_view text);

}  // namespace jack::app

// The version of the library and the formats it speaks.
#pragma once

#include <string_view>

namespace jack {

// "0.1.0". Any thread.
std::string_view version();

}  // namespace jack

// Bytes as text: RFC 4648, with padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace jack::app {

std::string base64(std::string_view bytes);

// Nothing where it is not base64: other characters, blanks, padding that is wrong or missing.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace jack::app

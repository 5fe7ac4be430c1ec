// What a request asks for: its path and query, taken apart and decoded.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/http/message.h"

namespace jack::http {

struct Target {
  std::vector<std::string> segments;
  std::vector<Field> query;
};

// `text` is a path that begins with '/' and perhaps a query; '+' in a query is a space. Segments
// are split before they are decoded, so that %2F stays inside one. None if an escape is not "%" and
// two hexadecimal digits, if what it stands for is NUL or not UTF-8, or if a segment is "." or
// "..".
std::optional<Target> parse_target(std::string_view text);

}  // namespace jack::http

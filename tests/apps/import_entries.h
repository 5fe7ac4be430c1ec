// What the tests of imports share: entries as the earlier server wrote them, and how problems read.
#pragma once

#include <string>
#include <vector>

#include "apps/import/entry.h"

namespace jack::app {

using Lines = std::vector<std::string>;

// An entry; `more` is what else it has, from a comma on.
inline std::string task(const std::string& text, const std::string& more = "") {
  return "{\"task\": \"" + text + "\", \"created\": \"2025-07-01T18:47:04Z\"" + more + "}";
}

// "3:7 message", "!" before one that costs nothing.
inline Lines problems_of(const std::vector<Problem>& problems) {
  Lines lines;
  for (const Problem& problem : problems) {
    lines.push_back((problem.left_out ? "" : "!") + std::to_string(problem.line) + ":" +
                    std::to_string(problem.column) + " " + problem.message);
  }
  return lines;
}

}  // namespace jack::app

// What `jack import` says in the end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/import/plan.h"
#include "apps/json.h"
#include "apps/text/table.h"

namespace jack::app {

struct ImportSummary {
  std::vector<PlannedFile> files;
  std::uint64_t others = 0;  // files of another kind
  bool dry_run = false;      // what would be imported counts as imported
};

// A line per file, and one for all where there are several.
std::string text_of(const ImportSummary& summary, const TableStyle& style);
Json json_of(const ImportSummary& summary);

// "FILE:LINE:COLUMN: MESSAGE" for each problem, as far as people read on.
std::vector<std::string> complaints_of(const PlannedFile& file);

}  // namespace jack::app

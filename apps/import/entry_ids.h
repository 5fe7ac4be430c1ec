// The ids of imported tasks, which follow from the entries alone: so that importing a file again,
// or going on after a crash, submits the same tasks.
#pragma once

#include <string_view>
#include <vector>

#include <jack_engine/id.h>

#include "apps/import/entry.h"

namespace jack::app {

// Of an entry of this year, the id says this much earlier. An engine judges by the time in an id
// whether it could be a repeat of one that it has forgotten: those that it gave out itself must not
// get in the way of entries that were made in the same hours and are new to it. And an engine
// refuses ids of the future, which an entry may have from a clock that was wrong.
inline constexpr std::chrono::days kImportedIdsBack{10'957};  // 30 years: 2000 is 1970
// No imported task has an id of this time or later.
inline constexpr WallTime kImportedIdsEnd{std::chrono::days{40 * 365 + 10}};  // 2010-01-01

// One per entry, all different. They depend on the kind and the name of the file, but not on its
// folder; on agent, sender, old id, date and text of the entry, but not on whether it is completed;
// and on how many such entries stand before it in the file. So they stay when entries are added
// behind, and when the folder is moved. Part of the formats: never change.
std::vector<TaskId> ids_of(const ParsedFile& file, std::string_view file_name);

}  // namespace jack::app

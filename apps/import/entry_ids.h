// The ids of imported tasks, which follow from the entries alone: so that importing a file again,
// or going on after a crash, submits the same tasks.
#pragma once

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

// One per entry, all different. They depend on agent, sender, date and text of the entry, on how
// many such entries stand before it in the file, and on whether it is a task or a message. So they
// stay when entries are added behind, when files are moved or renamed, and when a task is
// completed.
//
// The earlier server kept a task that was assigned twice: in the list of all tasks and in that of
// its agent. Both entries have the same id here, whichever of them is seen first. The id that the
// old server gave is no part of it, because older entries have it in one of the files at most.
//
// Part of the formats: never change.
std::vector<TaskId> ids_of(const ParsedFile& file);

}  // namespace jack::app

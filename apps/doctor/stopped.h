// The deep checks of a data directory that no engine uses.
#pragma once

#include <optional>
#include <string>

#include <jack_engine/durability.h>
#include <jack_engine/error.h>

#include "apps/descriptor.h"
#include "apps/doctor/findings.h"

namespace jack::app {

// Keeps engines out of the directory for as long as it is held; nothing where one is in it. The
// lock is made where a copy of the directory lacks it.
// Errors: not_found, permission_denied
Result<std::optional<Descriptor>> lock_directory(const std::string& data_dir);

// With the lock held, as an engine of this durability would see it. Opens the files as an engine
// would, which undoes what a crash left half written, and changes nothing else:
//   structure  of both files, page by page
//   values     of the task store, each against its seal
//   journal    every entry has the checksum that it was written with
//   state      built from the store and the entries behind it; its sums are those of the store
//   replay     where the journal goes back to the first entry: built from nothing, it is the same
void check_stopped(const std::string& data_dir, Durability durability, Findings& findings);

}  // namespace jack::app

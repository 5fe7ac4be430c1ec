// What can be checked while an engine runs.
#pragma once

#include <string>

#include <jack_engine/client.h>

#include "apps/doctor/findings.h"

namespace jack::app {

// What the engine says about itself.
void check_engine(const ClientOptions& options, Findings& findings);

// The structure of the task store, and each of its values, also beside an engine that writes it.
// The journal is the engine's alone while it runs.
void check_store(const std::string& data_dir, Findings& findings);

}  // namespace jack::app

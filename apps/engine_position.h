// Where an engine is in its journal.
#pragma once

#include <jack_engine/client.h>
#include <jack_engine/error.h>
#include <jack_engine/id.h>

namespace jack::app {

// Behind everything that has happened so far: a watch after it sees what happens from now on.
// Errors: those of Client::info()
Result<Position> position_now(Client& client);

}  // namespace jack::app

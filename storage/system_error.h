// What the system refused, as one of our errors.
#pragma once

#include <string>

#include <jack_engine/error.h>

namespace jack {

// `what` could not be done because of `number`, an errno.
//   storage_full       the disk or a quota is full
//   permission_denied  a file or folder of somebody else, or a closed one
//   unavailable        anything else
Error system_error(const std::string& what, int number);

// Because of the present errno.
Error system_error(const std::string& what);

}  // namespace jack

#include "storage/system_error.h"

#include <cerrno>
#include <system_error>

namespace jack {

Error system_error(const std::string& what, int number) {
  const std::string text = what + ": " + std::generic_category().message(number);
  switch (number) {
    case ENOSPC:
    case EDQUOT: return {Code::storage_full, text};
    case EACCES:
    case EPERM:
      return {Code::permission_denied, text +
                                           "; it, or the folder it is in, belongs to somebody "
                                           "else or is closed to you"};
    default: return {Code::unavailable, text};
  }
}

Error system_error(const std::string& what) { return system_error(what, errno); }

}  // namespace jack

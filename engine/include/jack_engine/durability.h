// What an acknowledged submit survives on this host.
#pragma once

#include <cstdint>

namespace jack {

// full:   an accepted task survives power loss (the default).
// normal: an accepted task survives a crash of the process. After power loss, or a crash of the
//         operating system, what was accepted or settled since the journal's last checkpoint or the
//         store's last flush, whichever came later, can be gone although the caller was told that
//         it succeeded. That is a matter of seconds or of a few MiB of journal; what remains is
//         whole and in order.
enum class Durability : std::uint8_t { full = 0, normal = 1 };

}  // namespace jack

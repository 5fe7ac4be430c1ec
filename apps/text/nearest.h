// Which known word somebody probably meant.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jack::app {

// The word that takes the fewest changed, added, left out or swapped characters to become; the
// first of equals. Nothing where even that one differs in more than a third of its characters.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace jack::app

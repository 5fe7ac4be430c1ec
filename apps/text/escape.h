// Text of unknown origin made fit for a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace jack::app {

// Control characters and bytes that are not UTF-8 become "\n", "\t" or "\x1b": what somebody put
// into a task must not move the cursor or change the title of the window of whoever looks at it.
std::string escaped(std::string_view text);

// The same, with line feeds and tabs kept.
std::string escaped_lines(std::string_view text);

// Columns that the text takes on a terminal, as far as that is one per character.
std::size_t width_of(std::string_view text);

// At most `columns` wide; "…" stands for what was cut off.
std::string cut_to(std::string_view text, std::size_t columns);

// Whether all of it is UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool is_utf8(std::string_view text);

}  // namespace jack::app

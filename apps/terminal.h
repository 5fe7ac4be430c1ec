// What the program may assume about who reads its output, and how it complains.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <jack_engine/error.h>

#include "apps/exit_status.h"
#include "apps/text/table.h"

namespace jack::app {

enum class Stream { output, errors };

bool is_terminal(Stream stream);

// Colours go to terminals only, and not where NO_COLOR is set to anything or TERM is "dumb".
bool has_colour(Stream stream);

// Columns of the terminal on standard output; 0 where it is none.
std::size_t terminal_columns();

// How tables are printed on standard output.
TableStyle table_style();

// Writes to standard output. The end of the program checks that all of it got there. This and the
// two below: one thread.
void print(std::string_view text);

// Sends off what was printed. Gives whether all of it got there so far.
bool flush_printed();

// The errno of the first of these that failed; 0: none has.
int print_error();

// Before any thread starts: what lines of complaint begin with, "jack submit".
void set_complainer(std::string name);

// The line that complain() writes: "jack submit: …" and a line feed.
std::string complaint(std::string_view message);

// One line on standard error, in one write; nothing where that is full and nobody reads it for a
// second. Any thread.
void complain(std::string_view message);

// The same for a text that may take several lines.
void complain_lines(std::string_view text);

// The same for an error. Returns the status to end with.
ExitStatus complain(const Error& error);

}  // namespace jack::app

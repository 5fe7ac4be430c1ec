// The formats of the files that the earlier server and its agents kept.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <jack_engine/error.h>

#include "apps/import/entry.h"

namespace jack::app {

// tasks.json and agent_tasks.json, told apart by what they begin with:
//
//   [{"task": "text", "created": "2025-07-01T18:47:04Z", "id": 7, "assigned_to": "agent"}, …]
//   {"agent": [{"id": 7, "task": "text", "created": "…", "status": "completed",
//               "response": "text"}, …], …}
//
// Only "task" is required; `status` and `response` count in both. What else there is, is passed
// over. An entry that cannot be read is a problem of its own. Where the file breaks off, or its
// syntax is at fault, the entries before that stand.
ParsedFile parse_json_file(std::string_view json);

// Who writes to whom.
struct Mailbox {
  std::string from;
  std::string to;
};

// "ada-to-bob.md".
// Errors: not_found         the name of another kind of file
//         invalid_argument  it can be read in two ways
Result<Mailbox> mailbox_of(std::string_view file_name);

// Entries are a line that begins with a timestamp and the lines up to the next such:
//
//   2025-07-01T18:47:04Z - text
//
// Blank lines around a text are not part of it. Before the first entry only headings may stand.
ParsedFile parse_mailbox(const Mailbox& mailbox, std::string_view text);

// Editors of some systems put it before UTF-8.
std::string_view without_byte_order_mark(std::string_view text);

// What files of either kind say when an entry was made: RFC 3339, or the same without a time zone,
// which is UTC then.
std::optional<WallTime> entry_time(std::string_view created);

}  // namespace jack::app

// Files that agents wrote, often by hand, and that may be cut off or hold anything: as JSON and as
// a mailbox.
#include <algorithm>
#include <set>

#include "apps/import/entry_ids.h"
#include "apps/import/parse.h"
#include "apps/text/escape.h"
#include "tests/fuzz/target.h"

namespace jack {
namespace {

using app::Entry;
using app::ParsedFile;

bool is_fit(const Entry& entry) {
  return !entry.text.empty() && app::is_utf8(entry.text) && app::is_utf8(entry.agent) &&
         app::is_utf8(entry.id) && app::is_utf8(entry.created) &&
         app::is_utf8(entry.response.value_or(""));
}

void check(const ParsedFile& file, std::string_view bytes) {
  const auto lines = static_cast<std::uint64_t>(std::ranges::count(bytes, '\n')) + 1;
  for (const app::Problem& problem : file.problems) {
    JACK_ASSERT(problem.line <= lines && !problem.message.empty());
  }
  std::uint64_t line = 1;
  for (const Entry& entry : file.entries) {
    JACK_ASSERT(is_fit(entry) && entry.line >= line && entry.line <= lines);
    line = entry.line;
  }
  const std::vector<TaskId> ids = app::ids_of(file);
  JACK_ASSERT(std::set(ids.begin(), ids.end()).size() == ids.size());
}

}  // namespace

void fuzz(std::string_view bytes) {
  const ParsedFile json = app::parse_json_file(bytes);
  check(json, bytes);
  check(app::parse_mailbox({"ada", "bob"}, bytes), bytes);

  // What is cut off costs nothing that stands before it.
  const ParsedFile half = app::parse_json_file(bytes.substr(0, bytes.size() / 2));
  JACK_ASSERT(half.kind != json.kind || half.entries.size() <= json.entries.size());
  for (std::size_t i = 0; half.kind == json.kind && i < half.entries.size(); ++i) {
    JACK_ASSERT(half.entries[i].text == json.entries[i].text);
  }
}

}  // namespace jack

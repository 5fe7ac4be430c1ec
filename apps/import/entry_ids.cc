#include "apps/import/entry_ids.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "engine/format/pack.h"

namespace jack::app {
namespace {

// Entries without a date count as made then.
constexpr WallTime kNoDate{std::chrono::sys_days{std::chrono::year{2020} / 1 / 1}};

// A message is no task, even if somebody was also given its text to do.
std::string_view name_of(FileKind kind) { return kind == FileKind::mailbox ? "message" : "task"; }

WallTime time_of(const Entry& entry) {
  return std::clamp(entry.time.value_or(kNoDate) - kImportedIdsBack, WallTime{},
                    kImportedIdsEnd - Duration{1});
}

}  // namespace

std::vector<TaskId> ids_of(const ParsedFile& file) {
  std::vector<TaskId> ids;
  ids.reserve(file.entries.size());
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> seen;
  std::string facts;
  for (const Entry& entry : file.entries) {
    facts.clear();
    Packer(facts)
        .text(name_of(file.kind))
        .text(entry.agent)
        .text(entry.from)
        .text(entry.created)
        .text(entry.text);
    const XXH128_hash_t content = XXH3_128bits(facts.data(), facts.size());
    const std::uint64_t before = seen[{content.high64, content.low64}]++;
    Packer(facts).u64(before);
    const XXH128_hash_t digest = XXH3_128bits(facts.data(), facts.size());
    ids.push_back(TaskId::from(time_of(entry), digest.high64, digest.low64));
  }
  return ids;
}

}  // namespace jack::app

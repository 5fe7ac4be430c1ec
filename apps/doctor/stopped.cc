#include "apps/doctor/stopped.h"

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/doctor/running.h"
#include "engine/state/state.h"
#include "storage/journal_table.h"
#include "storage/task_store.h"

namespace jack::app {
namespace {

// Of the journal at a time.
constexpr std::uint64_t kReadBytes = 8 << 20;

// Finds what the store holds; without a store, nothing is ever forgotten and nothing need be found.
class StoreArchive final : public Archive {
 public:
  explicit StoreArchive(TaskStore* store) : store_(store) {}
  Result<std::optional<StoredTask>> find(const TaskId& id) override {
    if (store_ == nullptr) return std::optional<StoredTask>();
    return store_->find(id);
  }

 private:
  TaskStore* store_;
};

// Applies all entries behind the state's own index. Gives how many there were.
Result<std::uint64_t> apply_rest(State& state, JournalTable& journal) {
  Outcomes outcomes;
  std::vector<JournalEntry> entries;
  std::uint64_t applied = 0;
  while (state.index() < journal.last()) {
    entries.clear();
    if (Result<void> read = journal.read(state.index(), kReadBytes, entries); !read) {
      return read.error();
    }
    for (const JournalEntry& entry : entries) {
      if (Result<void> done = state.apply(entry.index, entry.bytes, outcomes); !done) {
        return done.error();
      }
      ++applied;
    }
  }
  return applied;
}

// Reading an entry checks the row, applying it the checksum; entries that the store has already are
// only read.
Result<std::string> check_journal(JournalTable& journal) {
  if (journal.first() > journal.last()) return std::string("empty");
  std::vector<JournalEntry> entries;
  for (Index after = journal.first() - 1; after < journal.last();) {
    entries.clear();
    if (Result<void> read = journal.read(after, kReadBytes, entries); !read) return read.error();
    after = entries.back().index;
  }
  return fmt::format("entries {} to {}, none missing", journal.first(), journal.last());
}

struct Rebuilt {
  std::uint64_t hash = 0;
  Index index = 0;
};

Result<Rebuilt> check_state(TaskStore& store, JournalTable& journal, Findings& findings) {
  StoreArchive archive(&store);
  State state(archive);
  if (Result<void> loaded = state.load(store); !loaded) return loaded.error();
  const Index stored = state.index();
  if (journal.first() > stored + 1) {
    return Error{Code::corruption,
                 fmt::format("the store ends at entry {}, and the journal begins at {}: what is "
                             "between them is lost. Restore a backup",
                             stored, journal.first())};
  }
  const Result<std::uint64_t> applied = apply_rest(state, journal);
  if (!applied) return applied.error();
  const Rebuilt rebuilt{state.hash(), state.index()};
  findings.tell("state",
                fmt::format("built from the store at entry {} and {} entries of the journal: "
                            "hash {:016x} at {}, {} unfinished tasks",
                            stored, *applied, rebuilt.hash, rebuilt.index, state.unfinished()));
  return rebuilt;
}

Result<std::string> check_replay(JournalTable& journal, const Rebuilt& rebuilt) {
  if (journal.first() != 1) {
    return std::string(
        "not possible: the journal does not go back to the first entry (journal.keep)");
  }
  StoreArchive nothing(nullptr);
  State state(nothing);
  if (const Result<std::uint64_t> applied = apply_rest(state, journal); !applied) {
    return applied.error();
  }
  if (state.hash() == rebuilt.hash) {
    return fmt::format("from the first entry gives the same hash at {}", rebuilt.index);
  }
  return Error{
      Code::corruption,
      fmt::format("from the first entry gives hash {:016x} at {}, the store {:016x}: one of "
                  "them is damaged. Keep a copy of the directory and report this",
                  state.hash(), rebuilt.index, rebuilt.hash)};
}

// A copy of an engine's directory may be without its lock, which keeps an engine from starting
// amid a look. Leaves errno behind where there is none to be made.
Descriptor make_lock(const std::string& data_dir, const std::string& path) {
  struct stat owner {};
  if (::stat((data_dir + "/engine.id").c_str(), &owner) != 0) return Descriptor();
  Descriptor lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  // Its engine is to be able to open it, whoever looks.
  if (lock && ::geteuid() == 0 && ::fchown(lock.get(), owner.st_uid, owner.st_gid) != 0) {
    return Descriptor();
  }
  return lock;
}

}  // namespace

Result<std::optional<Descriptor>> lock_directory(const std::string& data_dir) {
  const std::string path = data_dir + "/lock";
  Descriptor lock(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!lock && errno == ENOENT) lock = make_lock(data_dir, path);
  if (!lock) {
    const Code code = errno == ENOENT ? Code::not_found : Code::permission_denied;
    return Error{code, fmt::format("{} is no data directory, or not yours: {}", data_dir,
                                   std::strerror(errno))};
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return std::optional<Descriptor>();
  return std::optional<Descriptor>(std::move(lock));
}

void check_stopped(const std::string& data_dir, Durability durability, Findings& findings) {
  JournalTableOptions journal_options;
  journal_options.path = data_dir + "/journal.db";
  journal_options.durability = durability;
  Result<std::unique_ptr<JournalTable>> journal = JournalTable::open(journal_options);
  if (!journal) findings.complain("journal", journal.error());
  TaskStoreOptions store_options;
  store_options.path = data_dir + "/tasks.db";
  Result<std::unique_ptr<TaskStore>> store = TaskStore::open(store_options);
  if (!store) findings.complain("task store", store.error());
  if (store) check_store(data_dir, findings);
  if (!journal || !store) return;

  const std::string& lost = (*journal)->database().warning();
  if (!lost.empty()) findings.tell("end of the journal", lost);
  const Result<void> structure = (*journal)->database().quick_check();
  findings.tell("structure of the journal",
                structure ? Result<std::string>("whole") : Result<std::string>(structure.error()));
  findings.tell("journal", check_journal(**journal));
  const Result<Rebuilt> rebuilt = check_state(**store, **journal, findings);
  if (!rebuilt) return findings.complain("state", rebuilt.error());
  findings.tell("replay", check_replay(**journal, *rebuilt));
}

}  // namespace jack::app

// The journal on this host's disk, for one engine.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include <jack_engine/durability.h>

#include "engine/guarded_by.h"
#include "engine/transport.h"
#include "storage/data_directory.h"
#include "storage/journal_table.h"
#include "storage/wake_up.h"

namespace jack {

struct LocalTransportOptions {
  std::string path;  // of journal.db
  Durability durability = Durability::full;
  bool keep_all = false;  // trim() does nothing: the journal is a full record
  // Its reserve is given back when an append finds no room. Outlives the transport; may be null.
  DataDirectory* directory = nullptr;
  std::int64_t wal_bytes = JournalTableOptions{}.wal_bytes;
  std::string vfs;
};

// Commits in a thread of its own. The loop makes the groups: whatever arrives while one append is
// under way is the next entry. That thread also reads, trims and copies the WAL, but only while no
// append waits.
class LocalTransport final : public Transport {
 public:
  // Errors: as Database::open
  static Result<std::unique_ptr<LocalTransport>> open(const LocalTransportOptions& options);

  LocalTransport(const LocalTransport&) = delete;
  LocalTransport& operator=(const LocalTransport&) = delete;
  ~LocalTransport() override;  // an append that is under way is finished first

  // Reading after an index above head() makes head() that index: what the store holds is in order
  // and complete, so a journal that lost its tail (durability normal, power loss) goes on behind
  // it.
  Result<void> read_from(Index after) override;
  Index head() const override;
  AppendTicket append(Buffer entry) override;
  void poll(Polled& out) override;
  int descriptor() const override { return wake_loop_.descriptor(); }
  void trim(Index index) override;
  Capabilities capabilities() const override;
  std::string guarantee() const override;

  // What opening it found that people should hear of: a tail that was lost (durability normal).
  const std::string& warning() const { return warning_; }

 private:
  struct Append {
    AppendTicket ticket = 0;
    Buffer entry;
  };
  // What the thread does next; the most urgent first.
  enum class Work { begin_reading, set_trim, append, stop, read, trim };

  LocalTransport(std::unique_ptr<JournalTable> table, const LocalTransportOptions& options);

  // On the thread.
  void run();
  Work wait_for_work();
  std::optional<Work> next_work() const;  // with mutex_ held
  void do_append();
  Result<void> append_with_reserve(std::string_view bytes);
  void do_begin_reading();
  void do_read();
  void do_set_trim();
  void do_trim();
  void do_checkpoint();
  void publish(AppendFate fate, const Append& append);
  void fail(Error error);

  const LocalTransportOptions options_;
  const std::string warning_;
  WakeUp wake_loop_;

  // The loop's.
  AppendTicket last_ticket_ = 0;
  bool append_under_way_ = false;

  // The thread's.
  std::unique_ptr<JournalTable> table_;
  Index next_read_ = 1;                           // what poll() yields next
  std::optional<AppendFate> fate_after_reading_;  // of the entry last(), which is not read yet
  bool trim_waits_ = false;                       // it found no room; the next append tries again

  // Between the two.
  mutable std::mutex mutex_;
  std::condition_variable wake_thread_;
  std::optional<Append> append_ JACK_GUARDED_BY(mutex_);
  std::optional<Index> read_after_ JACK_GUARDED_BY(mutex_);
  std::optional<Index> trim_to_ JACK_GUARDED_BY(mutex_);
  Index first_ JACK_GUARDED_BY(mutex_) = 1;
  Index head_ JACK_GUARDED_BY(mutex_) = 0;
  Polled ready_ JACK_GUARDED_BY(mutex_);
  std::optional<Error> failed_ JACK_GUARDED_BY(mutex_);
  bool stop_ JACK_GUARDED_BY(mutex_) = false;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace jack

#include "transports/local/local_transport.h"

#include <iterator>
#include <utility>

#include "engine/assert.h"
#include "engine/thread_name.h"

namespace jack {
namespace {

// What one poll() yields while the loop catches up: enough to keep it busy while the next batch is
// read, little enough not to matter in memory.
constexpr std::uint64_t kBatchBytes = 4 << 20;

constexpr std::uint64_t kEntryBytesMax = Capabilities{}.entry_bytes_max;

}  // namespace

Result<std::unique_ptr<LocalTransport>> LocalTransport::open(const LocalTransportOptions& options) {
  JournalTableOptions file;
  file.path = options.path;
  file.durability = options.durability;
  file.entry_bytes_max = kEntryBytesMax;
  file.wal_bytes = options.wal_bytes;
  file.vfs = options.vfs;
  Result<std::unique_ptr<JournalTable>> table = JournalTable::open(file);
  if (!table) return table.error();
  return std::unique_ptr<LocalTransport>(new LocalTransport(std::move(*table), options));
}

LocalTransport::LocalTransport(std::unique_ptr<JournalTable> table,
                               const LocalTransportOptions& options)
    : options_(options),
      warning_(table->database().warning()),
      table_(std::move(table)),
      next_read_(table_->last() + 1),
      first_(table_->first()),
      head_(table_->last()),
      thread_([this] { run(); }) {}

LocalTransport::~LocalTransport() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_thread_.notify_one();
  thread_.join();
}

Result<void> LocalTransport::read_from(Index after) {
  {
    const std::lock_guard lock(mutex_);
    if (failed_) return *failed_;
    if (after + 1 < first_) {
      return Error{Code::position_gone, "the journal begins with entry " + std::to_string(first_) +
                                            ", those after " + std::to_string(after) +
                                            " have been trimmed"};
    }
    if (after > head_) head_ = after;
    read_after_ = after;
    ready_.entries.clear();
    ready_.failed.reset();
  }
  wake_thread_.notify_one();
  return {};
}

Index LocalTransport::head() const {
  const std::lock_guard lock(mutex_);
  return head_;
}

AppendTicket LocalTransport::append(Buffer entry) {
  JACK_ASSERT(!append_under_way_);
  JACK_ASSERT(entry->size() <= kEntryBytesMax);
  append_under_way_ = true;
  const AppendTicket ticket = ++last_ticket_;
  {
    const std::lock_guard lock(mutex_);
    append_ = Append{ticket, std::move(entry)};
  }
  wake_thread_.notify_one();
  return ticket;
}

void LocalTransport::poll(Polled& out) {
  Polled ready;
  {
    const std::lock_guard lock(mutex_);
    wake_loop_.clear();
    std::swap(ready, ready_);
  }
  if (!ready.entries.empty()) wake_thread_.notify_one();  // there may be more to read
  if (!ready.fates.empty()) append_under_way_ = false;
  std::move(ready.entries.begin(), ready.entries.end(), std::back_inserter(out.entries));
  std::move(ready.fates.begin(), ready.fates.end(), std::back_inserter(out.fates));
  if (ready.failed) out.failed = std::move(ready.failed);
}

void LocalTransport::trim(Index index) {
  if (options_.keep_all) return;
  {
    const std::lock_guard lock(mutex_);
    trim_to_ = index;
  }
  wake_thread_.notify_one();
}

Capabilities LocalTransport::capabilities() const {
  return {.shared = false, .repairs_tail = false, .entry_bytes_max = kEntryBytesMax};
}

std::string LocalTransport::guarantee() const {
  if (options_.durability == Durability::full) {
    return "what was accepted survives a crash and power loss, as long as this host's disk does";
  }
  return "what was accepted survives a crash of the engine; power loss can take what was accepted "
         "or settled since the last checkpoint";
}

void LocalTransport::run() {
  name_thread("jack-journal");
  for (;;) {
    switch (wait_for_work()) {
      case Work::begin_reading: do_begin_reading(); break;
      case Work::append: do_append(); break;
      case Work::read: do_read(); break;
      case Work::set_trim: do_set_trim(); break;
      case Work::trim:
        do_trim();
        do_checkpoint();
        break;
      case Work::stop:
        table_.reset();  // closes the file on the thread that used it
        return;
    }
  }
}

LocalTransport::Work LocalTransport::wait_for_work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (const std::optional<Work> work = next_work()) return *work;
    wake_thread_.wait(lock);
  }
}

std::optional<LocalTransport::Work> LocalTransport::next_work() const {
  // Reading may move the head, which the next append must stand behind.
  if (read_after_) return Work::begin_reading;
  if (trim_to_) return Work::set_trim;
  if (append_) return Work::append;
  if (stop_) return Work::stop;
  if (failed_) return std::nullopt;
  if (ready_.entries.empty() && next_read_ <= table_->last()) return Work::read;
  if (table_->has_to_trim() && !trim_waits_) return Work::trim;
  return std::nullopt;
}

void LocalTransport::do_append() {
  Append append;
  std::optional<Error> failed;
  {
    const std::lock_guard lock(mutex_);
    append = std::move(*append_);
    append_.reset();
    failed = failed_;
  }
  if (failed) {
    publish({append.ticket, *failed, true}, append);  // it was not even tried
    return;
  }

  Result<void> written = append_with_reserve(*append.entry);
  if (written) {
    publish({append.ticket, {}, true}, append);
    trim_waits_ = false;
    do_checkpoint();
    return;
  }
  const Code code = written.error().code;
  const bool certain = code == Code::storage_full || code == Code::unavailable;
  if (!certain) {
    written.error().code = Code::stopped;
    fail(written.error());
  }
  publish({append.ticket, written.error(), certain}, append);
}

Result<void> LocalTransport::append_with_reserve(std::string_view bytes) {
  Result<void> written = table_->append(bytes);
  const bool full = !written && written.error().code == Code::storage_full;
  if (!full || options_.directory == nullptr || !options_.directory->reserve().release())
    return written;
  return table_->append(bytes);
}

void LocalTransport::publish(AppendFate fate, const Append& append) {
  const bool written = fate.result.has_value();
  const std::lock_guard lock(mutex_);
  if (written) {
    first_ = table_->first();
    head_ = table_->last();
    if (next_read_ == head_) {
      ready_.entries.push_back({head_, append.entry});
      ++next_read_;
    } else {
      fate_after_reading_ = std::move(fate);  // earlier entries come first
      return;
    }
  }
  ready_.fates.push_back(std::move(fate));
  wake_loop_.signal();
}

void LocalTransport::do_begin_reading() {
  Index after = 0;
  {
    const std::lock_guard lock(mutex_);
    after = *read_after_;
    read_after_.reset();
  }
  if (after > table_->last()) {
    if (Result<void> skipped = table_->skip_to(after); !skipped) {
      fail(skipped.error());
      return;
    }
  }
  next_read_ = after + 1;
  if (next_read_ <= table_->last() || !fate_after_reading_) return;
  const std::lock_guard lock(mutex_);
  ready_.fates.push_back(std::move(*fate_after_reading_));
  fate_after_reading_.reset();
  wake_loop_.signal();
}

void LocalTransport::do_read() {
  std::vector<JournalEntry> batch;
  Result<void> got = table_->read(next_read_ - 1, kBatchBytes, batch);
  next_read_ += batch.size();

  const std::lock_guard lock(mutex_);
  if (read_after_) return;  // asked to begin elsewhere meanwhile
  ready_.entries = std::move(batch);
  if (!got) {
    ready_.failed = got.error();
    failed_ = std::move(got.error());
  } else if (next_read_ > table_->last() && fate_after_reading_) {
    ready_.fates.push_back(std::move(*fate_after_reading_));
    fate_after_reading_.reset();
  }
  wake_loop_.signal();
}

void LocalTransport::do_set_trim() {
  const std::lock_guard lock(mutex_);
  // Not past what poll() has still to yield.
  table_->trim_to(std::min(*trim_to_, next_read_ - 1));
  trim_to_.reset();
}

void LocalTransport::do_trim() {
  const Result<bool> more = table_->trim_some();
  {
    const std::lock_guard lock(mutex_);
    first_ = table_->first();
  }
  if (more) return;
  trim_waits_ = true;
  if (more.error().code != Code::storage_full && more.error().code != Code::unavailable) {
    fail(more.error());
  }
}

// After the append was told of: the WAL is as durable as the file.
void LocalTransport::do_checkpoint() {
  const Result<void> copied = table_->checkpoint_if_due();
  if (copied) return;
  if (copied.error().code == Code::storage_full) {
    // The WAL keeps everything until there is room.
    if (options_.directory != nullptr) options_.directory->reserve().release();
    return;
  }
  if (copied.error().code != Code::unavailable) fail(copied.error());
}

void LocalTransport::fail(Error error) {
  error.code = Code::stopped;
  const std::lock_guard lock(mutex_);
  failed_ = std::move(error);
}

}  // namespace jack

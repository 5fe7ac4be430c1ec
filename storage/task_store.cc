#include "storage/task_store.h"

#include <algorithm>
#include <ranges>
#include <utility>

#include "engine/assert.h"
#include "engine/thread_name.h"

namespace jack {
namespace {

// Nothing was written, and the same can be tried again.
bool is_not_now(Code code) { return code == Code::storage_full || code == Code::unavailable; }

}  // namespace

Result<std::unique_ptr<TaskStore>> TaskStore::open(const TaskStoreOptions& options) {
  TaskWriterOptions file;
  file.path = options.path;
  file.wal_bytes = options.wal_bytes;
  file.vfs = options.vfs;
  Result<std::unique_ptr<TaskWriter>> writer = TaskWriter::open(file);
  if (!writer) return writer.error();
  Result<std::unique_ptr<TaskReader>> reader = TaskReader::open(options.path, options.vfs);
  if (!reader) return reader.error();
  return std::unique_ptr<TaskStore>(new TaskStore(std::move(*writer), std::move(*reader), options));
}

TaskStore::TaskStore(std::unique_ptr<TaskWriter> writer, std::unique_ptr<TaskReader> reader,
                     const TaskStoreOptions& options)
    : options_(options),
      reader_(std::move(reader)),
      writer_(std::move(writer)),
      thread_([this] { run(); }) {}

TaskStore::~TaskStore() {
  reader_.reset();  // first: the last connection to close copies the WAL into the file
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_thread_.notify_one();
  thread_.join();
}

Result<void> TaskStore::load(StoreReader& reader) {
  partitions_ = Partitions();
  return reader_->load(reader, partitions_);
}

void TaskStore::begin_flush(std::shared_ptr<const Flush> flush) {
  JACK_ASSERT(!flush_under_way_);
  flush_under_way_ = true;
  // What is past its time counts as gone from now on, before the thread begins to remove it. But
  // until the flush has ended, a task that a retry brought back is still read where it was.
  const auto is_left = [&](Partition partition) {
    return std::ranges::none_of(flush->revived,
                                [&](const RevivedRow& row) { return row.partition == partition; });
  };
  for (const Partition one : flush->emptied | std::views::filter(is_left)) partitions_.empty(one);
  for (const Partition one : flush->dropped | std::views::filter(is_left)) partitions_.drop(one);
  {
    const std::lock_guard lock(mutex_);
    flush_ = std::move(flush);
  }
  wake_thread_.notify_one();
}

std::optional<Result<void>> TaskStore::flushed() {
  std::optional<Flushed> flushed;
  {
    const std::lock_guard lock(mutex_);
    wake_loop_.clear();
    std::swap(flushed, flushed_);
  }
  if (!flushed) return std::nullopt;
  flush_under_way_ = false;
  for (const PartitionGrowth& growth : flushed->growth) {
    partitions_.add(growth.partition, growth.first, growth.last);
  }
  // Also what the same flush added.
  for (const Partition partition : flushed->emptied) partitions_.empty(partition);
  for (const Partition partition : flushed->dropped) partitions_.drop(partition);
  return std::move(flushed->result);
}

Result<std::optional<StoredTask>> TaskStore::find(const TaskId& id) {
  return reader_->find(id, partitions_);
}

Result<std::optional<std::string>> TaskStore::spec(const TaskId& id) {
  return reader_->spec(id, partitions_);
}

Result<std::optional<std::string>> TaskStore::result(const TaskId& id) {
  return reader_->result(id, partitions_);
}

Result<std::string> TaskStore::output(const TaskId& id, std::uint64_t offset,
                                      std::uint64_t bytes_max) {
  return reader_->output(id, offset, bytes_max, partitions_);
}

Result<std::vector<std::string>> TaskStore::events_after(std::uint64_t entry,
                                                         std::uint64_t bytes_max) {
  return reader_->events_after(entry, bytes_max);
}

Result<std::optional<std::uint64_t>> TaskStore::first_event() { return reader_->first_event(); }

Result<std::optional<TaskId>> TaskStore::find_number(std::uint64_t number) {
  return reader_->find_number(number);
}

Result<ListPage> TaskStore::list(const ListQuery& query) {
  return reader_->list(query, partitions_);
}

Result<void> TaskStore::quick_check() { return reader_->quick_check(); }

std::uint64_t TaskStore::room_bytes() {
  if (options_.directory == nullptr) return UINT64_MAX;
  const std::uint64_t room = options_.directory->room_bytes();
  if (room == 0 && !options_.directory->reserve().held()) {
    // Asked for at most as often as the volume is: while room is 0 somebody wants to know.
    const std::lock_guard lock(mutex_);
    set_reserve_aside_ = true;
    wake_thread_.notify_one();
  }
  return room;
}

void TaskStore::run() {
  name_thread("jack-store");
  for (;;) {
    switch (wait_for_work()) {
      case Work::flush:
        do_flush();
        do_checkpoint();
        if (writer_->has_to_remove() && !removal_waits_) do_remove();
        break;
      case Work::set_reserve_aside: {
        options_.directory->reserve().restore();
        const std::lock_guard lock(mutex_);
        set_reserve_aside_ = false;
        break;
      }
      case Work::remove:
        do_remove();
        do_checkpoint();
        break;
      case Work::stop:
        writer_.reset();  // closes the file on the thread that used it
        return;
    }
  }
}

TaskStore::Work TaskStore::wait_for_work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (const std::optional<Work> work = next_work()) return *work;
    wake_thread_.wait(lock);
  }
}

std::optional<TaskStore::Work> TaskStore::next_work() const {
  if (flush_) return Work::flush;
  if (stop_) return Work::stop;
  if (failed_) return std::nullopt;
  if (set_reserve_aside_) return Work::set_reserve_aside;
  if (writer_->has_to_remove() && !removal_waits_) return Work::remove;
  return std::nullopt;
}

void TaskStore::do_flush() {
  std::shared_ptr<const Flush> flush;
  std::optional<Error> failed;
  {
    const std::lock_guard lock(mutex_);
    flush = std::move(flush_);
    failed = failed_;
  }
  Flushed flushed;
  if (failed) {
    flushed.result = *failed;
  } else if (Result<std::vector<PartitionGrowth>> growth = write(*flush)) {
    flushed.growth = std::move(*growth);
    flushed.emptied = flush->emptied;
    flushed.dropped = flush->dropped;
    removal_waits_ = false;
  } else {
    if (!is_not_now(growth.error().code)) fail(growth.error());
    flushed.result = growth.error();
    if (!is_not_now(growth.error().code)) flushed.result.error().code = Code::stopped;
  }
  flush.reset();  // before the loop may change or free what its views point to

  const std::lock_guard lock(mutex_);
  flushed_ = std::move(flushed);
  wake_loop_.signal();
}

Result<std::vector<PartitionGrowth>> TaskStore::write(const Flush& flush) {
  Result<std::vector<PartitionGrowth>> written = writer_->write(flush);
  const bool full = !written && written.error().code == Code::storage_full;
  if (!full || options_.directory == nullptr || !options_.directory->reserve().release()) {
    return written;
  }
  return writer_->write(flush);
}

void TaskStore::do_remove() {
  const Result<bool> removed = writer_->remove_some();
  if (removed) return;
  removal_waits_ = true;
  if (!is_not_now(removed.error().code)) fail(removed.error());
}

// After the loop was told that the flush is done: the WAL is as durable as the file.
void TaskStore::do_checkpoint() {
  const Result<void> copied = writer_->checkpoint_if_due();
  if (copied) return;
  if (copied.error().code == Code::storage_full) {
    // The WAL keeps everything until there is room.
    if (options_.directory != nullptr) options_.directory->reserve().release();
    return;
  }
  if (copied.error().code != Code::unavailable) fail(copied.error());
}

void TaskStore::fail(Error error) {
  error.code = Code::stopped;
  const std::lock_guard lock(mutex_);
  failed_ = std::move(error);
}

}  // namespace jack

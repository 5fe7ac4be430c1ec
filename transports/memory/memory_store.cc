#include "transports/memory/memory_store.h"

#include <algorithm>

#include "engine/assert.h"

namespace jack {
namespace {

const Error kMissing{Code::corruption, "a task is not in the store, where it was flushed to"};

}  // namespace

Result<void> MemoryTables::write(const Flush& flush) {
  for (const std::uint32_t number : flush.queues_gone) queues.erase(number);
  for (const QueueRow& row : flush.queues) {
    queues[row.number] = {std::string(row.name), std::string(row.record)};
  }
  for (const RevivedRow& row : flush.revived) {
    if (Result<void> done = revive(row); !done) return done;
  }
  for (const LiveRow& row : flush.live) {
    Live& task = live[row.id];
    task.queue = row.queue;
    task.state = row.state;
    task.status = row.status;
    if (!row.spec.empty()) task.spec = row.spec;
  }
  for (const OutputRow& row : flush.output) output[{row.id, row.offset}] = row.bytes;
  for (const FinishedRow& row : flush.finished) {
    if (Result<void> done = finish(row); !done) return done;
  }
  for (const RestatedRow& row : flush.restated) {
    if (Result<void> done = restate(row); !done) return done;
  }
  if (flush.numbers) {
    numbers[flush.numbers->first] = {flush.numbers->at_ms, std::string(flush.numbers->ids)};
  }
  std::erase_if(numbers, [&](const auto& row) {
    return row.first + row.second.ids.size() / sizeof(TaskId) <= flush.numbers_below &&
           row.second.at_ms < flush.numbers_before_ms;
  });
  if (flush.events) {
    events[flush.events->first] = {flush.events->last, flush.events->at_ms,
                                   std::string(flush.events->bytes)};
  }
  std::erase_if(events, [&](const auto& row) { return row.second.at_ms < flush.events_before_ms; });
  for (const Partition partition : flush.emptied) {
    const auto at = finished.find(partition);
    if (at == finished.end()) continue;
    for (auto& [id, task] : at->second) {
      task.spec.reset();
      task.result.reset();
      task.output.clear();
    }
  }
  for (const Partition partition : flush.dropped) finished.erase(partition);
  meta = {flush.index, flush.meta};
  return {};
}

Result<void> MemoryTables::revive(const RevivedRow& row) {
  const auto partition = finished.find(row.partition);
  if (partition == finished.end()) return kMissing;
  auto found = partition->second.extract(row.id);
  if (found.empty() || !found.mapped().spec) return kMissing;
  Finished& task = found.mapped();
  live[row.id] = {task.queue, TaskState::queued, task.status, *task.spec};
  if (!task.output.empty()) output[{row.id, 0}] = task.output;
  return {};
}

Result<void> MemoryTables::finish(const FinishedRow& row) {
  Finished task;
  task.queue = row.queue;
  task.state = row.state;
  task.status = row.status;
  task.result = row.result;
  task.output = take_output(row.id);
  const auto stored = live.find(row.id);
  if (row.spec.empty()) {
    if (stored == live.end()) return kMissing;
    task.spec = stored->second.spec;
  } else {
    task.spec = row.spec;
  }
  if (stored != live.end()) live.erase(stored);
  finished[row.partition].insert_or_assign(row.id, std::move(task));
  return {};
}

Result<void> MemoryTables::restate(const RestatedRow& row) {
  const auto partition = finished.find(row.partition);
  if (partition == finished.end()) return kMissing;
  const auto found = partition->second.find(row.id);
  if (found == partition->second.end()) return kMissing;
  Finished& task = found->second;
  task.state = row.state;
  task.status = row.status;
  if (!row.removed) return {};
  task.spec.reset();
  task.result.reset();
  task.output.clear();
  return {};
}

std::string MemoryTables::take_output(const TaskId& id) {
  std::string all;
  const auto begin = output.lower_bound({id, 0});
  auto end = begin;
  for (; end != output.end() && end->first.first == id; ++end) all += end->second;
  output.erase(begin, end);
  return all;
}

Result<void> MemoryStore::load(StoreReader& reader) {
  if (tables_->meta) {
    Result<void> taken = reader.on_meta(tables_->meta->first, tables_->meta->second);
    if (!taken) return taken;
  }
  for (const auto& [number, queue] : tables_->queues) {
    if (Result<void> taken = reader.on_queue(number, queue.name, queue.record); !taken) {
      return taken;
    }
  }
  for (const auto& [id, task] : tables_->live) {
    if (Result<void> taken = reader.on_live(id, task.status); !taken) return taken;
  }
  return {};
}

void MemoryStore::begin_flush(std::shared_ptr<const Flush> flush) {
  JACK_ASSERT(under_way_ == nullptr);
  under_way_ = std::move(flush);
}

std::optional<Result<void>> MemoryStore::flushed() {
  if (under_way_ == nullptr || hold_) return std::nullopt;
  const std::shared_ptr<const Flush> flush = std::move(under_way_);
  if (fault_) {
    const Error error = std::move(*fault_);
    fault_.reset();
    if (error.code == Code::stopped) stopped_ = error;
    return Result<void>(error);
  }
  if (stopped_) return Result<void>(*stopped_);
  Result<void> written = tables_->write(*flush);
  if (!written) {
    stopped_ = Error{Code::stopped, written.error().message};
    return Result<void>(*stopped_);
  }
  return written;
}

const MemoryTables::Finished* MemoryStore::finished(const TaskId& id) const {
  for (const auto& [partition, tasks] : tables_->finished) {
    if (const auto at = tasks.find(id); at != tasks.end()) return &at->second;
  }
  return nullptr;
}

Result<std::optional<StoredTask>> MemoryStore::find(const TaskId& id) {
  if (const auto at = tables_->live.find(id); at != tables_->live.end()) {
    return std::optional(StoredTask{false, 0, at->second.status, at->second.queue});
  }
  for (const auto& [partition, tasks] : tables_->finished) {
    const auto at = tasks.find(id);
    if (at == tasks.end()) continue;
    return std::optional(StoredTask{true, partition, at->second.status, at->second.queue});
  }
  return std::optional<StoredTask>();
}

Result<std::optional<std::string>> MemoryStore::spec(const TaskId& id) {
  if (const auto at = tables_->live.find(id); at != tables_->live.end()) {
    return std::optional(at->second.spec);
  }
  const MemoryTables::Finished* const task = finished(id);
  return task != nullptr ? task->spec : std::nullopt;
}

Result<std::optional<std::string>> MemoryStore::result(const TaskId& id) {
  const MemoryTables::Finished* const task = finished(id);
  return task != nullptr ? task->result : std::nullopt;
}

Result<std::string> MemoryStore::output(const TaskId& id, std::uint64_t offset,
                                        std::uint64_t bytes_max) {
  std::string all;
  if (const MemoryTables::Finished* const task = finished(id)) all = task->output;
  for (auto at = tables_->output.lower_bound({id, 0});
       at != tables_->output.end() && at->first.first == id; ++at) {
    all += at->second;
  }
  return offset < all.size() ? all.substr(offset, bytes_max) : std::string();
}

Result<std::vector<std::string>> MemoryStore::events_after(std::uint64_t entry,
                                                           std::uint64_t bytes_max) {
  std::vector<std::string> blobs;
  std::uint64_t bytes = 0;
  for (const auto& [first, row] : tables_->events) {
    if (row.last <= entry) continue;
    if (!blobs.empty() && bytes + row.bytes.size() > bytes_max) break;
    bytes += row.bytes.size();
    blobs.push_back(row.bytes);
  }
  return blobs;
}

Result<std::optional<std::uint64_t>> MemoryStore::first_event() {
  if (tables_->events.empty()) return std::optional<std::uint64_t>();
  return std::optional(tables_->events.begin()->first);
}

Result<std::optional<TaskId>> MemoryStore::find_number(std::uint64_t number) {
  auto row = tables_->numbers.upper_bound(number);
  if (row == tables_->numbers.begin()) return std::optional<TaskId>();
  --row;
  const std::size_t place = (number - row->first) * sizeof(TaskId);
  if (place >= row->second.ids.size()) return std::optional<TaskId>();
  return TaskId::from_bytes(std::string_view(row->second.ids).substr(place, sizeof(TaskId)));
}

Result<ListPage> MemoryStore::list(const ListQuery& query) {
  std::map<TaskId, ListedTask> fitting;
  const auto consider = [&](const TaskId& id, const auto& task, const std::string& spec) {
    if (!query.before.empty() && id >= query.before) return;
    if (query.state && *query.state != task.state) return;
    if (!query.queue.empty() && query.queue != task.queue) return;
    if (query.shows && !query.shows(task.queue)) return;
    fitting[id] = {id, task.state, task.status, spec};
  };
  for (const auto& [id, task] : tables_->live) consider(id, task, task.spec);
  if (query.finished_too) {
    for (const auto& [partition, tasks] : tables_->finished) {
      for (const auto& [id, task] : tasks) {
        if (task.spec) consider(id, task, *task.spec);
      }
    }
  }

  ListPage page;
  for (auto at = fitting.rbegin(); at != fitting.rend(); ++at) {
    if (page.tasks.size() == query.count_max) {
      page.next = page.tasks.back().id;
      break;
    }
    page.tasks.push_back(std::move(at->second));
  }
  return page;
}

}  // namespace jack

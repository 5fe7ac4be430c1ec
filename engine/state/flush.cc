// The store's rows of what has changed, and the digest of the whole.
#include <algorithm>
#include <unordered_map>
#include <utility>

#include "engine/assert.h"
#include "engine/state/state.h"

namespace jack {
namespace {

// By number the latest tasks are found, and all that are young enough.
constexpr std::uint64_t kNumbersKept = 1'000'000;

std::uint64_t contribution_of(const TaskId& id, std::string_view encoded) {
  return digest_of(encoded) + digest_of(id.view());
}

}  // namespace

void State::touch(Slot slot) {
  TaskRecord& task = tasks_[slot];
  if (task.dirty) return;
  task.dirty = true;
  dirty_.push_back(slot);
  touch(queues_[task.queue]);
}

void State::touch(Queue& queue) {
  if (queue.dirty) return;
  queue.dirty = true;
  dirty_queues_.push_back(queue.number);
}

UnflushedBytes& State::bytes_of(Slot slot) {
  TaskRecord& task = tasks_[slot];
  if (task.unflushed == UINT32_MAX) {
    if (free_unflushed_.empty()) {
      task.unflushed = static_cast<std::uint32_t>(unflushed_.size());
      unflushed_.emplace_back();
    } else {
      task.unflushed = free_unflushed_.back();
      free_unflushed_.pop_back();
    }
  }
  return unflushed_[task.unflushed];
}

void State::free_bytes(Slot slot) {
  TaskRecord& task = tasks_[slot];
  if (task.unflushed == UINT32_MAX) return;
  unflushed_[task.unflushed] = {};
  free_unflushed_.push_back(task.unflushed);
  task.unflushed = UINT32_MAX;
}

// Bytes that no entry holds, kept like those of one.
std::string_view State::keep(std::string bytes) {
  owners_.push_back(std::make_shared<const std::string>(std::move(bytes)));
  owned_bytes_ += owners_.back()->size();
  return *owners_.back();
}

// Takes back what the task adds to the state's digest; before it changes its hour of finishing.
void State::withdraw(Slot slot) {
  TaskRecord& task = tasks_[slot];
  register_.sum -= task.contribution;
  if (task.counted_finished) {
    const auto partition = register_.partitions.find(partition_of(task));
    if (partition != register_.partitions.end()) partition->second.sum -= task.contribution;
  }
  task.contribution = 0;
  task.counted_finished = false;
}

// Adds what the task is now, in its stored form, to the state's digest.
void State::contribute(Slot slot, std::string_view encoded) {
  TaskRecord& task = tasks_[slot];
  withdraw(slot);
  task.contribution = contribution_of(task.id, encoded);
  register_.sum += task.contribution;
  if (!is_terminal(task.state)) return;
  register_.partitions[partition_of(task)].sum += task.contribution;
  task.counted_finished = true;
}

void State::contribute(Queue& queue, std::string_view encoded) {
  register_.queue_sum -= queue.contribution;
  queue.contribution = digest_of(encoded) + digest_of(queue.name);
  register_.queue_sum += queue.contribution;
}

std::uint64_t State::hash() {
  std::string row;
  for (const Slot slot : dirty_) {
    if (tasks_[slot].unlinked) continue;
    row.clear();
    encode_row(slot, row);
    contribute(slot, row);
  }
  for (const std::uint32_t number : dirty_queues_) {
    row.clear();
    encode_queue(queues_[number], row);
    contribute(queues_[number], row);
  }
  row.clear();
  encode_meta(register_, pools_, row);
  return digest_of(row);
}

void State::encode_row(Slot slot, std::string& out) const {
  const TaskRecord& task = tasks_[slot];
  encode_task(task, task.unflushed == UINT32_MAX ? nullptr : &unflushed_[task.unflushed], out);
}

std::shared_ptr<const Flush> State::cut(std::string events, std::uint64_t first_entry) {
  JACK_ASSERT(cut_ == nullptr);
  auto flush = std::make_shared<Flush>();
  flush->index = register_.index;
  std::string& arena = flush->arena;
  // Views into the arena are taken once it no longer grows.
  std::vector<std::size_t> ends;
  ends.reserve(2 * dirty_queues_.size() + dirty_.size());
  for (const std::uint32_t number : dirty_queues_) {
    const std::size_t begin = arena.append(queues_[number].name).size();
    ends.push_back(begin);
    encode_queue(queues_[number], arena);
    contribute(queues_[number], std::string_view(arena).substr(begin));
    ends.push_back(arena.size());
  }
  for (const Slot slot : dirty_) {
    const std::size_t begin = arena.size();
    encode_row(slot, arena);
    if (!tasks_[slot].unlinked) contribute(slot, std::string_view(arena).substr(begin));
    ends.push_back(arena.size());
  }
  encode_meta(register_, pools_, flush->meta);
  if (!events.empty()) {
    flush->owners.push_back(std::make_shared<const std::string>(std::move(events)));
    flush->events =
        EventsRow{first_entry, register_.entries, register_.now.ms, *flush->owners.back()};
  }

  std::size_t begin = 0;
  auto end = ends.begin();
  const auto next_view = [&] {
    const std::string_view view = std::string_view(arena).substr(begin, *end - begin);
    begin = *end++;
    return view;
  };
  std::unordered_map<std::uint32_t, std::string_view> names;
  for (const std::uint32_t number : dirty_queues_) {
    const std::string_view name = next_view();
    flush->queues.push_back({number, name, next_view()});
    names.emplace(number, name);
    queues_[number].dirty = false;
  }
  for (const Slot slot : dirty_) {
    const auto name = names.find(tasks_[slot].queue);
    add_row(slot, name == names.end() ? std::string_view() : name->second, next_view(), *flush);
  }
  dirty_queues_.clear();
  cut_tasks_ = std::move(dirty_);
  dirty_.clear();
  flush->output = std::move(output_);
  flush->queues_gone = std::move(gone_queues_);
  flush->dropped = std::move(dropped_);
  flush->emptied = std::move(emptied_);
  flush->events_before_ms = (register_.now - register_.limits.watch_retention).ms;
  cut_numbers(*flush);
  flush->owners.insert(flush->owners.end(), owners_.begin(), owners_.end());
  output_.clear();
  gone_queues_.clear();
  dropped_.clear();
  emptied_.clear();
  owners_.clear();
  owned_bytes_ = 0;
  cut_ = flush;
  return flush;
}

void State::cut_numbers(Flush& flush) {
  const Limits& limits = register_.limits;
  flush.numbers_below = register_.next_serial - std::min(register_.next_serial, kNumbersKept);
  flush.numbers_before_ms = (register_.now - std::max(limits.dedup_window, limits.retention)).ms;
  cut_numbered_ = std::exchange(numbered_, {});
  if (cut_numbered_.empty()) return;
  flush.owners.push_back(std::make_shared<const std::string>(
      reinterpret_cast<const char*>(cut_numbered_.data()), cut_numbered_.size() * sizeof(TaskId)));
  flush.numbers = NumbersRow{register_.next_serial - cut_numbered_.size(), register_.now.ms,
                             *flush.owners.back()};
}

void State::add_row(Slot slot, std::string_view queue, std::string_view status, Flush& flush) {
  TaskRecord& task = tasks_[slot];
  const UnflushedBytes bytes =
      task.unflushed == UINT32_MAX ? UnflushedBytes{} : unflushed_[task.unflushed];
  if (task.extras && task.extras->revived) {
    flush.revived.push_back({task.id, task.extras->finished_in});
    task.extras->revived = false;
  }
  if (is_terminal(task.state)) {
    const bool restated = task.extras && task.extras->restated;
    const bool removed = task.extras && task.extras->removed;
    if (!restated) {
      flush.finished.push_back({task.id, partition_of(task), queue, task.state, status,
                                task.stored_live ? std::string_view() : bytes.spec, bytes.result,
                                task.stored_live});
    }
    // The hour of one that is unlinked has been dropped.
    if ((restated || removed) && !task.unlinked) {
      flush.restated.push_back({task.id, partition_of(task), queue, task.state, status, removed});
    }
    if (restated) task.extras->restated = false;
    task.stored_live = false;
  } else {
    flush.live.push_back(
        {task.id, queue, task.state, status, task.stored_live ? std::string_view() : bytes.spec});
    task.stored_live = true;
  }
  task.dirty = false;
}

void State::flushed() {
  JACK_ASSERT(cut_ != nullptr);
  for (const Slot slot : cut_tasks_) {
    TaskRecord& task = tasks_[slot];
    if (task.dirty) {
      if (task.unflushed == UINT32_MAX) continue;
      unflushed_[task.unflushed].spec = {};
      if (task.extras && task.extras->restated) {
        unflushed_[task.unflushed].result = {};
        task.extras->result_stored = true;
      }
      continue;
    }
    free_bytes(slot);
    if (!is_terminal(task.state)) continue;
    known_.add(task.id);
    tasks_.erase(slot);
  }
  cut_tasks_.clear();
  cut_numbered_.clear();
  cut_.reset();
}

}  // namespace jack

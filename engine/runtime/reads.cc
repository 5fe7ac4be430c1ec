#include "engine/runtime/reads.h"

#include <utility>

namespace jack {
namespace {

// Specs read ahead: many enough that reading them costs little per task, few enough that they are
// handed out before they make room for others.
constexpr std::size_t kReadAheadTasks = 256;
constexpr std::size_t kKeptBytesMax = 8u << 20;

constexpr std::uint64_t kEventBytesMax = 1u << 20;

// A page ends behind the task that goes beyond this: histories may be long, and a client takes
// kReplyBytesMax at most.
constexpr std::size_t kPageBytesMax = 8u << 20;

std::string refused(wire::Correlation correlation, const Error& error) {
  return wire::encode(wire::Refused{correlation, error.code, error.message});
}

Error not_found(const TaskId& task) {
  return {Code::not_found, "there is no task " + to_string(task) + ", or its retention has ended"};
}

}  // namespace

Result<std::string_view> Reads::spec(const TaskId& task) {
  if (const std::string_view in_memory = state_.spec_of(task); !in_memory.empty()) return in_memory;
  if (handed_out_ahead_ > 0) --handed_out_ahead_;
  if (const auto kept = specs_.find(task); kept != specs_.end()) {
    return std::string_view(kept->second);
  }
  Result<std::optional<std::string>> stored = store_.spec(task);
  if (!stored) return stored.error();
  if (!*stored) {
    return Error{Code::corruption, "the spec of task " + to_string(task) + " is not in the store"};
  }
  const Result<SpecView> view = decode_spec(unpacker_, **stored);
  if (!view)
    return Error{Code::corruption, "the stored spec of task " + to_string(task) +
                                       " is damaged: " + view.error().message};
  const std::string queue(view->queue);
  keep(task, **std::move(stored));
  if (handed_out_ahead_ == 0) read_ahead(queue);
  return std::string_view(specs_.find(task)->second);
}

void Reads::read_ahead(std::string_view queue) {
  handed_out_ahead_ = kReadAheadTasks / 2;
  std::size_t bytes = 0;
  for (const TaskId& next : state_.next_of_queue(queue, kReadAheadTasks)) {
    if (bytes >= kKeptBytesMax / 2) return;
    if (specs_.contains(next) || !state_.spec_of(next).empty()) continue;
    // An error shows again when this one's turn comes.
    Result<std::optional<std::string>> stored = store_.spec(next);
    if (!stored || !*stored) return;
    bytes += (*stored)->size();
    keep(next, **std::move(stored));
  }
}

void Reads::keep(const TaskId& task, std::string spec) {
  kept_bytes_ += spec.size();
  kept_.push_back(task);
  specs_.emplace(task, std::move(spec));
}

void Reads::begin_turn() {
  while (kept_bytes_ > kKeptBytesMax) {
    const auto oldest = specs_.find(kept_.front());
    kept_bytes_ -= oldest->second.size();
    specs_.erase(oldest);
    kept_.pop_front();
  }
}

std::optional<std::string> Reads::answer(const Now& now, const Read& read, bool up_to_date) {
  if (const auto* task = std::get_if<ReadTask>(&read.what)) {
    return answer_task(now, read.correlation, *task);
  }
  if (const auto* result = std::get_if<ReadResult>(&read.what)) {
    return answer_result(read.correlation, *result);
  }
  if (const auto* output = std::get_if<ReadTaskOutput>(&read.what)) {
    return answer_output(read.correlation, *output, up_to_date);
  }
  if (!up_to_date) return std::nullopt;
  return answer_list(now, read.correlation, std::get<ReadList>(read.what));
}

Result<Reads::Found> Reads::find(const TaskId& task) {
  if (std::optional<TaskView> view = state_.find(task)) {
    return Found{std::move(view->status), std::string(view->result_content_type), false};
  }
  if (state_.is_removed(task)) return not_found(task);
  Result<std::optional<StoredTask>> stored = store_.find(task);
  if (!stored) return stored.error();
  if (!*stored || !(*stored)->finished || !state_.is_retained((*stored)->partition)) {
    return not_found(task);
  }
  Result<StoredStatus> status = decode_stored_status((*stored)->status);
  if (!status) return status.error();
  if (status->removed) return not_found(task);
  return Found{std::move(status->status), std::move(status->result_content_type), true};
}

std::string Reads::encode_status(TaskStatus status) const {
  if (status.state == TaskState::running) status.worker = front_.holder_name(status.token);
  std::string bytes;
  encode(status, bytes);
  return bytes;
}

Result<std::string> Reads::spec_without_payload(std::string_view spec) {
  const Result<SpecView> view = decode_spec(unpacker_, spec);
  if (!view) return Error{Code::corruption, "a stored spec is damaged: " + view.error().message};
  TaskSpec copy = to_spec(*view);
  copy.payload.clear();
  std::string bytes;
  encode(copy, bytes);
  return bytes;
}

Result<TaskId> Reads::task_of(const ReadTask& read) {
  if (!read.task.empty()) return read.task;
  Result<std::optional<TaskId>> id = state_.find_number(read.number);
  if (!*id) id = store_.find_number(read.number);
  if (!id) return id.error();
  if (*id) return **id;
  return Error{Code::not_found,
               "there is no task with the number " + std::to_string(read.number) + " any more"};
}

std::string Reads::answer_task(const Now& now, Correlation correlation, const ReadTask& what) {
  const Result<TaskId> task = task_of(what);
  if (!task) return refused(correlation, task.error());
  const ReadTask read{*task, 0, what.with_payload};
  Result<Found> found = find(read.task);
  if (!found) return refused(correlation, found.error());
  std::string spec(state_.spec_of(read.task));
  if (spec.empty()) {
    Result<std::optional<std::string>> stored = store_.spec(read.task);
    if (!stored) return refused(correlation, stored.error());
    if (!*stored) return refused(correlation, not_found(read.task));
    spec = **std::move(stored);
  }
  if (!read.with_payload) {
    Result<std::string> without = spec_without_payload(spec);
    if (!without) return refused(correlation, without.error());
    spec = *std::move(without);
  }
  const std::string status = encode_status(std::move(found->status));
  return wire::encode(wire::TaskMessage{correlation, spec, status, now.wall_offset});
}

std::string Reads::answer_result(Correlation correlation, const ReadResult& read) {
  const Result<Found> found = find(read.task);
  if (!found) return refused(correlation, found.error());
  if (!is_terminal(found->status.state)) {
    return refused(correlation, {Code::timed_out, "the task has begun anew"});
  }
  wire::ResultMessage message;
  message.correlation = correlation;
  message.task = read.task;
  message.state = found->status.state;
  message.error = found->status.error;
  Result<std::optional<std::string>> result = std::optional<std::string>();
  if (message.state == TaskState::succeeded) {
    result = store_.result(read.task);
    if (!result) return refused(correlation, result.error());
    message.content_type = found->result_content_type;
  }
  if (*result) message.result = **result;
  return wire::encode(message);
}

std::optional<std::string> Reads::answer_output(Correlation correlation, const ReadTaskOutput& read,
                                                bool up_to_date) {
  const Result<Found> found = find(read.task);
  if (!found) return refused(correlation, found.error());
  const std::uint64_t total = found->status.output_bytes;
  Result<std::string> bytes = store_.output(read.task, read.offset, read.bytes_max);
  if (!bytes) return refused(correlation, bytes.error());
  const std::uint64_t there = total > read.offset ? total - read.offset : 0;
  const bool whole = bytes->size() >= std::min(there, read.bytes_max);
  if (!whole && !up_to_date) return std::nullopt;
  return wire::encode(
      wire::OutputBytes{correlation, *bytes, total, is_terminal(found->status.state)});
}

std::string Reads::answer_list(const Now& now, Correlation correlation, const ReadList& read) {
  const Result<ListPage> listed = store_.list(read.query);
  if (!listed) return refused(correlation, listed.error());
  wire::Page page;
  page.correlation = correlation;
  page.next = listed->next;
  page.wall_offset = now.wall_offset;
  std::deque<std::string> texts;  // what the page's views point into
  std::size_t bytes = 0;
  for (const ListedTask& task : listed->tasks) {
    if (task.id.unix_ms() < read.from_ms) {
      page.next = {};  // the ids behind it are older still
      break;
    }
    const Result<SpecView> view = decode_spec(unpacker_, task.spec);
    const bool fits = view && (read.type.empty() || read.type == view->type) &&
                      (read.parent.empty() || read.parent == view->parent);
    if (view && !fits) continue;
    Result<std::string> spec =
        read.payloads ? Result<std::string>(task.spec) : spec_without_payload(task.spec);
    Result<StoredStatus> status = decode_stored_status(task.status);
    if (!spec) return refused(correlation, spec.error());
    if (!status) return refused(correlation, status.error());
    const std::string& spec_kept = texts.emplace_back(*std::move(spec));
    const std::string& status_kept = texts.emplace_back(encode_status(std::move(status->status)));
    page.tasks.push_back({spec_kept, status_kept});
    bytes += spec_kept.size() + status_kept.size();
    if (bytes > kPageBytesMax && &task != &listed->tasks.back()) {
      page.next = task.id;
      break;
    }
  }
  return wire::encode(page);
}

Result<std::vector<std::string>> Reads::events_after(Position after,
                                                     std::uint64_t first_in_memory) {
  const Result<std::optional<std::uint64_t>> first = store_.first_event();
  if (!first) return first.error();
  const std::uint64_t kept_from = std::min(first->value_or(first_in_memory), first_in_memory);
  const bool whole_entry = after.ordinal == UINT32_MAX || after.entry == 0;
  if (after.entry + (whole_entry ? 1 : 0) < kept_from) {
    return Error{Code::position_gone, "history is kept from entry " + std::to_string(kept_from) +
                                          " on, not behind entry " + std::to_string(after.entry)};
  }
  if (after.entry >= first_in_memory) return std::vector<std::string>();
  // The rest of the entry in which the watcher stopped comes again with its blob.
  return store_.events_after(whole_entry ? after.entry : after.entry - 1, kEventBytesMax);
}

}  // namespace jack

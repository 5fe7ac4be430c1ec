// Messages to frames: one function per message.
#include "engine/format/pack.h"
#include "engine/wire/messages.h"

namespace jack::wire {
namespace {

void pack_optional(Packer& out, const std::optional<Duration>& value) {
  value ? out.i64(value->count()) : out.nil();
}

void pack_blobs(Packer& out, const std::vector<std::string_view>& blobs) {
  out.array(blobs.size());
  for (const std::string_view blob : blobs) out.bytes(blob);
}

void pack(Packer& out, const NewTask& task) {
  if (!task.result && task.other_ids.empty() && task.annotations.empty()) {
    out.bytes(task.spec);
    return;
  }
  out.array(task.annotations.empty() ? 4 : 5).bytes(task.spec);
  task.result ? out.bytes(*task.result) : out.nil();
  out.text(task.content_type).array(task.other_ids.size());
  for (const TaskId& id : task.other_ids) out.id(id);
  if (!task.annotations.empty()) jack::pack(out, task.annotations);
}

void pack(Packer& out, const std::vector<NewTask>& tasks) {
  out.array(tasks.size());
  for (const NewTask& task : tasks) pack(out, task);
}

std::size_t bytes_of(const std::vector<NewTask>& tasks) {
  std::size_t bytes = 0;
  for (const NewTask& task : tasks) {
    bytes += 16 + task.spec.size() + task.result.value_or(std::string_view()).size() +
             18 * task.other_ids.size() + jack::bytes_of(task.annotations);
  }
  return bytes;
}

void pack_ids(Packer& out, const std::vector<TaskId>& ids) {
  out.array(ids.size());
  for (const TaskId& id : ids) out.id(id);
}

// No task is an empty text, not sixteen zeros.
void pack_optional_id(Packer& out, const TaskId& id) { id.empty() ? out.bytes({}) : out.id(id); }

Packer& begin(Packer& out, Kind kind, Correlation correlation, std::size_t fields) {
  return out.array(2 + fields).u64(static_cast<std::uint64_t>(kind)).u64(correlation);
}

void pack(Packer& out, const Hello& m) {
  begin(out, Kind::hello, m.correlation, 4).u64(m.version).text(m.name).text(m.key).text(m.answers);
}

void pack(Packer& out, const Submit& m) {
  begin(out, Kind::submit, m.correlation, 1);
  pack(out, m.tasks);
}

void pack(Packer& out, const Work& m) {
  begin(out, Kind::work, m.correlation, 5).u64(m.subscription).i64(m.credit).i64(m.lease.count());
  out.array(m.queues.size());
  for (const std::string_view queue : m.queues) out.text(queue);
  out.boolean(m.own_signs);
}

void pack(Packer& out, const Settle::Item& item) {
  const auto outcome = static_cast<std::uint64_t>(item.outcome);
  const std::size_t more = item.outcome == Outcome::released ? 1 : item.changes.empty() ? 3 : 4;
  out.array(4 + more).id(item.task).u64(item.token.value).u64(outcome).boolean(item.again);
  if (item.outcome == Outcome::succeeded) {
    out.bytes(item.result).text(item.content_type);
    pack(out, item.follow_ups);
    if (!item.changes.empty()) jack::pack(out, item.changes);
  } else if (item.outcome == Outcome::failed) {
    out.text(item.error).boolean(item.retry);
    pack_optional(out, item.delay);
  } else {
    pack_optional(out, item.delay);
  }
}

void pack(Packer& out, const Settle& m) {
  begin(out, Kind::settle, m.correlation, 1).array(m.items.size());
  for (const Settle::Item& item : m.items) pack(out, item);
}

void pack(Packer& out, const Extend& m) {
  begin(out, Kind::extend, m.correlation, 1).array(m.items.size());
  for (const Extend::Item& item : m.items) {
    out.array(3).id(item.task).u64(item.token.value).i64(item.lease.count());
  }
}

void pack(Packer& out, const Output& m) {
  begin(out, Kind::output, m.correlation, 1).array(m.items.size());
  for (const Output::Item& item : m.items) {
    out.array(3).id(item.task).u64(item.token.value).bytes(item.bytes);
  }
}

void pack(Packer& out, const Progress& m) {
  begin(out, Kind::progress, m.correlation, 1).array(m.items.size());
  for (const Progress::Item& item : m.items) {
    out.array(4).id(item.task).u64(item.token.value).u64(item.permille).text(item.note);
  }
}

void pack(Packer& out, const Resume& m) {
  begin(out, Kind::resume, m.correlation, 2).u64(m.subscription).array(m.items.size());
  for (const Resume::Item& item : m.items) out.array(2).id(item.task).u64(item.token.value);
}

void pack(Packer& out, const Get& m) {
  begin(out, Kind::get, m.correlation, 2);
  m.task.empty() ? out.u64(m.number) : out.id(m.task);
  out.boolean(m.with_payload);
}

void pack(Packer& out, const Wait& m) {
  begin(out, Kind::wait, m.correlation, 2).id(m.task).i64(m.wait.count());
}

void pack(Packer& out, const List& m) {
  const std::size_t filters = (m.queue.empty() ? 0u : 1u) + (m.state ? 1u : 0u) +
                              (m.before.empty() ? 0u : 1u) + (m.finished_too ? 0u : 1u) +
                              (m.type.empty() ? 0u : 1u) + (m.parent.empty() ? 0u : 1u) +
                              (m.from_ms ? 1u : 0u) + (m.to_ms ? 1u : 0u) + (m.payloads ? 1u : 0u);
  begin(out, Kind::list, m.correlation, 1).map(1 + filters).text("count").u64(m.count);
  if (!m.queue.empty()) out.text("queue").text(m.queue);
  if (m.state) out.text("state").u64(static_cast<std::uint64_t>(*m.state));
  if (!m.before.empty()) out.text("before").id(m.before);
  if (!m.finished_too) out.text("finished").boolean(false);
  if (!m.type.empty()) out.text("type").text(m.type);
  if (!m.parent.empty()) out.text("parent").id(m.parent);
  if (m.from_ms) out.text("from_ms").i64(*m.from_ms);
  if (m.to_ms) out.text("to_ms").i64(*m.to_ms);
  if (m.payloads) out.text("payloads").boolean(true);
}

void pack(Packer& out, const Cancel& m) {
  begin(out, Kind::cancel, m.correlation, 2);
  pack_ids(out, m.tasks);
  out.text(m.reason);
}

void pack(Packer& out, const Retry& m) {
  begin(out, Kind::retry, m.correlation, 1);
  pack_ids(out, m.tasks);
}

void pack(Packer& out, const Queues& m) { begin(out, Kind::queues, m.correlation, 0); }

void pack(Packer& out, const Pause& m) {
  begin(out, Kind::pause, m.correlation, 2).text(m.queue).boolean(m.paused);
}

void pack(Packer& out, const Watch& m) {
  begin(out, Kind::watch, m.correlation, 5);
  pack_optional_id(out, m.task);
  out.text(m.queue);
  m.after ? out.u64(m.after->entry) : out.nil();
  out.u64(m.after ? m.after->ordinal : 0).u64(m.credit);
}

void pack(Packer& out, const Grant& m) {
  begin(out, Kind::grant, m.correlation, 2).u64(m.watch).u64(m.credit);
}

void pack(Packer& out, const Unwatch& m) {
  begin(out, Kind::unwatch, m.correlation, 1).u64(m.watch);
}

void pack(Packer& out, const ReadOutput& m) {
  begin(out, Kind::read_output, m.correlation, 3).id(m.task).u64(m.offset).u64(m.bytes_max);
}

void pack(Packer& out, const Take& m) {
  begin(out, Kind::take, m.correlation, 2).u64(m.subscription);
  pack_ids(out, m.tasks);
}

void pack(Packer& out, const Annotate& m) {
  begin(out, Kind::annotate, m.correlation, 1).array(m.items.size());
  for (const Annotate::Item& item : m.items) {
    out.array(2).id(item.task);
    jack::pack(out, item.changes);
  }
}

void pack(Packer& out, const Remove& m) {
  begin(out, Kind::remove, m.correlation, 1);
  pack_ids(out, m.tasks);
}

void pack(Packer& out, const Unwork& m) {
  begin(out, Kind::unwork, m.correlation, 1).u64(m.subscription);
}

void pack(Packer& out, const Info& m) { begin(out, Kind::info, m.correlation, 0); }
void pack(Packer& out, const Ping& m) { begin(out, Kind::ping, m.correlation, 0); }
void pack(Packer& out, const Bye& m) { begin(out, Kind::bye, m.correlation, 0); }

void pack(Packer& out, const Welcome& m) {
  begin(out, Kind::welcome, m.correlation, 6).u64(m.version).bytes(m.engine).bytes(m.incarnation);
  out.i64(m.lease_default.count()).u64(m.payload_bytes_max).u64(m.result_bytes_max);
}

void pack(Packer& out, const Refused& m) {
  begin(out, Kind::refused, m.correlation, 2)
      .u64(static_cast<std::uint64_t>(m.code))
      .text(m.message);
}

void pack(Packer& out, const Done& m) {
  begin(out, Kind::done, m.correlation, 1).array(m.items.size());
  for (const Done::Item& item : m.items) {
    if (item.code == Code::ok) {
      out.u64(item.repeated ? 1 : 0);
    } else {
      out.array(2).u64(static_cast<std::uint64_t>(item.code)).text(item.message);
    }
  }
}

void pack(Packer& out, const Deliver& m) {
  begin(out, Kind::deliver, 0, 2).u64(m.subscription).array(m.items.size());
  for (const Deliver::Item& item : m.items) {
    out.array(4).u64(item.token.value).u64(item.attempt).i64(item.lease.count()).bytes(item.spec);
  }
}

void pack(Packer& out, const Ended& m) {
  begin(out, Kind::ended, 0, 1).array(m.items.size());
  for (const Ended::Item& item : m.items) {
    out.array(4).id(item.task).u64(item.token.value);
    out.u64(static_cast<std::uint64_t>(item.outcome)).text(item.reason);
  }
}

void pack(Packer& out, const ResultMessage& m) {
  begin(out, Kind::result, m.correlation, 5).id(m.task).u64(static_cast<std::uint64_t>(m.state));
  out.bytes(m.result).text(m.content_type).text(m.error);
}

void pack(Packer& out, const TaskMessage& m) {
  begin(out, Kind::task, m.correlation, 3).bytes(m.spec).bytes(m.status).i64(m.wall_offset.count());
}

void pack(Packer& out, const Page& m) {
  begin(out, Kind::page, m.correlation, 3).array(m.tasks.size());
  for (const Page::Item& item : m.tasks) out.array(2).bytes(item.spec).bytes(item.status);
  pack_optional_id(out, m.next);
  out.i64(m.wall_offset.count());
}

void pack(Packer& out, const QueueItem& queue) {
  out.array(13).text(queue.name).boolean(queue.paused);
  out.u64(queue.scheduled).u64(queue.queued).u64(queue.running);
  out.u64(queue.succeeded).u64(queue.failed).u64(queue.cancelled).u64(queue.expired);
  out.u64(queue.workers).i64(queue.oldest.count());
  out.u64(queue.arriving_milli).u64(queue.leaving_milli);
}

void pack(Packer& out, const QueueList& m) {
  begin(out, Kind::queue_list, m.correlation, 1).array(m.queues.size());
  for (const QueueItem& queue : m.queues) pack(out, queue);
}

void pack(Packer& out, const Events& m) {
  begin(out, Kind::events, m.correlation, 4);
  pack_blobs(out, m.events);
  out.u64(m.last.entry).u64(m.last.ordinal).i64(m.wall_offset.count());
}

void pack(Packer& out, const OutputBytes& m) {
  begin(out, Kind::output_bytes, m.correlation, 3).bytes(m.bytes).u64(m.total).boolean(m.terminal);
}

void pack(Packer& out, const EngineInfo& m) {
  begin(out, Kind::engine_info, m.correlation, 1).map(m.facts.size());
  for (const auto& [name, value] : m.facts) out.text(name).text(value);
}

void pack(Packer& out, const Pong& m) {
  begin(out, Kind::pong, m.correlation, 1).boolean(m.uncertain);
}

void pack(Packer& out, const Who& m) { begin(out, Kind::who, m.correlation, 0); }

// --- How long a frame gets at most, so that the hot ones are allocated once -------------------

constexpr std::size_t kFrameBytes = 64;  // kind, correlation, headers and numbers of a message
constexpr std::size_t kItemBytes = 64;   // the same of one item, its id included

template <typename Message>
std::size_t size_of(const Message&) {
  return kFrameBytes;
}

std::size_t size_of(const Submit& m) { return kFrameBytes + bytes_of(m.tasks); }

std::size_t size_of(const Settle& m) {
  std::size_t bytes = kFrameBytes;
  for (const Settle::Item& item : m.items) {
    bytes += kItemBytes + item.result.size() + item.content_type.size() + item.error.size();
    bytes += bytes_of(item.follow_ups) + jack::bytes_of(item.changes);
  }
  return bytes;
}

std::size_t size_of(const Output& m) {
  std::size_t bytes = kFrameBytes;
  for (const Output::Item& item : m.items) bytes += kItemBytes + item.bytes.size();
  return bytes;
}

std::size_t size_of(const Done& m) {
  std::size_t bytes = kFrameBytes;
  for (const Done::Item& item : m.items)
    bytes += item.code == Code::ok ? 1 : 8 + item.message.size();
  return bytes;
}

std::size_t size_of(const Deliver& m) {
  std::size_t bytes = kFrameBytes;
  for (const Deliver::Item& item : m.items) bytes += kItemBytes + item.spec.size();
  return bytes;
}

std::size_t size_of(const ResultMessage& m) {
  return kFrameBytes + kItemBytes + m.result.size() + m.content_type.size() + m.error.size();
}

std::size_t size_of(const TaskMessage& m) { return kFrameBytes + m.spec.size() + m.status.size(); }

std::size_t size_of(const Page& m) {
  std::size_t bytes = kFrameBytes;
  for (const Page::Item& item : m.tasks) bytes += 16 + item.spec.size() + item.status.size();
  return bytes;
}

std::size_t size_of(const Events& m) {
  std::size_t bytes = kFrameBytes;
  for (const std::string_view event : m.events) bytes += 5 + event.size();
  return bytes;
}

std::size_t size_of(const OutputBytes& m) { return kFrameBytes + m.bytes.size(); }

}  // namespace

template <typename Message>
std::string encode(const Message& message) {
  std::string frame;
  frame.reserve(size_of(message));
  Packer out(frame);
  pack(out, message);
  return frame;
}

template std::string encode(const Hello&);
template std::string encode(const Submit&);
template std::string encode(const Work&);
template std::string encode(const Settle&);
template std::string encode(const Extend&);
template std::string encode(const Output&);
template std::string encode(const Progress&);
template std::string encode(const Resume&);
template std::string encode(const Get&);
template std::string encode(const Wait&);
template std::string encode(const List&);
template std::string encode(const Cancel&);
template std::string encode(const Retry&);
template std::string encode(const Queues&);
template std::string encode(const Pause&);
template std::string encode(const Watch&);
template std::string encode(const Grant&);
template std::string encode(const Unwatch&);
template std::string encode(const ReadOutput&);
template std::string encode(const Info&);
template std::string encode(const Ping&);
template std::string encode(const Bye&);
template std::string encode(const Take&);
template std::string encode(const Annotate&);
template std::string encode(const Remove&);
template std::string encode(const Unwork&);
template std::string encode(const Welcome&);
template std::string encode(const Refused&);
template std::string encode(const Done&);
template std::string encode(const Deliver&);
template std::string encode(const Ended&);
template std::string encode(const ResultMessage&);
template std::string encode(const TaskMessage&);
template std::string encode(const Page&);
template std::string encode(const QueueList&);
template std::string encode(const Events&);
template std::string encode(const OutputBytes&);
template std::string encode(const EngineInfo&);
template std::string encode(const Pong&);
template std::string encode(const Who&);

}  // namespace jack::wire

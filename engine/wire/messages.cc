#include "engine/wire/messages.h"

#include <algorithm>

#include "engine/format/pack.h"

namespace jack::wire {
namespace {

// Longer spans of time are cut to this, so that they can be turned into nanoseconds.
constexpr Duration kDurationMax = std::chrono::hours{24 * 365 * 100};

// A declared count is believed only this far before the items have been seen.
constexpr std::size_t kReserveMax = 1024;

// --- What several messages hold ---------------------------------------------------------------

void pack_optional(Packer& out, const std::optional<Duration>& value) {
  value ? out.i64(value->count()) : out.nil();
}

void pack_blobs(Packer& out, const std::vector<std::string_view>& blobs) {
  out.array(blobs.size());
  for (const std::string_view blob : blobs) out.bytes(blob);
}

void pack_ids(Packer& out, const std::vector<TaskId>& ids) {
  out.array(ids.size());
  for (const TaskId& id : ids) out.id(id);
}

// No task is an empty text, not sixteen zeros.
void pack_optional_id(Packer& out, const TaskId& id) { id.empty() ? out.bytes({}) : out.id(id); }

Duration read_duration(Fields& fields) {
  const std::int64_t ms = fields.i64();
  if (ms < 0) fields.fail();
  return std::clamp(Duration{ms}, Duration{0}, kDurationMax);
}

std::optional<Duration> read_optional_duration(Fields& fields) {
  if (fields.nil()) return std::nullopt;
  return read_duration(fields);
}

TaskId read_optional_id(Fields& fields) {
  const std::string_view bytes = fields.bytes();
  if (bytes.empty()) return {};
  const std::optional<TaskId> id = TaskId::from_bytes(bytes);
  if (!id) fields.fail();
  return id.value_or(TaskId{});
}

std::uint32_t read_u32(Fields& fields, std::uint32_t max = UINT32_MAX) {
  return static_cast<std::uint32_t>(fields.u64(max));
}

LeaseToken read_token(Fields& fields) { return {fields.u64()}; }

// Reads an array of elements. `read` takes what remains of the array and returns the next one.
// Elements are kept only while they are well-formed, so that memory is bounded by the frame.
template <typename Element, typename Read>
std::vector<Element> read_list(Fields& fields, Read read) {
  Fields list = fields.array();
  std::vector<Element> elements;
  elements.reserve(std::min<std::size_t>(list.remaining(), kReserveMax));
  while (list.more()) {
    elements.push_back(read(list));
    if (list.failed()) fields.fail();
  }
  return elements;
}

// The same where each element is an array of its own.
template <typename Item, typename Read>
std::vector<Item> read_items(Fields& fields, Read read) {
  return read_list<Item>(fields, [&](Fields& list) {
    Fields inner = list.array();
    Item item = read(inner);
    if (inner.failed()) list.fail();
    return item;
  });
}

std::vector<std::string_view> read_blobs(Fields& fields) {
  return read_list<std::string_view>(fields, [](Fields& list) { return list.bytes(); });
}

std::vector<TaskId> read_ids(Fields& fields) {
  return read_list<TaskId>(fields, [](Fields& list) { return list.id(); });
}

Packer& begin(Packer& out, Kind kind, Correlation correlation, std::size_t fields) {
  return out.array(2 + fields).u64(static_cast<std::uint64_t>(kind)).u64(correlation);
}

// --- Encoding: one function per message -------------------------------------------------------

void pack(Packer& out, const Hello& m) {
  begin(out, Kind::hello, m.correlation, 2).u64(m.version).text(m.name);
}

void pack(Packer& out, const Submit& m) {
  begin(out, Kind::submit, m.correlation, 1);
  pack_blobs(out, m.specs);
}

void pack(Packer& out, const Work& m) {
  begin(out, Kind::work, m.correlation, 4).u64(m.subscription).i64(m.credit).i64(m.lease.count());
  out.array(m.queues.size());
  for (const std::string_view queue : m.queues) out.text(queue);
}

void pack(Packer& out, const Settle::Item& item) {
  const auto outcome = static_cast<std::uint64_t>(item.outcome);
  const std::size_t more = item.outcome == Outcome::released ? 1 : 3;
  out.array(4 + more).id(item.task).u64(item.token.value).u64(outcome).boolean(item.again);
  if (item.outcome == Outcome::succeeded) {
    out.bytes(item.result).text(item.content_type);
    pack_blobs(out, item.follow_ups);
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
  begin(out, Kind::get, m.correlation, 2).id(m.task).boolean(m.with_payload);
}

void pack(Packer& out, const Wait& m) {
  begin(out, Kind::wait, m.correlation, 2).id(m.task).i64(m.wait.count());
}

void pack(Packer& out, const List& m) {
  const std::size_t filters = (m.queue.empty() ? 0u : 1u) + (m.state ? 1u : 0u) +
                              (m.before.empty() ? 0u : 1u) + (m.finished_too ? 0u : 1u);
  begin(out, Kind::list, m.correlation, 1).map(1 + filters).text("count").u64(m.count);
  if (!m.queue.empty()) out.text("queue").text(m.queue);
  if (m.state) out.text("state").u64(static_cast<std::uint64_t>(*m.state));
  if (!m.before.empty()) out.text("before").id(m.before);
  if (!m.finished_too) out.text("finished").boolean(false);
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
  out.boolean(m.more).i64(m.wall_offset.count());
}

void pack(Packer& out, const QueueItem& queue) {
  out.array(10).text(queue.name).boolean(queue.paused);
  out.u64(queue.scheduled).u64(queue.queued).u64(queue.running);
  out.u64(queue.succeeded).u64(queue.failed).u64(queue.cancelled).u64(queue.expired);
  out.u64(queue.workers);
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

std::size_t size_of(const Submit& m) {
  std::size_t bytes = kFrameBytes;
  for (const std::string_view spec : m.specs) bytes += 5 + spec.size();
  return bytes;
}

std::size_t size_of(const Settle& m) {
  std::size_t bytes = kFrameBytes;
  for (const Settle::Item& item : m.items) {
    bytes += kItemBytes + item.result.size() + item.content_type.size() + item.error.size();
    for (const std::string_view spec : item.follow_ups) bytes += 5 + spec.size();
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

// --- Decoding: one function per message with fields -------------------------------------------

Hello read_hello(Correlation correlation, Fields& fields) {
  Hello m;
  m.correlation = correlation;
  m.version = fields.u64();
  m.name = fields.text();
  return m;
}

Submit read_submit(Correlation correlation, Fields& fields) {
  return {correlation, read_blobs(fields)};
}

Work read_work(Correlation correlation, Fields& fields) {
  Work m;
  m.correlation = correlation;
  m.subscription = read_u32(fields);
  m.credit = fields.i64();
  m.lease = read_duration(fields);
  m.queues = read_list<std::string_view>(fields, [](Fields& list) { return list.text(); });
  return m;
}

Settle::Item read_settle_item(Fields& fields) {
  Settle::Item item;
  item.task = fields.id();
  item.token = read_token(fields);
  item.outcome = static_cast<Outcome>(fields.u64(UINT8_MAX));
  item.again = fields.boolean();
  if (item.outcome == Outcome::succeeded) {
    item.result = fields.bytes();
    item.content_type = fields.text();
    item.follow_ups = read_blobs(fields);
  } else if (item.outcome == Outcome::failed) {
    item.error = fields.text();
    item.retry = fields.boolean();
    item.delay = read_optional_duration(fields);
  } else if (item.outcome == Outcome::released) {
    item.delay = read_optional_duration(fields);
  } else {
    fields.fail();  // the other outcomes are the engine's to say
  }
  return item;
}

Settle read_settle(Correlation correlation, Fields& fields) {
  return {correlation, read_items<Settle::Item>(fields, read_settle_item)};
}

Extend read_extend(Correlation correlation, Fields& fields) {
  return {correlation, read_items<Extend::Item>(fields, [](Fields& item) {
            const TaskId task = item.id();
            const LeaseToken token = read_token(item);
            return Extend::Item{task, token, read_duration(item)};
          })};
}

Output read_output(Correlation correlation, Fields& fields) {
  return {correlation, read_items<Output::Item>(fields, [](Fields& item) {
            const TaskId task = item.id();
            const LeaseToken token = read_token(item);
            return Output::Item{task, token, item.bytes()};
          })};
}

Progress read_progress(Correlation correlation, Fields& fields) {
  return {correlation, read_items<Progress::Item>(fields, [](Fields& item) {
            const TaskId task = item.id();
            const LeaseToken token = read_token(item);
            const std::uint32_t permille = read_u32(item, 1000);
            return Progress::Item{task, token, permille, item.text()};
          })};
}

Resume read_resume(Correlation correlation, Fields& fields) {
  Resume m;
  m.correlation = correlation;
  m.subscription = read_u32(fields);
  m.items = read_items<Resume::Item>(fields, [](Fields& item) {
    const TaskId task = item.id();
    return Resume::Item{task, read_token(item)};
  });
  return m;
}

Get read_get(Correlation correlation, Fields& fields) {
  Get m;
  m.correlation = correlation;
  m.task = fields.id();
  m.with_payload = fields.boolean();
  return m;
}

Wait read_wait(Correlation correlation, Fields& fields) {
  Wait m;
  m.correlation = correlation;
  m.task = fields.id();
  m.wait = read_duration(fields);
  return m;
}

List read_list_request(Correlation correlation, Fields& fields) {
  List m;
  m.correlation = correlation;
  Fields filters = fields.map();
  while (filters.more()) {
    const std::string_view name = filters.text();
    if (name == "queue") {
      m.queue = filters.text();
    } else if (name == "state") {
      m.state = static_cast<TaskState>(filters.u64(static_cast<std::uint64_t>(TaskState::expired)));
    } else if (name == "before") {
      m.before = read_optional_id(filters);
    } else if (name == "count") {
      m.count = read_u32(filters);
    } else if (name == "finished") {
      m.finished_too = filters.boolean();
    } else {
      filters.fail();  // a filter that is left out would show more than was asked for
    }
  }
  if (filters.failed()) fields.fail();
  return m;
}

Cancel read_cancel(Correlation correlation, Fields& fields) {
  Cancel m;
  m.correlation = correlation;
  m.tasks = read_ids(fields);
  m.reason = fields.text();
  return m;
}

Retry read_retry(Correlation correlation, Fields& fields) {
  return {correlation, read_ids(fields)};
}

Pause read_pause(Correlation correlation, Fields& fields) {
  Pause m;
  m.correlation = correlation;
  m.queue = fields.text();
  m.paused = fields.boolean();
  return m;
}

Watch read_watch(Correlation correlation, Fields& fields) {
  Watch m;
  m.correlation = correlation;
  m.task = read_optional_id(fields);
  m.queue = fields.text();
  if (!fields.nil()) m.after = Position{fields.u64(), 0};
  const std::uint32_t ordinal = read_u32(fields);
  if (m.after) m.after->ordinal = ordinal;
  m.credit = read_u32(fields);
  return m;
}

Grant read_grant(Correlation correlation, Fields& fields) {
  Grant m;
  m.correlation = correlation;
  m.watch = fields.u64();
  m.credit = read_u32(fields);
  return m;
}

ReadOutput read_read_output(Correlation correlation, Fields& fields) {
  ReadOutput m;
  m.correlation = correlation;
  m.task = fields.id();
  m.offset = fields.u64();
  m.bytes_max = fields.u64();
  return m;
}

Welcome read_welcome(Correlation correlation, Fields& fields) {
  Welcome m;
  m.correlation = correlation;
  m.version = fields.u64();
  m.engine = fields.bytes();
  m.incarnation = fields.bytes();
  m.lease_default = read_duration(fields);
  m.payload_bytes_max = fields.u64();
  m.result_bytes_max = fields.u64();
  return m;
}

Refused read_refused(Correlation correlation, Fields& fields) {
  Refused m;
  m.correlation = correlation;
  m.code = static_cast<Code>(fields.u64(UINT8_MAX));
  m.message = fields.text();
  return m;
}

Done::Item read_done_item(Fields& list) {
  Done::Item item;
  Fields number = list;  // tried first, because nearly all items are plain
  const std::uint64_t repeated = number.u64(1);
  if (!number.failed()) {
    list = number;
    item.repeated = repeated != 0;
    return item;
  }
  Fields error = list.array();
  item.code = static_cast<Code>(error.u64(UINT8_MAX));
  item.message = error.text();
  if (error.failed() || item.code == Code::ok) list.fail();
  return item;
}

Done read_done(Correlation correlation, Fields& fields) {
  return {correlation, read_list<Done::Item>(fields, read_done_item)};
}

Deliver read_deliver(Fields& fields) {
  Deliver m;
  m.subscription = read_u32(fields);
  m.items = read_items<Deliver::Item>(fields, [](Fields& item) {
    const LeaseToken token = read_token(item);
    const std::uint32_t attempt = read_u32(item);
    const Duration lease = read_duration(item);
    return Deliver::Item{token, attempt, lease, item.bytes()};
  });
  return m;
}

Ended read_ended(Fields& fields) {
  return {read_items<Ended::Item>(fields, [](Fields& item) {
    const TaskId task = item.id();
    const LeaseToken token = read_token(item);
    const auto outcome = static_cast<Outcome>(item.u64(UINT8_MAX));
    return Ended::Item{task, token, outcome, item.text()};
  })};
}

ResultMessage read_result(Correlation correlation, Fields& fields) {
  ResultMessage m;
  m.correlation = correlation;
  m.task = fields.id();
  m.state = static_cast<TaskState>(fields.u64(static_cast<std::uint64_t>(TaskState::expired)));
  m.result = fields.bytes();
  m.content_type = fields.text();
  m.error = fields.text();
  return m;
}

TaskMessage read_task(Correlation correlation, Fields& fields) {
  TaskMessage m;
  m.correlation = correlation;
  m.spec = fields.bytes();
  m.status = fields.bytes();
  m.wall_offset = Duration{fields.i64()};
  return m;
}

Page read_page(Correlation correlation, Fields& fields) {
  Page m;
  m.correlation = correlation;
  m.tasks = read_items<Page::Item>(fields, [](Fields& item) {
    const std::string_view spec = item.bytes();
    return Page::Item{spec, item.bytes()};
  });
  m.more = fields.boolean();
  m.wall_offset = Duration{fields.i64()};
  return m;
}

QueueItem read_queue_item(Fields& fields) {
  QueueItem queue;
  queue.name = fields.text();
  queue.paused = fields.boolean();
  queue.scheduled = fields.u64();
  queue.queued = fields.u64();
  queue.running = fields.u64();
  queue.succeeded = fields.u64();
  queue.failed = fields.u64();
  queue.cancelled = fields.u64();
  queue.expired = fields.u64();
  queue.workers = fields.u64();
  return queue;
}

QueueList read_queue_list(Correlation correlation, Fields& fields) {
  return {correlation, read_items<QueueItem>(fields, read_queue_item)};
}

Events read_events(Correlation correlation, Fields& fields) {
  Events m;
  m.correlation = correlation;
  m.events = read_blobs(fields);
  m.last.entry = fields.u64();
  m.last.ordinal = read_u32(fields);
  m.wall_offset = Duration{fields.i64()};
  return m;
}

OutputBytes read_output_bytes(Correlation correlation, Fields& fields) {
  OutputBytes m;
  m.correlation = correlation;
  m.bytes = fields.bytes();
  m.total = fields.u64();
  m.terminal = fields.boolean();
  return m;
}

EngineInfo read_engine_info(Correlation correlation, Fields& fields) {
  EngineInfo m;
  m.correlation = correlation;
  Fields facts = fields.map();
  while (facts.more()) {
    const std::string_view name = facts.text();
    m.facts.emplace_back(name, facts.text());
  }
  if (facts.failed()) fields.fail();
  return m;
}

// Nothing where the kind is not one of a request.
std::optional<Request> read_request(Kind kind, Correlation correlation, Fields& fields) {
  switch (kind) {
    case Kind::hello: return read_hello(correlation, fields);
    case Kind::submit: return read_submit(correlation, fields);
    case Kind::work: return read_work(correlation, fields);
    case Kind::settle: return read_settle(correlation, fields);
    case Kind::extend: return read_extend(correlation, fields);
    case Kind::output: return read_output(correlation, fields);
    case Kind::progress: return read_progress(correlation, fields);
    case Kind::resume: return read_resume(correlation, fields);
    case Kind::get: return read_get(correlation, fields);
    case Kind::wait: return read_wait(correlation, fields);
    case Kind::list: return read_list_request(correlation, fields);
    case Kind::cancel: return read_cancel(correlation, fields);
    case Kind::retry: return read_retry(correlation, fields);
    case Kind::queues: return Queues{correlation};
    case Kind::pause: return read_pause(correlation, fields);
    case Kind::watch: return read_watch(correlation, fields);
    case Kind::grant: return read_grant(correlation, fields);
    case Kind::unwatch: return Unwatch{correlation, fields.u64()};
    case Kind::read_output: return read_read_output(correlation, fields);
    case Kind::info: return Info{correlation};
    case Kind::ping: return Ping{correlation};
    case Kind::bye: return Bye{correlation};
    default: return std::nullopt;
  }
}

// Nothing where the kind is not one that engines send.
std::optional<Reply> read_reply(Kind kind, Correlation correlation, Fields& fields) {
  switch (kind) {
    case Kind::welcome: return read_welcome(correlation, fields);
    case Kind::refused: return read_refused(correlation, fields);
    case Kind::done: return read_done(correlation, fields);
    case Kind::deliver: return read_deliver(fields);
    case Kind::ended: return read_ended(fields);
    case Kind::result: return read_result(correlation, fields);
    case Kind::task: return read_task(correlation, fields);
    case Kind::page: return read_page(correlation, fields);
    case Kind::queue_list: return read_queue_list(correlation, fields);
    case Kind::events: return read_events(correlation, fields);
    case Kind::output_bytes: return read_output_bytes(correlation, fields);
    case Kind::engine_info: return read_engine_info(correlation, fields);
    case Kind::pong: return Pong{correlation, fields.boolean()};
    case Kind::who: return Who{correlation};
    default: return std::nullopt;
  }
}

template <typename Message, typename Read>
Result<Message> decode(Unpacker& unpacker, std::string_view frame, Read read) {
  Result<Fields> unpacked = unpacker.unpack(frame);
  if (!unpacked) return std::move(unpacked).error();
  Fields& fields = *unpacked;
  const std::uint64_t kind = fields.u64(UINT8_MAX);
  const Correlation correlation = fields.u64();
  if (fields.failed()) {
    return Error{Code::invalid_argument, "a message begins with its kind and a correlation"};
  }
  std::optional<Message> message = read(static_cast<Kind>(kind), correlation, fields);
  if (!message) {
    return Error{Code::unsupported, "message kind " + std::to_string(kind) + " is not known here"};
  }
  if (fields.failed()) {
    return Error{Code::invalid_argument,
                 "the fields of message kind " + std::to_string(kind) + " are malformed"};
  }
  return *std::move(message);
}

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

Result<Request> decode_request(Unpacker& unpacker, std::string_view frame) {
  return decode<Request>(unpacker, frame, read_request);
}

Result<Reply> decode_reply(Unpacker& unpacker, std::string_view frame) {
  return decode<Reply>(unpacker, frame, read_reply);
}

Correlation correlation_of(Unpacker& unpacker, std::string_view frame) {
  Result<Fields> fields = unpacker.unpack(frame);
  if (!fields) return 0;
  fields->skip();
  const Correlation correlation = fields->u64();
  return fields->failed() ? 0 : correlation;
}

}  // namespace jack::wire

// Frames to messages: one function per message that has fields.
#include <algorithm>

#include "engine/wire/messages.h"

namespace jack::wire {
namespace {

// Longer spans of time are cut to this, so that they can be turned into nanoseconds.
constexpr Duration kDurationMax = std::chrono::hours{24 * 365 * 100};

// A declared count is believed only this far before the items have been seen.
constexpr std::size_t kReserveMax = 1024;

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

NewTask read_new_task(Fields& list) {
  Fields plain = list;  // tried first, because nearly all are
  const std::string_view spec = plain.bytes();
  if (!plain.failed()) {
    list = plain;
    return spec;
  }
  Fields more = list.array();
  NewTask task = more.bytes();
  if (!more.nil()) task.result = more.bytes();
  task.content_type = more.text();
  task.other_ids = read_list<TaskId>(more, [](Fields& ids) { return ids.id(); });
  if (more.more()) task.annotations = read_annotation_changes(more);
  if (more.failed()) list.fail();
  return task;
}

std::vector<NewTask> read_new_tasks(Fields& fields) {
  return read_list<NewTask>(fields, read_new_task);
}

std::vector<TaskId> read_ids(Fields& fields) {
  return read_list<TaskId>(fields, [](Fields& list) { return list.id(); });
}

Hello read_hello(Correlation correlation, Fields& fields) {
  Hello m;
  m.correlation = correlation;
  m.version = fields.u64();
  m.name = fields.text();
  if (fields.more()) m.key = fields.text();
  if (fields.more()) m.answers = fields.text();
  return m;
}

Submit read_submit(Correlation correlation, Fields& fields) {
  return {correlation, read_new_tasks(fields)};
}

Work read_work(Correlation correlation, Fields& fields) {
  Work m;
  m.correlation = correlation;
  m.subscription = read_u32(fields);
  m.credit = fields.i64();
  m.lease = read_duration(fields);
  m.queues = read_list<std::string_view>(fields, [](Fields& list) { return list.text(); });
  if (fields.more()) m.own_signs = fields.boolean();
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
    item.follow_ups = read_new_tasks(fields);
    if (fields.more()) item.changes = read_annotation_changes(fields);
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
  Fields number = fields;
  m.number = number.u64();
  if (number.failed()) {
    m.number = 0;
    m.task = fields.id();
  } else {
    fields = number;
  }
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
    } else if (name == "type") {
      m.type = filters.text();
    } else if (name == "parent") {
      m.parent = read_optional_id(filters);
    } else if (name == "from_ms") {
      m.from_ms = filters.i64();
    } else if (name == "to_ms") {
      m.to_ms = filters.i64();
    } else if (name == "payloads") {
      m.payloads = filters.boolean();
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

Take read_take(Correlation correlation, Fields& fields) {
  Take m;
  m.correlation = correlation;
  m.subscription = read_u32(fields);
  m.tasks = read_ids(fields);
  return m;
}

Annotate read_annotate(Correlation correlation, Fields& fields) {
  return {correlation, read_items<Annotate::Item>(fields, [](Fields& item) {
            Annotate::Item read;
            read.task = item.id();
            read.changes = read_annotation_changes(item);
            return read;
          })};
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
  m.next = read_optional_id(fields);
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
  queue.oldest = read_duration(fields);
  queue.arriving_milli = fields.u64();
  queue.leaving_milli = fields.u64();
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
    case Kind::take: return read_take(correlation, fields);
    case Kind::annotate: return read_annotate(correlation, fields);
    case Kind::remove: return Remove{correlation, read_ids(fields)};
    case Kind::unwork: return Unwork{correlation, read_u32(fields)};
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
Result<Message> decode(Result<Fields> unpacked, Read read) {
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

Result<Request> decode_request(Unpacker& unpacker, std::string_view frame) {
  return decode<Request>(unpacker.unpack(frame), read_request);
}

Result<Reply> decode_reply(Unpacker& unpacker, std::string_view frame) {
  return decode<Reply>(unpacker.unpack(frame, kReplyTokensMax), read_reply);
}

Correlation correlation_of(Unpacker& unpacker, std::string_view frame) {
  Fields fields = unpacker.unpack_begin(frame, 2);
  fields.u64();  // the kind
  const Correlation correlation = fields.u64();
  return fields.failed() ? 0 : correlation;
}

}  // namespace jack::wire

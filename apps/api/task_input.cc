#include "apps/api/task_input.h"

#include <charconv>
#include <cmath>
#include <optional>

#include <nlohmann/json.hpp>

#include "apps/strict_json.h"
#include "apps/text/base64.h"
#include "apps/text/date.h"
#include "engine/format/spec.h"

namespace jack::api {
namespace {

using Json = nlohmann::ordered_json;

// Whole numbers beyond this do not survive every JSON reader.
constexpr std::int64_t kWholeMax = (std::int64_t{1} << 53) - 1;

class SpecReader {
 public:
  SpecReader(const Json& object, std::string place, std::string_view queue)
      : object_(object), place_(std::move(place)), queue_(queue) {}

  Input<TaskSpec> read() {
    if (!object_.is_object()) return wrong({}, "a task is a JSON object");
    for (const auto& [name, value] : object_.items()) {
      if (!read_field(name, value)) {
        return failure_ ? std::move(*failure_) : wrong(name, "is no field of a task");
      }
    }
    if (spec_.queue.empty()) spec_.queue = queue_;
    if (spec_.queue.empty()) return wrong("queue", "is missing");
    if (!queue_.empty() && spec_.queue != queue_) {
      return wrong("queue", "is not the queue of the path");
    }
    return std::move(spec_);
  }

 private:
  InputError wrong(const std::string& field, const std::string& what) const {
    const std::string path = field.empty() ? place_ : place_.empty() ? field : place_ + "." + field;
    return {{Code::invalid_argument, path.empty() ? what : path + " " + what}, path};
  }
  bool fail(const std::string& field, const std::string& what) {
    if (!failure_) failure_ = wrong(field, what);
    return false;
  }

  bool read_field(const std::string& name, const Json& value) {
    if (name == "id") return read_id(name, value, spec_.id);
    if (name == "parent") return read_id(name, value, spec_.parent);
    if (name == "queue") return read_text(name, value, spec_.queue);
    if (name == "type") return read_text(name, value, spec_.type);
    if (name == "content_type") return read_text(name, value, spec_.content_type);
    if (name == "reply_to") return read_text(name, value, spec_.reply_to);
    if (name == "from") return read_text(name, value, spec_.from);
    if (name == "payload") return read_payload(name, value.dump(), "application/json");
    if (name == "payload_text") return read_payload_text(name, value);
    if (name == "payload_base64") return read_payload_base64(name, value);
    if (name == "priority") return read_priority(name, value);
    if (name == "not_before") return read_date(name, value, spec_.not_before);
    if (name == "expires_at") return read_date(name, value, spec_.expires_at);
    if (name == "delay_ms") return read_span(name, value, spec_.delay);
    if (name == "expires_in_ms") return read_span(name, value, spec_.expires_in);
    if (name == "timeout_ms") return read_span(name, value, spec_.timeout);
    if (name == "max_attempts") return read_count(name, value, spec_.max_attempts);
    if (name == "backoff") return read_backoff(value);
    if (name == "headers") return read_headers(name, value);
    return false;
  }

  bool read_text(const std::string& name, const Json& value, std::string& target) {
    if (!value.is_string()) return fail(name, "must be a text");
    target = value.get<std::string>();
    return true;
  }

  bool read_id(const std::string& name, const Json& value, TaskId& target) {
    std::string text;
    if (!read_text(name, value, text)) return false;
    const std::optional<TaskId> id = TaskId::parse(text);
    if (!id) return fail(name, "must be a UUID of version 7");
    target = *id;
    return true;
  }

  bool read_payload(const std::string& name, std::string bytes, const char* content_type) {
    if (has_payload_) return fail(name, "is a second payload: give one");
    has_payload_ = true;
    spec_.payload = std::move(bytes);
    if (!object_.contains("content_type")) spec_.content_type = content_type;
    return true;
  }

  bool read_payload_text(const std::string& name, const Json& value) {
    std::string text;
    return read_text(name, value, text) && read_payload(name, std::move(text), "text/plain");
  }

  bool read_payload_base64(const std::string& name, const Json& value) {
    std::string text;
    if (!read_text(name, value, text)) return false;
    std::optional<std::string> bytes = app::from_base64(text);
    if (!bytes) return fail(name, "must be base64 (RFC 4648)");
    return read_payload(name, *std::move(bytes), "");
  }

  bool read_priority(const std::string& name, const Json& value) {
    std::string text;
    if (!read_text(name, value, text)) return false;
    const std::optional<Priority> priority = priority_from(text);
    if (!priority) return fail(name, "must be low, normal, high or urgent");
    spec_.priority = *priority;
    return true;
  }

  bool read_date(const std::string& name, const Json& value, std::optional<WallTime>& target) {
    std::string text;
    if (!read_text(name, value, text)) return false;
    const Result<WallTime> date = app::parse_date(text);
    if (!date) return fail(name, "must be a date such as 2026-01-31T12:00:00Z");
    target = *date;
    return true;
  }

  std::optional<std::int64_t> whole(const std::string& name, const Json& value) {
    const bool fits = value.is_number_integer() && value.get<double>() >= 0 &&
                      value.get<double>() <= static_cast<double>(kWholeMax);
    if (!fits) {
      fail(name, "must be a whole number from 0 to 2^53 - 1");
      return std::nullopt;
    }
    return value.get<std::int64_t>();
  }

  bool read_span(const std::string& name, const Json& value, Duration& target) {
    const std::optional<std::int64_t> ms = whole(name, value);
    if (ms) target = Duration{*ms};
    return ms.has_value();
  }

  bool read_count(const std::string& name, const Json& value, std::uint32_t& target) {
    const std::optional<std::int64_t> count = whole(name, value);
    if (!count) return false;
    if (*count > UINT32_MAX) return fail(name, "is too large");
    target = static_cast<std::uint32_t>(*count);
    return true;
  }

  bool read_permille(const std::string& name, const Json& value, std::uint32_t& target) {
    const double number = value.is_number() ? value.get<double>() : -1;
    if (!(number >= 0 && number <= 1e6)) return fail(name, "must be a number from 0 to 1000000");
    target = static_cast<std::uint32_t>(std::lround(number * 1000));
    return true;
  }

  bool read_backoff(const Json& value) {
    if (!value.is_object()) return fail("backoff", "must be an object");
    for (const auto& [name, part] : value.items()) {
      const std::string field = "backoff." + name;
      const bool read =
          name == "initial_ms" ? read_span(field, part, spec_.backoff.initial)
          : name == "max_ms"   ? read_span(field, part, spec_.backoff.max)
          : name == "factor"   ? read_permille(field, part, spec_.backoff.factor_permille)
          : name == "jitter"   ? read_permille(field, part, spec_.backoff.jitter_permille)
                               : fail(field, "is no part of a back-off");
      if (!read) return false;
    }
    return true;
  }

  bool read_headers(const std::string& name, const Json& value) {
    if (!value.is_object()) return fail(name, "must be an object of texts");
    for (const auto& [header, text] : value.items()) {
      if (!read_text(name + "." + header, text, spec_.headers[header])) return false;
    }
    return true;
  }

  const Json& object_;
  const std::string place_;
  const std::string_view queue_;
  TaskSpec spec_;
  bool has_payload_ = false;
  std::optional<InputError> failure_;
};

// Numbers and objects of JSON have the same text in a query.
Json value_of(const std::string& name, const std::string& text) {
  const bool is_number = name.ends_with("_ms") || name == "max_attempts";
  if (!is_number) return text;
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end ? Json(number) : Json(text);
}

}  // namespace

Input<TaskInput> tasks_from_json(std::string_view body, std::string_view queue,
                                 std::size_t tasks_max) {
  Result<Json> json = app::parse_json(body);
  if (!json) return InputError{json.error(), {}};
  TaskInput input;
  if (!json->is_object() || !json->contains("tasks")) {
    Input<TaskSpec> spec = SpecReader(*json, {}, queue).read();
    if (!spec) return spec.error();
    input.specs.push_back(std::move(*spec));
    return input;
  }
  input.is_batch = true;
  const Json& tasks = (*json)["tasks"];
  if (json->size() != 1 || !tasks.is_array()) {
    return InputError{
        {Code::invalid_argument, "several tasks are {\"tasks\": [...]} and nothing else"}, "tasks"};
  }
  if (tasks.empty() || tasks.size() > tasks_max) {
    return InputError{{Code::invalid_argument, "tasks must hold 1 to " + std::to_string(tasks_max) +
                                                   " tasks, not " + std::to_string(tasks.size())},
                      "tasks"};
  }
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    Input<TaskSpec> spec = SpecReader(tasks[i], "tasks[" + std::to_string(i) + "]", queue).read();
    if (!spec) return spec.error();
    input.specs.push_back(std::move(*spec));
  }
  return input;
}

Input<TaskSpec> task_from_raw(const http::Request& request, std::string_view queue) {
  Json fields = Json::object();
  Json headers = Json::object();
  for (const http::Field& field : request.query) {
    if (field.name.starts_with("headers.")) {
      headers[field.name.substr(8)] = field.value;
    } else if (field.name.starts_with("payload") || field.name == "backoff" ||
               field.name == "headers") {
      return InputError{{Code::invalid_argument, field.name + " cannot stand in the query"},
                        field.name};
    } else {
      fields[field.name] = value_of(field.name, field.value);
    }
  }
  if (!headers.empty()) fields["headers"] = std::move(headers);
  Input<TaskSpec> spec = SpecReader(fields, {}, queue).read();
  if (!spec) return spec;
  spec->payload = request.body;
  const std::string* const type = request.header("content-type");
  if (spec->content_type.empty() && type != nullptr) spec->content_type = *type;
  return spec;
}

namespace {

// What the engine says of a spec, leaving out what is no matter of form.
Result<void> judge(const TaskSpec& spec, const Limits& limits) {
  std::string bytes;
  encode(spec, bytes);
  Unpacker unpacker;
  const Result<SpecView> view = decode_spec(unpacker, bytes);
  if (!view) return view.error();
  const Result<void> checked = check(*view, limits);
  return !checked && checked.error().code == Code::invalid_argument ? checked : Result<void>();
}

// Fields, and how one spec gets them of another. Those that are judged together stand last.
struct Part {
  const char* field;
  void (*copy)(const TaskSpec& from, TaskSpec& to);
};
constexpr Part kParts[] = {
    {"id", [](const TaskSpec& from, TaskSpec& to) { to.id = from.id; }},
    {"queue", [](const TaskSpec& from, TaskSpec& to) { to.queue = from.queue; }},
    {"type", [](const TaskSpec& from, TaskSpec& to) { to.type = from.type; }},
    {"content_type",
     [](const TaskSpec& from, TaskSpec& to) { to.content_type = from.content_type; }},
    {"from", [](const TaskSpec& from, TaskSpec& to) { to.from = from.from; }},
    {"reply_to", [](const TaskSpec& from, TaskSpec& to) { to.reply_to = from.reply_to; }},
    {"max_attempts",
     [](const TaskSpec& from, TaskSpec& to) { to.max_attempts = from.max_attempts; }},
    {"delay_ms", [](const TaskSpec& from, TaskSpec& to) { to.delay = from.delay; }},
    {"expires_in_ms", [](const TaskSpec& from, TaskSpec& to) { to.expires_in = from.expires_in; }},
    {"timeout_ms", [](const TaskSpec& from, TaskSpec& to) { to.timeout = from.timeout; }},
    {"backoff.initial_ms",
     [](const TaskSpec& from, TaskSpec& to) { to.backoff.initial = from.backoff.initial; }},
    {"backoff.max_ms",
     [](const TaskSpec& from, TaskSpec& to) { to.backoff.max = from.backoff.max; }},
    {"backoff.factor",
     [](const TaskSpec& from, TaskSpec& to) {
       to.backoff.factor_permille = from.backoff.factor_permille;
     }},
    {"backoff.jitter",
     [](const TaskSpec& from, TaskSpec& to) {
       to.backoff.jitter_permille = from.backoff.jitter_permille;
     }},
    {"headers", [](const TaskSpec& from, TaskSpec& to) { to.headers = from.headers; }},
    {"not_before",
     [](const TaskSpec& from, TaskSpec& to) {
       to.not_before = from.not_before;
       to.delay = from.delay;
     }},
    {"expires_at",
     [](const TaskSpec& from, TaskSpec& to) {
       to.expires_at = from.expires_at;
       to.expires_in = from.expires_in;
     }},
};

}  // namespace

std::optional<InputError> fault_in(const TaskSpec& spec, const Limits& limits,
                                   const std::string& place) {
  const Result<void> judged = judge(spec, limits);
  if (judged) return std::nullopt;
  for (const Part& part : kParts) {
    TaskSpec alone;
    alone.id = TaskId::from(WallTime{}, 0, 0);
    alone.queue = "q";
    alone.max_attempts = 1;  // whatever the limits are
    alone.backoff = {Duration{0}, 1000, Duration{0}, 0};
    part.copy(spec, alone);
    const Result<void> refused = judge(alone, limits);
    if (!refused)
      return InputError{refused.error(), place.empty() ? part.field : place + "." + part.field};
  }
  return InputError{judged.error(), place};
}

std::optional<InputError> fault_in_queue(const std::string& field, std::string_view name) {
  if (is_queue_name(name)) return std::nullopt;
  return InputError{{Code::invalid_argument, kQueueNameRule}, field};
}

}  // namespace jack::api

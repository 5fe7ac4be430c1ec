// Bodies of HTTP requests that hand in tasks or say something of them.
#include <nlohmann/json.hpp>

#include "apps/api/input.h"
#include "apps/api/task_input.h"
#include "apps/strict_json.h"
#include "engine/format/spec.h"
#include "tests/fuzz/target.h"

namespace jack {
namespace {

constexpr std::size_t kTasksMax = 100;

// What was read can be written and read back as the same.
void check(TaskSpec spec) {
  JACK_ASSERT(!spec.queue.empty());
  if (spec.id.empty()) spec.id = TaskId::from(WallTime{Duration{1}}, 2, 3);
  std::string bytes;
  encode(spec, bytes);
  Unpacker unpacker;
  const Result<SpecView> view = decode_spec(unpacker, bytes);
  if (!view) return;  // beyond the bounds of a format, which engines check
  JACK_ASSERT(to_spec(*view) == spec);
}

void check_tasks(std::string_view bytes, std::string_view queue) {
  api::Input<api::TaskInput> input = api::tasks_from_json(bytes, queue, kTasksMax);
  if (!input) {
    JACK_ASSERT(input.error().error.code == Code::invalid_argument);
    JACK_ASSERT(!input.error().error.message.empty());
    return;
  }
  JACK_ASSERT(!input->specs.empty() && input->specs.size() <= kTasksMax);
  for (const TaskSpec& spec : input->specs) {
    JACK_ASSERT(queue.empty() || spec.queue == queue);
    check(spec);
  }
}

// As what workers say.
void check_fields(std::string_view bytes) {
  Result<nlohmann::ordered_json> json = app::parse_json(bytes);
  if (!json || !json->is_object()) return;
  const api::Fields fields(*std::move(json), "tasks[0]");
  static_cast<void>(fields.text("error"));
  static_cast<void>(fields.flag("retry", true));
  static_cast<void>(fields.content("result"));
  if (auto fraction = fields.fraction("fraction")) {
    JACK_ASSERT(*fraction >= 0 && *fraction <= 1);
  }
  if (auto delay = fields.span("retry_in_ms"); delay && *delay) {
    JACK_ASSERT(**delay >= Duration{0});
  }
}

// The same bytes as a raw body, and as the query of one.
void check_raw(std::string_view bytes) {
  http::Request request;
  request.body = bytes;
  const std::size_t at = bytes.find('=');
  if (at != bytes.npos) {
    request.query.push_back({std::string(bytes.substr(0, at)), std::string(bytes.substr(at + 1))});
  }
  if (api::Input<TaskSpec> spec = api::task_from_raw(request, "queue")) check(*spec);
}

}  // namespace

void fuzz(std::string_view bytes) {
  check_tasks(bytes, "");
  check_tasks(bytes, "queue");
  check_fields(bytes);
  check_raw(bytes);
}

}  // namespace jack

#include "apps/tasks/task_json.h"

#include "apps/cli/values.h"
#include "apps/tasks/task_text.h"
#include "apps/text/date.h"

namespace jack::app {
namespace {

std::string date_text(Instant at) { return app::date_text(date_of(at)); }

void set_unless_empty(Json& json, std::string_view name, const std::string& text) {
  if (!text.empty()) json.set(name, text);
}

// Durations in milliseconds, as everywhere in JSON.
void set_unless_zero(Json& json, std::string_view name, Duration duration) {
  if (duration.count() != 0) json.set(name, duration.count());
}

Json json_of(const Backoff& backoff) {
  Json json = Json::object();
  json.set("initial_ms", backoff.initial.count())
      .set("factor", backoff.factor_permille / 1000.0)
      .set("max_ms", backoff.max.count())
      .set("jitter", backoff.jitter_permille / 1000.0);
  return json;
}

// Their values are bytes, unlike those of headers.
Json json_of(const std::map<std::string, std::string>& annotations) {
  Json json = Json::object();
  for (const auto& [name, value] : annotations) json.set_bytes(name, value);
  return json;
}

void set_status(Json& json, const TaskStatus& status) {
  json.set("attempt", status.attempt).set("cycle", status.cycle);
  json.set("submitted", date_text(status.submitted)).set("changed", date_text(status.changed));
  if (status.due) json.set("due", date_text(*status.due));
  if (status.expires) json.set("expires", date_text(*status.expires));
  set_unless_empty(json, "worker", status.worker);
  if (status.state == TaskState::running) {
    json.set("token", std::to_string(status.token.value));
    json.set("progress", status.progress_permille / 1000.0);
  }
  set_unless_empty(json, "progress_note", status.progress_note);
  set_unless_empty(json, "error", status.error);
  if (status.output_bytes != 0) json.set("output_bytes", status.output_bytes);
  json.set("serial", status.serial);
  if (!status.annotations.empty()) json.set("annotations", json_of(status.annotations));
}

void set_spec(Json& json, const TaskSpec& spec) {
  set_unless_empty(json, "type", spec.type);
  set_unless_empty(json, "content_type", spec.content_type);
  json.set("priority", name_of(spec.priority)).set("max_attempts", spec.max_attempts);
  set_unless_zero(json, "delay_ms", spec.delay);
  if (spec.not_before) json.set("not_before", app::date_text(*spec.not_before));
  if (spec.expires_at) json.set("expires_at", app::date_text(*spec.expires_at));
  set_unless_zero(json, "expires_in_ms", spec.expires_in);
  set_unless_zero(json, "timeout_ms", spec.timeout);
  json.set("backoff", json_of(spec.backoff));
  set_unless_empty(json, "reply_to", spec.reply_to);
  if (!spec.parent.empty()) json.set("parent", to_string(spec.parent));
  set_unless_empty(json, "from", spec.from);
  if (!spec.headers.empty()) json.set("headers", spec.headers);
  if (!spec.payload.empty()) json.set_bytes("payload", spec.payload);
}

}  // namespace

Json json_of(const Task& task) {
  Json json = Json::object();
  json.set("id", to_string(task.spec.id))
      .set("state", name_of(task.status.state))
      .set("queue", task.spec.queue);
  set_status(json, task.status);
  set_spec(json, task.spec);
  Json attempts = Json::array();
  for (const AttemptRecord& attempt : task.status.attempts) attempts.add(json_of(attempt));
  json.set("attempts", std::move(attempts));
  return json;
}

Json json_of(const AttemptRecord& attempt) {
  Json json = Json::object();
  json.set("attempt", attempt.attempt)
      .set("cycle", attempt.cycle)
      .set("outcome", name_of(attempt.outcome))
      .set("started", date_text(attempt.started))
      .set("ended", date_text(attempt.ended));
  set_unless_empty(json, "worker", attempt.worker);
  set_unless_empty(json, "error", attempt.error);
  return json;
}

Json json_of(const TaskSpec& spec) {
  Json json = Json::object();
  json.set("id", to_string(spec.id)).set("queue", spec.queue);
  set_spec(json, spec);
  return json;
}

Json json_of(const TaskResult& result) {
  Json json = Json::object();
  json.set("id", to_string(result.task)).set("state", name_of(result.state));
  if (result.state == TaskState::succeeded) json.set_bytes("result", result.result);
  set_unless_empty(json, "content_type", result.content_type);
  set_unless_empty(json, "error", result.error);
  return json;
}

void set_result(Json& task, const TaskResult& result) {
  task.set_bytes("result", result.result);
  set_unless_empty(task, "result_content_type", result.content_type);
}

Json json_of(const QueueStatus& queue) {
  Json json = Json::object();
  json.set("queue", queue.name)
      .set("paused", queue.paused)
      .set("scheduled", queue.scheduled)
      .set("queued", queue.queued)
      .set("running", queue.running)
      .set("succeeded", queue.succeeded)
      .set("failed", queue.failed)
      .set("cancelled", queue.cancelled)
      .set("expired", queue.expired)
      .set("workers", queue.workers)
      .set("oldest_ms", queue.oldest.count())
      .set("arriving", queue.arriving)
      .set("leaving", queue.leaving);
  return json;
}

Json json_of(const Event& event) {
  Json json = Json::object();
  json.set("position", text_of(event.position))
      .set("event", name_of(event.kind))
      .set("at", date_text(event.at));
  if (!event.task.empty()) json.set("id", to_string(event.task));
  json.set("queue", event.queue);
  if (event.cycle != 0) json.set("attempt", event.attempt).set("cycle", event.cycle);
  if (event.kind == EventKind::progressed) {
    json.set("progress", event.progress_permille / 1000.0);
  }
  if (!event.text.empty()) json.set_bytes("text", event.text);
  return json;
}

Json json_of(const Error& error) {
  Json json = Json::object();
  json.set("code", name_of(error.code)).set("message", error.message);
  return json;
}

}  // namespace jack::app

#include "apps/api/api.h"

#include <algorithm>

#include "apps/cli/values.h"
#include "apps/http/problem.h"
#include "apps/tasks/task_json.h"
#include "apps/text/base64.h"
#include "apps/text/escape.h"
#include "engine/runtime/replies.h"

namespace jack::api {
Api::Api(EngineSession& engine, Claims& claims, EngineSession& look_up, ApiOptions options)
    : engine_(engine), claims_(claims), look_up_(look_up), options_(std::move(options)) {}

void Api::on_time() {
  std::erase_if(streams_, [](const auto& stream) { return stream.expired(); });
  for (const std::weak_ptr<EventStream>& weak : streams_) {
    if (const auto stream = weak.lock()) stream->on_time();
  }
}

void answer(const Responder& to, int status, const app::Json& body) {
  Response response{status, {}, body.line() + "\n"};
  response.set("Content-Type", "application/json");
  Responder(to).send(std::move(response));
}

void answer_nothing(const Responder& to) { Responder(to).send({204, {}, {}}); }

void refuse(const Responder& to, const Error& error, std::string_view field) {
  Responder(to).send(http::problem(error, field));
}

void refuse(const Responder& to, const InputError& wrong) { refuse(to, wrong.error, wrong.field); }

EngineSession::OnReply done_or_refused(Responder to) {
  return [to = std::move(to)](Result<wire::Reply> reply) {
    const Result<void> done = expect_done(std::move(reply));
    done ? answer_nothing(to) : refuse(to, done.error());
  };
}

std::optional<TaskId> task_of(const Request& request, const Responder& to) {
  const std::optional<TaskId> id = TaskId::parse(request.parameter("id"));
  if (!id) refuse(to, wrong_input("id", kTaskIdRule));
  return id;
}

std::optional<Duration> wait_of(const Request& request, const Responder& to) {
  Duration wait{0};
  const std::string* const given = request.query_value("wait");
  if (given != nullptr && !app::read_value(*given, wait)) {
    refuse(to, wrong_input("wait", kDurationRule));
    return std::nullopt;
  }
  return std::min(wait, kWaitMax);
}

app::Json json_of_spec(TaskSpec spec) {
  const std::string payload = std::exchange(spec.payload, {});
  app::Json json = app::json_of(spec);
  set_content(json, "payload", payload, spec.content_type);
  return json;
}

void set_content(app::Json& json, const std::string& name, std::string_view bytes,
                 std::string_view content_type) {
  if (is_json(content_type)) {
    if (std::optional<app::Json> value = app::Json::parse(bytes)) {
      json.set(name, *std::move(value));
      return;
    }
  }
  if (app::is_utf8(bytes)) {
    json.set(name + "_text", bytes);
  } else {
    json.set(name + "_base64", app::base64(bytes));
  }
}

}  // namespace jack::api

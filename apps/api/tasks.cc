// The routes about tasks.
#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "apps/api/api.h"
#include "apps/api/idempotency.h"
#include "apps/api/task_input.h"
#include "apps/cli/values.h"
#include "apps/tasks/task_json.h"
#include "apps/text/date.h"
#include "engine/format/spec.h"
#include "engine/runtime/replies.h"

namespace jack::api {
namespace {

constexpr std::uint32_t kPageDefault = 100;
constexpr std::uint32_t kPageMax = 1000;
constexpr std::size_t kIdempotencyKeyMax = 255;

// A submit on its way: what was handed in, and under which other ids it may be known.
struct Submission {
  std::vector<TaskSpec> specs;
  std::vector<std::vector<TaskId>> earlier;
  bool is_batch = false;
};

app::Json json_of_submitted(const TaskId& id, bool repeated) {
  return std::move(app::Json::object().set("id", to_string(id)).set("repeated", repeated));
}

app::Json json_of_refused(const Error& error) {
  return std::move(app::Json::object().set("error", app::json_of(error)));
}

// The id under which a repeated task is known: its own, or one of those that its key had before.
class KnownId {
 public:
  using OnFound = std::function<void(const TaskId&)>;

  static void find(EngineSession& engine, std::vector<TaskId> candidates, OnFound on_found) {
    const TaskId next = candidates.front();
    if (candidates.size() == 1) return on_found(next);
    candidates.erase(candidates.begin());
    engine.ask(wire::Get{0, next, false, 0},
               [&engine, next, candidates = std::move(candidates),
                on_found = std::move(on_found)](Result<wire::Reply> reply) mutable {
                 const bool unknown = !reply && reply.error().code == Code::not_found;
                 if (!unknown) return on_found(next);
                 find(engine, std::move(candidates), std::move(on_found));
               });
  }
};

}  // namespace

void Api::submit(const Request& request, Responder to) {
  const std::string queue = request.has_parameter("queue") ? request.parameter("queue") : "";
  auto work = std::make_shared<Submission>();
  const std::string* const type = request.header("content-type");
  if (type == nullptr || is_json(*type)) {
    Input<TaskInput> input = tasks_from_json(request.body, queue, kTasksPerRequestMax);
    if (!input) return refuse(to, input.error());
    work->specs = std::move(input->specs);
    work->is_batch = input->is_batch;
  } else {
    Input<TaskSpec> input = task_from_raw(request, queue);
    if (!input) return refuse(to, input.error());
    work->specs.push_back(std::move(*input));
  }
  const std::string* const key = request.header("idempotency-key");
  if (key != nullptr && (key->empty() || key->size() > kIdempotencyKeyMax)) {
    return refuse(to, {Code::invalid_argument, "an Idempotency-Key has 1 to 255 characters"},
                  "Idempotency-Key");
  }
  work->earlier.resize(work->specs.size());
  for (std::size_t i = 0; i < work->specs.size(); ++i) {
    TaskSpec& spec = work->specs[i];
    if (!spec.id.empty()) continue;
    if (key == nullptr) {
      spec.id = new_task_id();
    } else {
      KeyedIds ids = ids_for_key(principal_, *key, i, app::wall_now());
      spec.id = ids.id;
      work->earlier[i] = std::move(ids.earlier);
    }
  }
  std::vector<std::string> encoded(work->specs.size());
  wire::Submit message;
  for (std::size_t i = 0; i < work->specs.size(); ++i) {
    encode(work->specs[i], encoded[i]);
    wire::NewTask& task = message.tasks.emplace_back(encoded[i]);
    task.other_ids = work->earlier[i];
  }
  engine_.ask(std::move(message), [this, work, to](Result<wire::Reply> reply) {
    Result<wire::Done> done = expect<wire::Done>(std::move(reply));
    if (done && done->items.size() != work->specs.size()) done = unexpected_answer();
    if (!done) return refuse(to, done.error());
    if (work->is_batch) {
      app::Json tasks = app::Json::array();
      for (std::size_t i = 0; i < done->items.size(); ++i) {
        const wire::Done::Item& item = done->items[i];
        tasks.add(item.code == Code::ok ? json_of_submitted(work->specs[i].id, item.repeated)
                                        : json_of_refused({item.code, std::string(item.message)}));
      }
      return answer(to, 200, std::move(app::Json::object().set("tasks", std::move(tasks))));
    }
    const wire::Done::Item& item = done->items.front();
    if (item.code != Code::ok) return refuse(to, {item.code, std::string(item.message)});
    const int status = item.repeated ? 200 : 201;
    const bool repeated = item.repeated;
    const auto tell = [to, status, repeated](const TaskId& id) {
      Response response{status, {}, json_of_submitted(id, repeated).line() + "\n"};
      response.set("Content-Type", "application/json")
          .set("Location", "/v1/tasks/" + to_string(id));
      Responder(to).send(std::move(response));
    };
    std::vector<TaskId> candidates{work->specs.front().id};
    if (repeated) {
      candidates.insert(candidates.end(), work->earlier.front().begin(),
                        work->earlier.front().end());
    }
    KnownId::find(engine_, std::move(candidates), tell);
  });
}

namespace {

// A task with its payload, and what it brought back where it has succeeded.
void answer_task(EngineSession& engine, const TaskId& id, const Responder& to) {
  engine.ask(wire::Get{0, id, true, 0}, [&engine, id, to](Result<wire::Reply> reply) {
    const Result<wire::TaskMessage> message = expect<wire::TaskMessage>(std::move(reply));
    if (!message) return refuse(to, message.error());
    Result<Task> task = to_task(message->spec, message->status, message->wall_offset);
    if (!task) return refuse(to, task.error());
    const std::string payload = std::exchange(task->spec.payload, {});
    const auto json = std::make_shared<app::Json>(app::json_of(*task));
    set_content(*json, "payload", payload, task->spec.content_type);
    if (task->status.state != TaskState::succeeded) return answer(to, 200, *json);
    engine.ask(wire::Wait{0, id, Duration{0}}, [json, to](Result<wire::Reply> result_reply) {
      const auto result = expect<wire::ResultMessage>(std::move(result_reply));
      if (!result) return refuse(to, result.error());
      set_content(*json, "result", result->result, result->content_type);
      if (!result->content_type.empty()) json->set("result_content_type", result->content_type);
      answer(to, 200, *json);
    });
  });
}

// Calls `then` once the task is terminal or `wait` is over; with an error where neither is to be.
void await_end(EngineSession& engine, const TaskId& id, Duration wait, Responder to,
               std::function<void(Result<wire::Reply>)> then) {
  const wire::Correlation waiting = engine.wait_for(wire::Wait{0, id, wait}, then);
  to.on_closed([&engine, waiting] { engine.end(waiting); });
  to.on_stopping([&engine, waiting, then] {
    engine.end(waiting);
    then(Error{Code::timed_out, "the server stops; ask again when it is back"});
  });
}

}  // namespace

void Api::get_task(const Request& request, Responder to) {
  const std::optional<TaskId> id = task_of(request, to);
  if (!id) return;
  const std::optional<Duration> wait = wait_of(request, to);
  if (!wait) return;
  if (*wait == Duration{0}) return answer_task(engine_, *id, to);
  await_end(engine_, *id, *wait, to, [this, id = *id, to](Result<wire::Reply> reply) {
    const bool over = reply || reply.error().code == Code::timed_out;
    over ? answer_task(engine_, id, to) : refuse(to, reply.error());
  });
}

void Api::get_result(const Request& request, Responder to) {
  const std::optional<TaskId> id = task_of(request, to);
  if (!id) return;
  const std::optional<Duration> wait = wait_of(request, to);
  if (!wait) return;
  await_end(engine_, *id, *wait, to, [to](Result<wire::Reply> reply) {
    const Result<wire::ResultMessage> result = expect<wire::ResultMessage>(std::move(reply));
    if (!result && result.error().code == Code::timed_out) {
      return refuse(to, {Code::failed_precondition, "the task is not finished yet"});
    }
    if (!result) return refuse(to, result.error());
    if (result->state != TaskState::succeeded) {
      std::string why = "the task has no result: it is ";
      why += name_of(result->state);
      if (!result->error.empty()) why.append(": ").append(result->error);
      return refuse(to, {Code::failed_precondition, why});
    }
    Response response{200, {}, std::string(result->result)};
    response.set("Content-Type", result->content_type.empty() ? "application/octet-stream"
                                                              : std::string(result->content_type));
    Responder(to).send(std::move(response));
  });
}

void Api::get_history(const Request& request, Responder to) {
  const std::optional<TaskId> id = task_of(request, to);
  if (!id) return;
  engine_.ask(wire::Get{0, *id, false, 0}, [to](Result<wire::Reply> reply) {
    const Result<wire::TaskMessage> message = expect<wire::TaskMessage>(std::move(reply));
    if (!message) return refuse(to, message.error());
    const Result<Task> task = to_task(message->spec, message->status, message->wall_offset);
    if (!task) return refuse(to, task.error());
    app::Json attempts = app::Json::array();
    for (const AttemptRecord& attempt : task->status.attempts) {
      attempts.add(app::json_of(attempt));
    }
    app::Json json = app::Json::object();
    json.set("id", to_string(task->spec.id))
        .set("state", name_of(task->status.state))
        .set("cycle", task->status.cycle)
        .set("attempts", std::move(attempts));
    answer(to, 200, json);
  });
}

namespace {

// What stands in the query of a list, or what is wrong with it. The views are into the request.
Input<wire::List> list_of(const Request& request) {
  wire::List list;
  list.count = kPageDefault;
  for (const http::Field& field : request.query) {
    const std::string& value = field.value;
    if (field.name == "queue") {
      list.queue = value;
    } else if (field.name == "type") {
      list.type = value;
    } else if (field.name == "state") {
      list.state = task_state_from(value);
      if (!list.state) return wrong_input("state", "is none of a task");
    } else if (field.name == "parent" || field.name == "cursor") {
      TaskId& target = field.name == "parent" ? list.parent : list.before;
      if (!app::read_value(value, target)) return wrong_input(field.name, kTaskIdRule);
    } else if (field.name == "from" || field.name == "to") {
      WallTime date;
      if (!app::read_value(value, date)) {
        return wrong_input(field.name, "must be a date such as 2026-01-31T12:00:00Z");
      }
      (field.name == "from" ? list.from_ms : list.to_ms) = date.time_since_epoch().count();
    } else if (field.name == "finished") {
      if (value != "true" && value != "false") {
        return wrong_input("finished", "must be true or false");
      }
      list.finished_too = value == "true";
    } else if (field.name == "limit") {
      if (!app::read_value(value, list.count) || list.count < 1 || list.count > kPageMax) {
        return wrong_input("limit", "must be a number from 1 to " + std::to_string(kPageMax));
      }
    } else {
      return wrong_input(field.name, "is no filter of a list");
    }
  }
  return list;
}

}  // namespace

void Api::list_tasks(const Request& request, Responder to) {
  Input<wire::List> list = list_of(request);
  if (!list) return refuse(to, list.error());
  engine_.ask(*list, [to](Result<wire::Reply> reply) {
    const Result<wire::Page> page = expect<wire::Page>(std::move(reply));
    if (!page) return refuse(to, page.error());
    app::Json tasks = app::Json::array();
    for (const wire::Page::Item& item : page->tasks) {
      Result<Task> task = to_task(item.spec, item.status, page->wall_offset);
      if (!task) return refuse(to, task.error());
      tasks.add(app::json_of(*task));
    }
    app::Json json = app::Json::object();
    json.set("tasks", std::move(tasks));
    if (!page->next.empty()) json.set("next", to_string(page->next));
    answer(to, 200, json);
  });
}

}  // namespace jack::api

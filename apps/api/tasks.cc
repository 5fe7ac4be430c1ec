// The routes about tasks.
#include <algorithm>
#include <deque>
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

// A submit on its way: what was handed in, under which other ids it may be known, and what became
// of it.
class Submission : public std::enable_shared_from_this<Submission> {
 public:
  // `look_up`: a session that may read everything.
  Submission(EngineSession& look_up, Responder to) : look_up_(look_up), to_(std::move(to)) {}

  void add(TaskSpec spec, std::vector<TaskId> earlier) {
    std::string& bytes = encoded_.emplace_back();
    encode(spec, bytes);
    tasks_.push_back({spec.id, std::move(earlier), {}, false});
  }
  void set_batch() { is_batch_ = true; }

  wire::Submit message() const {
    wire::Submit message;
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      message.tasks.emplace_back(encoded_[i]).other_ids = tasks_[i].earlier;
    }
    return message;
  }

  void on_reply(Result<wire::Reply> reply) {
    Result<wire::Done> done = expect<wire::Done>(std::move(reply));
    if (done && done->items.size() != tasks_.size()) done = unexpected_answer();
    if (!done) return refuse(to_, done.error());
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      const wire::Done::Item& item = done->items[i];
      if (item.code != Code::ok) tasks_[i].error = Error{item.code, std::string(item.message)};
      tasks_[i].repeated = item.repeated;
    }
    name_from(0);
  }

 private:
  struct Task {
    TaskId id;
    std::vector<TaskId> earlier;
    std::optional<Error> error;
    bool repeated;
  };

  // A task that was there already has its own id, or one that its key had before.
  void name_from(std::size_t first) {
    for (std::size_t i = first; i < tasks_.size(); ++i) {
      if (tasks_[i].repeated && !tasks_[i].earlier.empty()) return find(i, 0);
    }
    tell();
  }
  void find(std::size_t task, std::size_t earlier) {
    look_up_.ask(wire::Get{0, tasks_[task].id, false, 0},
                 [self = shared_from_this(), task, earlier](const Result<wire::Reply>& reply) {
                   Task& named = self->tasks_[task];
                   const bool unknown = !reply && reply.error().code == Code::not_found;
                   if (!reply && !unknown) named.error = reply.error();  // which one is not known
                   if (!unknown || earlier == named.earlier.size()) {
                     return self->name_from(task + 1);
                   }
                   named.id = named.earlier[earlier];
                   self->find(task, earlier + 1);
                 });
  }

  static app::Json json_of(const Task& task) {
    app::Json json = app::Json::object();
    json.set("id", to_string(task.id));
    if (task.error) {
      json.set("error", app::json_of(*task.error));
    } else {
      json.set("repeated", task.repeated);
    }
    return json;
  }

  void tell() {
    if (is_batch_) {
      app::Json tasks = app::Json::array();
      for (const Task& task : tasks_) tasks.add(json_of(task));
      return answer(to_, 200, std::move(app::Json::object().set("tasks", std::move(tasks))));
    }
    const Task& task = tasks_.front();
    if (task.error) return refuse(to_, *task.error);
    Response response{task.repeated ? 200 : 201, {}, json_of(task).line() + "\n"};
    response.set("Content-Type", "application/json")
        .set("Location", "/v1/tasks/" + to_string(task.id));
    to_.send(std::move(response));
  }

  EngineSession& look_up_;
  Responder to_;
  std::vector<Task> tasks_;
  std::deque<std::string> encoded_;
  bool is_batch_ = false;
};

// What is handed in: as JSON, or as a raw body.
Input<TaskInput> read_tasks(const Request& request, std::string_view queue) {
  if (!is_raw(request)) return tasks_from_json(request.body, queue, kTasksPerRequestMax);
  Input<TaskSpec> spec = task_from_raw(request, queue);
  if (!spec) return spec.error();
  TaskInput input;
  input.specs.push_back(std::move(*spec));
  return input;
}

}  // namespace

void Api::submit(const Request& request, Responder to) {
  Input<TaskInput> input =
      read_tasks(request, request.has_parameter("queue") ? request.parameter("queue") : "");
  if (!input) return refuse(to, input.error());
  const std::string* const key = request.header("idempotency-key");
  if (key != nullptr && (key->empty() || key->size() > kIdempotencyKeyMax)) {
    return refuse(to, {Code::invalid_argument, "an Idempotency-Key has 1 to 255 characters"},
                  "Idempotency-Key");
  }
  const auto submission = std::make_shared<Submission>(look_up_, to);
  if (input->is_batch) submission->set_batch();
  for (std::size_t i = 0; i < input->specs.size(); ++i) {
    TaskSpec& spec = input->specs[i];
    KeyedIds ids;
    if (spec.id.empty()) {
      if (key != nullptr) {
        ids = ids_for_key(*key, {options_.principal, i}, key_window(options_.limits),
                          app::wall_now());
      }
      spec.id = key != nullptr ? ids.id : new_task_id();
    }
    const std::string place = input->is_batch ? "tasks[" + std::to_string(i) + "]" : "";
    if (const std::optional<InputError> fault = fault_in(spec, options_.limits, place)) {
      return refuse(to, *fault);
    }
    submission->add(std::move(spec), std::move(ids.earlier));
  }
  engine_.ask(submission->message(),
              [submission](Result<wire::Reply> reply) { submission->on_reply(std::move(reply)); });
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
    // What a worker made must not act as a page of this server in somebody's browser.
    response.set("Content-Security-Policy", "sandbox");
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
      if (const auto fault = fault_in_queue("queue", value)) return *fault;
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

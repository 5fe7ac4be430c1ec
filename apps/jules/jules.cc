#include "apps/jules/jules.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include <jack_engine/limits.h>
#include <jack_engine/version.h>

#include "apps/api/api.h"
#include "apps/cli/values.h"
#include "apps/jules/legacy.h"
#include "apps/strict_json.h"
#include "apps/text/date.h"
#include "engine/format/spec.h"
#include "engine/runtime/replies.h"

namespace jack::jules {
namespace {

using api::EngineSession;
using http::Method;
using http::Response;

// What one answer lists; a page is what the engine is asked for at a time.
constexpr std::size_t kListedMax = 10'000;
constexpr std::size_t kListedBytesMax = 64UL * 1024 * 1024;  // of payloads
constexpr std::uint32_t kPage = 1000;

void answer(const Responder& to, int status, const Value& body) {
  Response response{status, {}, body.dump(-1, ' ', false, Value::error_handler_t::replace) + "\n"};
  response.set("Content-Type", "application/json");
  Responder(to).send(std::move(response));
}

void refuse(const Responder& to, int status, std::string_view text) {
  Responder(to).send(failure(status, text));
}

void refuse(const Responder& to, const Error& error) { Responder(to).send(refusal(error)); }

// The body as an object, whatever its media type is said to be; null where it is none.
Value object_of(const Request& request) {
  Result<Value> json = app::parse_json(request.body);
  return json && json->is_object() ? *std::move(json) : Value();
}

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == text.npos; }

// The text of the field `task`; empty where there is none to speak of.
std::string task_text(const Value& body) {
  if (!body.is_object() || !body.contains("task") || !body["task"].is_string()) return {};
  auto text = body["task"].get<std::string>();
  return is_blank(text) ? std::string() : text;
}

// A value as the text that a result is, and what it is.
std::pair<std::string, std::string> content_of(const Value& value) {
  if (value.is_string()) return {value.get<std::string>(), "text/plain"};
  return {value.dump(), "application/json"};
}

Value value_of(std::string_view bytes, std::string_view content_type) {
  if (api::is_json(content_type)) {
    if (Result<Value> value = app::parse_json(bytes)) return *std::move(value);
  }
  return Value(std::string(bytes));
}

std::optional<std::uint64_t> number_of(const std::string& id) {
  std::uint64_t number = 0;
  if (!app::read_value(id, number) || number == 0) return std::nullopt;
  return number;
}

// Of the room for annotations, `acknowledge` needs this much.
constexpr std::size_t kOwnNotes = 2;
constexpr std::size_t kOwnNoteBytes = 128;
constexpr std::size_t kFieldsMax = kAnnotationsMax - kOwnNotes;
constexpr std::size_t kFieldBytesMax = kAnnotationBytesMax - kOwnNoteBytes;

// What is in the way of fields, on top of those that the task has; nothing: they fit.
std::optional<std::string> wrong_with(const Value& fields,
                                      std::map<std::string, std::string> present = {}) {
  for (const char* own : {kLeaseNote, kAcknowledgedNote}) present.erase(own);
  for (const auto& [name, value] : fields.items()) {
    if (name.empty() || name == kLeaseNote) return "a field cannot have the name '" + name + "'";
    present[name] = note_of(value);
  }
  if (present.size() > kFieldsMax) {
    return "a task has at most " + std::to_string(kFieldsMax) + " fields";
  }
  std::size_t bytes = 0;
  for (const auto& [name, note] : present) bytes += name.size() + note.size();
  if (bytes > kFieldBytesMax) {
    return "the fields of a task have at most " + std::to_string(kFieldBytesMax) + " bytes";
  }
  return std::nullopt;
}

// What is wrong with the name of an agent; nothing: it is one.
std::optional<std::string> wrong_with_agent(const std::string& agent, const Options& options) {
  if (!is_plain_text(agent)) return "assigned_to has characters that no agent's name has";
  if (!queue_of_agent(agent)) return "assigned_to is too long for the name of an agent";
  if (!queue_of_agent(agent, options)) {
    return "assigned_to cannot be '" + agent + "': that queue is no agent's";
  }
  return std::nullopt;
}

std::map<std::string, std::string> notes_of(const Value& fields) {
  std::map<std::string, std::string> notes;
  for (const auto& [name, value] : fields.items()) notes[name] = note_of(value);
  return notes;
}

AnnotationChanges changes_of(const std::map<std::string, std::string>& notes) {
  AnnotationChanges changes;
  for (const auto& [name, note] : notes) changes.push_back({name, note});
  return changes;
}

// The token that `acknowledge` noted, if the task runs under it.
std::optional<LeaseToken> agents_lease(const Task& task) {
  const auto note = task.status.annotations.find(kLeaseNote);
  if (task.status.state != TaskState::running || note == task.status.annotations.end()) {
    return std::nullopt;
  }
  if (note->second != std::to_string(task.status.token.value)) return std::nullopt;
  return task.status.token;
}

}  // namespace

// --- What is there ---

void Jules::get_index(const Request&, Responder to) {
  answer(to, 200,
         {{"service", "JACK"},
          {"status", "running"},
          {"version", version()},
          {"endpoints",
           {"/add_task", "/tasks", "/tasks/<id>", "/tasks/<id>/complete", "/tasks/unassigned",
            "/agent/<agent>/tasks", "/agent/<agent>/tasks/<id>/acknowledge",
            "/agent/<agent>/tasks/<id>/complete", "/health", "/metrics", "/v1", "/openapi.json"}}});
}

void Jules::get_health(const Request&, Responder to) {
  answer(to, 200,
         {{"status", "ok"},
          {"server_time", second_text(app::wall_now())},
          {"storage", "jack"},
          {"redis", "not configured"}});
}

void Jules::get_metrics(const Request&, Responder to) {
  engine_.ask(wire::Queues{}, [this, to](Result<wire::Reply> reply) {
    const Result<wire::QueueList> list = expect<wire::QueueList>(std::move(reply));
    if (!list) return refuse(to, list.error());
    std::vector<QueueStatus> queues;
    for (const wire::QueueItem& item : list->queues) queues.push_back(to_status(item));
    engine_.ask(wire::Info{}, [this, queues = std::move(queues), to](Result<wire::Reply> told) {
      const Result<wire::EngineInfo> info = expect<wire::EngineInfo>(std::move(told));
      if (!info) return refuse(to, info.error());
      std::vector<std::pair<std::string, std::string>> facts;
      for (const auto& [name, value] : info->facts) facts.emplace_back(name, value);
      Response response{200, {}, metrics_.text(queues, facts, options_)};
      response.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
      Responder(to).send(std::move(response));
    });
  });
}

// --- Handing in ---

bool Jules::prepare(const std::string& text, const Value& body, Responder& to, TaskSpec& spec,
                    Value& fields) const {
  spec.id = new_task_id();
  spec.payload = text;
  spec.content_type = "text/plain";
  spec.queue = options_.inbox;
  spec.from = "jules";
  fields = Value::object();
  for (const auto& [name, value] : body.items()) {
    if (name != "task" && name != "assigned_to") fields[name] = value;
  }
  if (const std::optional<std::string> wrong = wrong_with(fields)) {
    refuse(to, 400, *wrong);
    return false;
  }
  if (!body.contains("assigned_to") || body["assigned_to"].is_null()) return true;
  if (!body["assigned_to"].is_string()) {
    refuse(to, 400, "assigned_to must be a text");
    return false;
  }
  const auto agent = body["assigned_to"].get<std::string>();
  if (agent.empty()) return true;
  if (const std::optional<std::string> wrong = wrong_with_agent(agent, options_)) {
    refuse(to, 400, *wrong);
    return false;
  }
  spec.queue = *queue_of_agent(agent);
  if (spec.queue != agent) spec.headers[kAgentHeader] = agent;
  return true;
}

void Jules::submit(TaskSpec spec, const Value& fields, const Responder& to, OnTask then) {
  std::string encoded;
  encode(spec, encoded);
  const std::map<std::string, std::string> notes = notes_of(fields);
  wire::Submit message;
  message.tasks.emplace_back(encoded).annotations = changes_of(notes);
  engine_.ask(std::move(message),
              [this, task = spec.id, to, then = std::move(then)](Result<wire::Reply> reply) {
                const Result<void> done = expect_done(std::move(reply));
                done ? find(to_string(task), to, then) : refuse(to, done.error());
              });
}

void Jules::annotate(const TaskId& task, const Value& fields,
                     std::function<void(const Result<void>&)> then) {
  const std::map<std::string, std::string> notes = notes_of(fields);
  engine_.ask(
      wire::Annotate{0, {{task, changes_of(notes)}}},
      [then = std::move(then)](Result<wire::Reply> reply) { then(expect_done(std::move(reply))); });
}

void Jules::add_task(const Request& request, Responder to) {
  const Value body = object_of(request);
  const std::string text = task_text(body);
  if (text.empty()) return refuse(to, 400, "task field required");
  TaskSpec spec;
  Value fields;
  if (!prepare(text, body, to, spec, fields)) return;
  submit(std::move(spec), fields, to, [this, text, to](const Task& task) {
    answer(to, 201,
           {{"message", "queued '" + text + "'"},
            {"id", task.status.serial},
            {"total_tasks", task.status.serial},
            {"assigned_to", agent_of(task, options_)}});
  });
}

void Jules::create_task(const Request& request, Responder to) {
  const Value body = object_of(request);
  const std::string text = task_text(body);
  if (text.empty()) return refuse(to, 400, "Invalid payload");
  TaskSpec spec;
  Value fields;
  if (!prepare(text, body, to, spec, fields)) return;
  submit(std::move(spec), fields, to, [to](const Task& task) {
    answer(to, 201, {{"task_id", to_string(task.spec.id)}});
  });
}

// --- Looking ---

void Jules::find(EngineSession& engine, const std::string& id, bool with_payload,
                 const Responder& to, OnTask then) {
  wire::Get get;
  get.with_payload = with_payload;
  if (const std::optional<std::uint64_t> number = number_of(id)) {
    get.number = *number;
  } else if (const std::optional<TaskId> task = TaskId::parse(id)) {
    get.task = *task;
  } else {
    return refuse(to, 404, "Task not found");
  }
  engine.ask(get, [to, then = std::move(then)](Result<wire::Reply> reply) {
    const Result<wire::TaskMessage> message = expect<wire::TaskMessage>(std::move(reply));
    if (!message) return refuse(to, message.error());
    Result<Task> task = to_task(message->spec, message->status, message->wall_offset);
    if (!task) return refuse(to, task.error());
    then(*std::move(task));
  });
}

void Jules::find_of_agent(const Request& request, const Responder& to, OnTask then) {
  const std::string& agent = request.parameter("agent");
  find(request.parameter("id"), to, [this, agent, to, then = std::move(then)](Task task) {
    if (!is_of_agent(task, agent, options_)) return refuse(to, 404, "Task not found");
    then(std::move(task));
  });
}

// The pages come newest first, so that the oldest are known at the end.
struct Jules::Listing : std::enable_shared_from_this<Listing> {
  EngineSession& engine;
  Wanted wanted;
  Responder to;
  OnTasks then;
  std::deque<Task> tasks;
  std::size_t bytes = 0;

  Listing(EngineSession& session, Wanted what, Responder responder, OnTasks on_tasks)
      : engine(session),
        wanted(std::move(what)),
        to(std::move(responder)),
        then(std::move(on_tasks)) {}

  void next(const TaskId& before) {
    wire::List list;
    list.queue = wanted.queue;
    list.state = wanted.state;
    list.before = before;
    list.count = kPage;
    list.payloads = true;
    engine.ask(list, [self = shared_from_this()](Result<wire::Reply> reply) {
      self->on_page(std::move(reply));
    });
  }

  bool is_full() const { return tasks.size() >= kListedMax || bytes >= kListedBytesMax; }

  void on_page(Result<wire::Reply> reply) {
    const Result<wire::Page> page = expect<wire::Page>(std::move(reply));
    if (!page) return refuse(to, page.error());
    for (const wire::Page::Item& item : page->tasks) {
      Result<Task> task = to_task(item.spec, item.status, page->wall_offset);
      if (!task) return refuse(to, task.error());
      if (wanted.matches && !wanted.matches(*task)) continue;
      while (wanted.oldest_first && is_full()) {
        bytes -= tasks.front().spec.payload.size();
        tasks.pop_front();
      }
      if (is_full()) break;
      bytes += task->spec.payload.size();
      tasks.push_back(*std::move(task));
    }
    const bool enough = !wanted.oldest_first && is_full();
    if (!page->next.empty() && !enough && to.wanted()) return next(page->next);
    std::vector<Task> all(std::make_move_iterator(tasks.begin()),
                          std::make_move_iterator(tasks.end()));
    // Ids tell the time of whoever made them; numbers the order in which they came.
    std::sort(all.begin(), all.end(), [this](const Task& a, const Task& b) {
      return wanted.oldest_first ? a.status.serial < b.status.serial
                                 : a.status.serial > b.status.serial;
    });
    then(std::move(all));
  }
};

void Jules::list(EngineSession& engine, Wanted wanted, const Responder& to, OnTasks then) {
  std::make_shared<Listing>(engine, std::move(wanted), to, std::move(then))->next({});
}

void Jules::list_tasks(const Request&, Responder to) {
  list(engine_, {}, to, [this, to](const std::vector<Task>& tasks) {
    Value entries = Value::array();
    for (const Task& task : tasks) entries.push_back(entry_of(task, options_));
    answer(to, 200, entries);
  });
}

void Jules::list_unassigned(const Request&, Responder to) {
  Wanted wanted;
  wanted.queue = options_.inbox;
  wanted.matches = [this](const Task& task) { return agent_of(task, options_).empty(); };
  list(engine_, std::move(wanted), to, [this, to](const std::vector<Task>& tasks) {
    Value entries = Value::array();
    for (const Task& task : tasks) {
      entries.push_back({{"task_id", to_string(task.spec.id)}, {"data", data_of(task, options_)}});
    }
    answer(to, 200, entries);
  });
}

// Those in its queue, and those in the inbox that were assigned to it later.
void Jules::list_agent_tasks(const Request& request, Responder to) {
  const std::string& agent = request.parameter("agent");
  const std::optional<std::string> queue = queue_of_agent(agent, options_);
  if (!queue) return answer(to, 200, Value::array());
  Wanted own{*queue, TaskState::queued,
             [this, agent](const Task& task) { return is_of_agent(task, agent, options_); }, true};
  Wanted later = own;
  later.queue = options_.inbox;
  list(engine_, std::move(own), to,
       [this, later = std::move(later), to](const std::vector<Task>& tasks) {
         const auto entries = std::make_shared<Value>(Value::array());
         const auto add = [this, entries](const std::vector<Task>& all) {
           for (const Task& task : all) {
             Value entry = entry_of(task, options_);
             entry["status"] = "pending";  // whatever was put: it is what the agent is to do
             entries->push_back(std::move(entry));
           }
         };
         add(tasks);
         // Its right to see its tasks was looked at with those of its queue.
         list(look_up_, later, to, [entries, add, to](const std::vector<Task>& assigned) {
           add(assigned);
           std::sort(entries->begin(), entries->end(), [](const Value& a, const Value& b) {
             return a["id"].get<std::uint64_t>() < b["id"].get<std::uint64_t>();
           });
           answer(to, 200, *entries);
         });
       });
}

void Jules::get_task(const Request& request, Responder to) {
  const std::string id = request.parameter("id");
  find(engine_, id, true, to, [this, id, to](const Task& task) {
    const auto data = std::make_shared<Value>(data_of(task, options_));
    if (task.status.state != TaskState::succeeded || task.status.annotations.contains("result")) {
      return answer(to, 200, {{"task_id", id}, {"data", *data}});
    }
    engine_.ask(wire::Wait{0, task.spec.id, Duration{0}},
                [id, data, to](Result<wire::Reply> reply) {
                  const auto result = expect<wire::ResultMessage>(std::move(reply));
                  if (!result) return refuse(to, result.error());
                  (*data)["result"] = value_of(result->result, result->content_type);
                  answer(to, 200, {{"task_id", id}, {"data", *data}});
                });
  });
}

// --- Changing ---

void Jules::keep_alive(const Task& task) {
  const std::optional<LeaseToken> token = agents_lease(task);
  if (!token) return;
  const api::Lease lease{task.spec.id, *token, options_.lease, task.spec.queue};
  claims_.hold({lease}, [this, lease] {
    engine_.ask(wire::Extend{0, {{lease.task, lease.token, lease.length}}},
                [](const Result<wire::Reply>&) {});
  });
}

// A task that was handed in without an agent gets one by this. One that has an agent keeps it: it
// is in that agent's queue, where a worker may have it any moment.
void Jules::put_task(const Request& request, Responder to) {
  const Value fields = object_of(request);
  if (!fields.is_object() || fields.empty()) return refuse(to, 400, "Invalid payload");
  find(request.parameter("id"), to, [this, fields, to](const Task& task) {
    if (const auto wrong = wrong_with(fields, task.status.annotations)) {
      return refuse(to, 400, *wrong);
    }
    if (fields.contains(kAgentNote)) {
      const Value& agent = fields[kAgentNote];
      if (!agent.is_string() && !agent.is_null())
        return refuse(to, 400, "assigned_to must be a text");
      const auto name = agent.is_null() ? std::string() : agent.get<std::string>();
      const bool is_new = name != agent_of(task, options_);
      if (is_new && task.spec.queue != options_.inbox) {
        return refuse(to, 409,
                      "this task has an agent and stays with it; add it again for '" + name + "'");
      }
      if (const auto wrong = wrong_with_agent(name, options_); wrong && !name.empty()) {
        return refuse(to, 400, *wrong);
      }
    }
    keep_alive(task);
    annotate(task.spec.id, fields, [to](const Result<void>& done) {
      done ? answer(to, 200, {{"message", "Task updated"}}) : refuse(to, done.error());
    });
  });
}

void Jules::acknowledge(const Request& request, Responder to) {
  find_of_agent(request, to, [this, to](const Task& task) {
    // Neither is one that somebody else has, or that is done.
    if (task.status.state != TaskState::queued) return refuse(to, 404, "Task not found");
    claims_.take(task.spec.queue, task.spec.id, options_.lease,
                 [this, task, to](const Result<LeaseToken>& token) {
                   if (token) return note_lease(task, *token, to);
                   if (token.error().code != Code::failed_precondition) {
                     return refuse(to, token.error());
                   }
                   refuse(to, 404, "Task not found");
                 });
  });
}

// Without the note nobody would know whose lease it is, so it is given back.
void Jules::note_lease(const Task& task, LeaseToken token, const Responder& to) {
  const Value notes = {{kLeaseNote, token.value},
                       {kAcknowledgedNote, second_text(app::wall_now())}};
  annotate(task.spec.id, notes, [this, task, token, to](const Result<void>& done) {
    if (!done) {
      claims_.release(task.spec.id, token);
      return refuse(to, done.error());
    }
    metrics_.on_acknowledged(task.spec.queue);
    answer(to, 200, {{"message", "Task acknowledged"}});
  });
}

// How a task is to succeed, and what is answered then.
struct Jules::Completion {
  std::string result;
  std::string content_type;
  std::optional<TaskSpec> response;  // told to all by an entry of its own
  std::function<void()> then;
  std::function<void()> again;  // it has succeeded before, and nothing has changed
  bool is_retried = false;
};

// Under the lease that the agent took, or without one: refused while somebody else holds it.
void Jules::complete(const Task& task, const std::shared_ptr<Completion>& completion,
                     const Responder& to) {
  wire::Settle::Item item;
  item.task = task.spec.id;
  item.token = agents_lease(task).value_or(kNoLease);
  item.result = completion->result;
  item.content_type = completion->content_type;
  std::string response;
  if (completion->response) {
    encode(*completion->response, response);
    item.follow_ups.emplace_back(response).result = std::string_view();
  }
  // What was put there for people no longer says how it is.
  for (const char* name : {"status", "result", kLeaseNote}) {
    if (task.status.annotations.contains(name)) item.changes.push_back({name, std::nullopt});
  }
  claims_.forget(item.token);
  engine_.ask(wire::Settle{0, {std::move(item)}},
              [this, id = task.spec.id, completion, to](Result<wire::Reply> reply) {
                const Result<void> done = expect_done(std::move(reply));
                done ? completion->then() : on_not_completed(id, done.error(), completion, to);
              });
}

// Another may have completed it since it was looked at. Where it has failed, mostly as its leases
// ended while the agent was still at it, it is begun again, to succeed at once.
void Jules::on_not_completed(const TaskId& id, const Error& error,
                             const std::shared_ptr<Completion>& completion, const Responder& to) {
  if (error.code == Code::permission_denied) return refuse(to, error);
  find(to_string(id), to, [this, error, completion, to](const Task& task) {
    if (task.status.state == TaskState::succeeded) return completion->again();
    if (task.status.state != TaskState::failed || std::exchange(completion->is_retried, true)) {
      return refuse(to, error);
    }
    look_up_.ask(wire::Retry{0, {task.spec.id}},
                 [this, task, completion, to](Result<wire::Reply> reply) {
                   const Result<void> done = expect_done(std::move(reply));
                   done ? complete(task, completion, to) : refuse(to, done.error());
                 });
  });
}

void Jules::complete_task(const Request& request, Responder to) {
  const Value body = object_of(request);
  if (!body.is_object() || !body.contains("result")) return refuse(to, 400, "Result is required");
  const auto [result, type] = content_of(body["result"]);
  const auto completion = std::make_shared<Completion>();
  completion->result = result;
  completion->content_type = type;
  completion->then = [to] { answer(to, 200, {{"message", "Task marked as complete"}}); };
  completion->again = completion->then;
  find(request.parameter("id"), to,
       [this, completion, to](const Task& task) { complete(task, completion, to); });
}

void Jules::complete_agent_task(const Request& request, Responder to) {
  std::string text = "Task completed";
  if (!request.body.empty()) {
    const Value body = object_of(request);
    if (!body.is_object()) return refuse(to, 400, "Invalid payload");
    if (body.contains("response")) text = content_of(body["response"]).first;
  }
  const std::string agent = request.parameter("agent");
  find_of_agent(request, to, [this, agent, text, to](const Task& task) {
    const auto tell = [to](const std::string& response) {
      answer(to, 200, {{"message", "Task completed"}, {"response", response}});
    };
    const auto completion = std::make_shared<Completion>();
    completion->result = text;
    completion->content_type = "text/plain";
    completion->then = [tell, text] { tell(text); };
    // What was answered first stays.
    completion->again = [this, id = task.spec.id, tell, to] {
      look_up_.ask(wire::Wait{0, id, Duration{0}}, [tell, to](Result<wire::Reply> reply) {
        const auto result = expect<wire::ResultMessage>(std::move(reply));
        result ? tell(std::string(result->result)) : refuse(to, result.error());
      });
    };
    TaskSpec& response = completion->response.emplace();
    response.id = new_task_id();
    response.queue = options_.responses;
    response.payload = "[" + agent + "] " + text;
    response.content_type = "text/plain";
    response.parent = task.spec.id;
    response.from = agent;
    complete(task, completion, to);
  });
}

void add_routes(http::Router& router, Metrics& metrics,
                std::function<Jules*(const Request&, const Responder&)> find) {
  const auto add = [&router, &metrics, find = std::move(find)](
                       Method method, std::string_view pattern,
                       void (Jules::*answer_it)(const Request&, Responder)) {
    router.add(
        method, pattern,
        [&metrics, find, method, endpoint = std::string(pattern), answer_it](Request request,
                                                                             Responder to) {
          to.on_answered([&metrics, method, &endpoint, since = std::chrono::steady_clock::now()] {
            metrics.on_answered(endpoint, name_of(method),
                                std::chrono::steady_clock::now() - since);
          });
          if (Jules* const jules = find(request, to)) {
            (jules->*answer_it)(request, std::move(to));
          }
        });
  };
  add(Method::get, "/", &Jules::get_index);
  add(Method::get, "/health", &Jules::get_health);
  add(Method::post, "/add_task", &Jules::add_task);
  add(Method::get, "/tasks", &Jules::list_tasks);
  add(Method::post, "/tasks", &Jules::create_task);
  add(Method::get, "/tasks/unassigned", &Jules::list_unassigned);
  add(Method::get, "/tasks/{id}", &Jules::get_task);
  add(Method::put, "/tasks/{id}", &Jules::put_task);
  add(Method::post, "/tasks/{id}/complete", &Jules::complete_task);
  add(Method::get, "/agent/{agent}/tasks", &Jules::list_agent_tasks);
  add(Method::post, "/agent/{agent}/tasks/{id}/acknowledge", &Jules::acknowledge);
  add(Method::post, "/agent/{agent}/tasks/{id}/complete", &Jules::complete_agent_task);
  add(Method::get, "/metrics", &Jules::get_metrics);
}

}  // namespace jack::jules

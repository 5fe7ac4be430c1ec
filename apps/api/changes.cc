// What is done to tasks that are there: by whoever holds their lease, or by anybody. One task by
// its path, or many in one request; each gets its own answer.
#include <memory>
#include <utility>

#include "apps/api/api.h"
#include "apps/api/claims.h"
#include "apps/api/input.h"
#include "apps/api/task_input.h"
#include "apps/strict_json.h"
#include "apps/tasks/task_json.h"
#include "engine/runtime/replies.h"

namespace jack::api {
namespace {

using Value = nlohmann::ordered_json;

// A value and its media type as a client gave it: in fields, or as the raw body.
struct Change {
  Lease lease;  // without a token where none is needed
  Fields fields;
  std::optional<Content> raw;
};

struct Changes {
  std::vector<Change> items;
  bool is_batch = false;
};

// The item's lease: from its fields, or from the query where the body is raw.
std::optional<InputError> read_token(const Request& request, Change& change) {
  Input<std::string> text = change.fields.text("token");
  if (!text) return text.error();
  const std::string* const given = request.query_value("token");
  if (!text->empty() && given != nullptr) return change.fields.wrong("token", "is there twice");
  if (given != nullptr) *text = *given;
  if (text->empty()) return change.fields.wrong("token", "is missing: it came with the claim");
  if (!read_lease_text(*text, change.lease)) {
    return change.fields.wrong("token", "must be that of a claim");
  }
  return std::nullopt;
}

Input<Changes> read_batch(const Request& request, bool leased) {
  Result<Value> json = app::parse_json(request.body);
  if (!json) return InputError{json.error(), {}};
  if (!json->is_object() || json->size() != 1 || !json->contains("tasks") ||
      !(*json)["tasks"].is_array()) {
    return wrong_input("tasks", "must be all there is, and a list: {\"tasks\": [{\"id\": ...}]}");
  }
  Value& list = (*json)["tasks"];
  if (list.empty() || list.size() > kTasksPerRequestMax) {
    return wrong_input("tasks", "must be 1 to " + std::to_string(kTasksPerRequestMax));
  }
  Changes changes;
  changes.is_batch = true;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string place = "tasks[" + std::to_string(i) + "]";
    if (!list[i].is_object()) return wrong_input(place, "must be an object");
    Change change;
    change.fields = Fields(std::move(list[i]), place);
    Input<std::string> id = change.fields.text("id");
    if (!id) return id.error();
    const std::optional<TaskId> task = TaskId::parse(*id);
    if (!task) return change.fields.wrong("id", kTaskIdRule);
    change.lease.task = *task;
    if (leased) {
      if (std::optional<InputError> wrong = read_token(request, change)) return *wrong;
    }
    changes.items.push_back(std::move(change));
  }
  return changes;
}

Input<Changes> read_single(const Request& request, bool leased) {
  const std::optional<TaskId> task = TaskId::parse(request.parameter("id"));
  if (!task) return wrong_input("id", kTaskIdRule);
  Change change;
  change.lease.task = *task;
  if (is_raw(request)) {
    change.raw = Content{request.body, *request.header("content-type")};
  } else if (!request.body.empty()) {
    Result<Value> json = app::parse_json(request.body);
    if (!json) return InputError{json.error(), {}};
    if (!json->is_object()) return wrong_input({}, "the body must be an object");
    change.fields = Fields(*std::move(json));
  }
  if (leased) {
    if (std::optional<InputError> wrong = read_token(request, change)) return *wrong;
  }
  Changes changes;
  changes.items.push_back(std::move(change));
  return changes;
}

using ChangesPointer = std::shared_ptr<const Changes>;

// What the request asks to be changed. Nothing, and refused, where that is wrong: also a field
// beside those named and "id" and "token".
ChangesPointer read_changes(const Request& request, bool leased,
                            std::initializer_list<std::string_view> names, const Responder& to) {
  const bool is_batch = !request.has_parameter("id");
  Input<Changes> changes = is_batch ? read_batch(request, leased) : read_single(request, leased);
  if (!changes) {
    refuse(to, changes.error());
    return nullptr;
  }
  std::vector<std::string_view> known(names);
  if (is_batch) known.emplace_back("id");
  if (leased) known.emplace_back("token");
  for (const Change& change : changes->items) {
    if (const std::optional<InputError> wrong = change.fields.unknown_but(known)) {
      refuse(to, *wrong);
      return nullptr;
    }
  }
  return std::make_shared<const Changes>(std::move(*changes));
}

// One task: 204 or a problem. Many: what became of each.
EngineSession::OnReply answer_changes(ChangesPointer changes, Responder to) {
  return [changes = std::move(changes), to = std::move(to)](Result<wire::Reply> reply) {
    const Result<wire::Done> done = expect<wire::Done>(std::move(reply));
    if (!done) return refuse(to, done.error());
    if (done->items.size() != changes->items.size()) return refuse(to, unexpected_answer());
    if (!changes->is_batch) {
      const wire::Done::Item& item = done->items.front();
      if (item.code != Code::ok) return refuse(to, {item.code, std::string(item.message)});
      return answer_nothing(to);
    }
    app::Json tasks = app::Json::array();
    for (std::size_t i = 0; i < done->items.size(); ++i) {
      const wire::Done::Item& item = done->items[i];
      app::Json json = app::Json::object();
      json.set("id", to_string(changes->items[i].lease.task));
      if (item.code != Code::ok) {
        json.set("error", app::json_of(Error{item.code, std::string(item.message)}));
      }
      tasks.add(std::move(json));
    }
    answer(to, 200, std::move(app::Json::object().set("tasks", std::move(tasks))));
  };
}

// What each item gives for a message; nothing, and refused, where one is wrong.
template <typename Item, typename Read>
std::optional<std::vector<Item>> read_items(const Changes& changes, const Responder& to,
                                            Read read) {
  std::vector<Item> items;
  for (const Change& change : changes.items) {
    Input<Item> item = read(change);
    if (!item) {
      refuse(to, item.error());
      return std::nullopt;
    }
    items.push_back(std::move(*item));
  }
  return items;
}

std::vector<Lease> leases_of(const Changes& changes) {
  std::vector<Lease> leases;
  for (const Change& change : changes.items) leases.push_back(change.lease);
  return leases;
}

std::vector<TaskId> tasks_of(const Changes& changes) {
  std::vector<TaskId> tasks;
  for (const Change& change : changes.items) tasks.push_back(change.lease.task);
  return tasks;
}

// The ends of attempts, with what they own.
struct End {
  Outcome outcome = Outcome::succeeded;
  Content result;
  std::string error;
  bool retry = true;
  std::optional<Duration> delay;
};

Input<End> read_success(const Change& change) {
  End end;
  if (change.raw) {
    end.result = *change.raw;
  } else {
    Input<Content> result = change.fields.content("result");
    if (!result) return result.error();
    end.result = std::move(*result);
  }
  // It has to be as that of a payload.
  TaskSpec like;
  like.id = change.lease.task;
  like.queue = "q";
  like.content_type = end.result.type;
  if (const std::optional<InputError> fault = fault_in(like, Limits{}, change.fields.place())) {
    return *fault;
  }
  return end;
}

Input<End> read_failure(const Change& change) {
  End end;
  end.outcome = Outcome::failed;
  Input<std::string> error = change.fields.text("error");
  if (!error) return error.error();
  Input<bool> retry = change.fields.flag("retry", true);
  if (!retry) return retry.error();
  Input<std::optional<Duration>> delay = change.fields.span("retry_in_ms");
  if (!delay) return delay.error();
  if (!*retry && *delay) return change.fields.wrong("retry_in_ms", "contradicts retry: false");
  end.error = std::move(*error);
  end.retry = *retry;
  end.delay = *delay;
  return end;
}

Input<End> read_release(const Change& change) {
  End end;
  end.outcome = Outcome::released;
  Input<std::optional<Duration>> delay = change.fields.span("delay_ms");
  if (!delay) return delay.error();
  end.delay = *delay;
  return end;
}

wire::Settle::Item item_of(const Change& change, const End& end) {
  wire::Settle::Item item;
  item.task = change.lease.task;
  item.token = change.lease.token;
  item.outcome = end.outcome;
  item.result = end.result.bytes;
  item.content_type = end.result.type;
  item.error = end.error;
  item.retry = end.retry;
  item.delay = end.delay;
  return item;
}

template <typename Read>
void settle(EngineSession& engine, Claims& claims, const ChangesPointer& changes, Read read,
            Responder to) {
  if (!changes) return;
  const auto ends = read_items<End>(*changes, to, read);
  if (!ends) return;
  wire::Settle message;
  for (std::size_t i = 0; i < ends->size(); ++i) {
    message.items.push_back(item_of(changes->items[i], (*ends)[i]));
    claims.forget(changes->items[i].lease.token);
  }
  engine.ask(std::move(message), answer_changes(changes, std::move(to)));
}

}  // namespace

void Api::claim(const Request& request, Responder to) {
  Input<ClaimRequest> claim = read_claim(request, engine_.facts().lease_default);
  if (!claim) return refuse(to, claim.error());
  claims_.claim(std::move(*claim), std::move(to));
}

void Api::succeed(const Request& request, Responder to) {
  settle(
      engine_, claims_,
      read_changes(request, true, {"result", "result_text", "result_base64", "content_type"}, to),
      read_success, to);
}

void Api::fail(const Request& request, Responder to) {
  settle(engine_, claims_, read_changes(request, true, {"error", "retry", "retry_in_ms"}, to),
         read_failure, to);
}

void Api::release(const Request& request, Responder to) {
  settle(engine_, claims_, read_changes(request, true, {"delay_ms"}, to), read_release, to);
}

void Api::extend(const Request& request, Responder to) {
  const ChangesPointer changes = read_changes(request, true, {"lease_ms"}, to);
  if (!changes) return;
  const auto items = read_items<wire::Extend::Item>(
      *changes, to, [](const Change& change) -> Input<wire::Extend::Item> {
        Input<std::optional<Duration>> lease = change.fields.span("lease_ms");
        if (!lease) return lease.error();
        return wire::Extend::Item{change.lease.task, change.lease.token,
                                  lease->value_or(change.lease.length)};
      });
  if (!items) return;
  claims_.hold(leases_of(*changes), [this, changes, items = *items, to] {
    engine_.ask(wire::Extend{0, items}, answer_changes(changes, to));
  });
}

void Api::add_output(const Request& request, Responder to) {
  const ChangesPointer changes = read_changes(request, true, {"output_text", "output_base64"}, to);
  if (!changes) return;
  const auto contents =
      read_items<Content>(*changes, to, [](const Change& change) -> Input<Content> {
        if (change.raw) return *change.raw;
        if (!change.fields.has("output_text") && !change.fields.has("output_base64")) {
          return change.fields.wrong("output_text", "is missing, and so is output_base64");
        }
        return change.fields.content("output");
      });
  if (!contents) return;
  claims_.hold(leases_of(*changes), [this, changes, contents = *contents, to] {
    wire::Output message;
    for (std::size_t i = 0; i < contents.size(); ++i) {
      const Change& change = changes->items[i];
      message.items.push_back({change.lease.task, change.lease.token, contents[i].bytes});
    }
    engine_.ask(std::move(message), answer_changes(changes, to));
  });
}

void Api::set_progress(const Request& request, Responder to) {
  const ChangesPointer changes = read_changes(request, true, {"fraction", "note"}, to);
  if (!changes) return;
  struct Step {
    std::uint32_t permille = 0;
    std::string note;
  };
  const auto steps = read_items<Step>(*changes, to, [](const Change& change) -> Input<Step> {
    Input<double> fraction = change.fields.fraction("fraction");
    if (!fraction) return fraction.error();
    Input<std::string> note = change.fields.text("note");
    if (!note) return note.error();
    return Step{static_cast<std::uint32_t>(*fraction * 1000 + 0.5), std::move(*note)};
  });
  if (!steps) return;
  claims_.hold(leases_of(*changes), [this, changes, steps = *steps, to] {
    wire::Progress message;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const Change& change = changes->items[i];
      message.items.push_back(
          {change.lease.task, change.lease.token, steps[i].permille, steps[i].note});
    }
    engine_.ask(std::move(message), answer_changes(changes, to));
  });
}

// The engine takes one reason for all, so it stands beside the list of tasks: in the query. Who
// cancels one task may give it in the body.
void Api::cancel(const Request& request, Responder to) {
  const bool is_batch = !request.has_parameter("id");
  const ChangesPointer changes = is_batch ? read_changes(request, false, {}, to)
                                          : read_changes(request, false, {"reason"}, to);
  if (!changes) return;
  Input<std::string> reason = changes->items.front().fields.text("reason");
  if (!reason) return refuse(to, reason.error());
  const std::string* const given = request.query_value("reason");
  if (!reason->empty() && given != nullptr)
    return refuse(to, wrong_input("reason", "is there twice"));
  if (given != nullptr) *reason = *given;
  engine_.ask(wire::Cancel{0, tasks_of(*changes), *reason}, answer_changes(changes, to));
}

void Api::retry(const Request& request, Responder to) {
  const ChangesPointer changes = read_changes(request, false, {}, to);
  if (!changes) return;
  engine_.ask(wire::Retry{0, tasks_of(*changes)}, answer_changes(changes, to));
}

void Api::remove(const Request& request, Responder to) {
  const ChangesPointer changes = read_changes(request, false, {}, to);
  if (!changes) return;
  engine_.ask(wire::Remove{0, tasks_of(*changes)}, answer_changes(changes, to));
}

// A merge patch (RFC 7396) of texts.
void Api::annotate(const Request& request, Responder to) {
  const std::optional<TaskId> id = task_of(request, to);
  if (!id) return;
  const Result<Value> json = app::parse_json(request.body);
  if (!json) return refuse(to, json.error());
  if (!json->is_object() || json->empty()) {
    return refuse(to, wrong_input({}, "the body is an object of texts, where null takes one away"));
  }
  std::vector<std::pair<std::string, std::optional<std::string>>> texts;
  for (const auto& [name, value] : json->items()) {
    if (!value.is_string() && !value.is_null()) {
      return refuse(to, wrong_input(name, "must be a text or null"));
    }
    texts.emplace_back(name, value.is_null() ? std::optional<std::string>()
                                             : std::optional(value.get<std::string>()));
  }
  wire::Annotate::Item item;
  item.task = *id;
  for (const auto& [name, text] : texts) item.changes.push_back({name, text});
  engine_.ask(wire::Annotate{0, {std::move(item)}}, done_or_refused(to));
}

}  // namespace jack::api

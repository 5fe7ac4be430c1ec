// The routes about queues and about the engine itself.
#include <chrono>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "apps/api/api.h"
#include "apps/cli/values.h"
#include "apps/tasks/task_json.h"
#include "engine/runtime/fact_names.h"
#include "engine/runtime/replies.h"

namespace jack::api {
namespace {

// Tasks that one purge cancels at a time, and in all.
constexpr std::uint32_t kPurgePage = 1000;
constexpr std::uint64_t kPurgeMax = 100'000;

// An engine that answers later is not ready.
constexpr std::chrono::seconds kProbePatience{2};

// Cancels what waits in a queue, page by page, the newest first, so that it ends although others go
// on submitting.
class Purge : public std::enable_shared_from_this<Purge> {
 public:
  Purge(EngineSession& engine, std::string queue, Responder to)
      : engine_(engine), queue_(std::move(queue)), to_(std::move(to)) {}

  void next() {
    wire::List list;
    list.queue = queue_;
    list.before = before_;
    list.count = kPurgePage;
    list.finished_too = false;
    engine_.ask(list, [self = shared_from_this()](Result<wire::Reply> reply) {
      self->on_page(std::move(reply));
    });
  }

 private:
  void on_page(Result<wire::Reply> reply) {
    const Result<wire::Page> page = expect<wire::Page>(std::move(reply));
    if (!page) return refuse(to_, page.error());
    wire::Cancel cancel;
    cancel.reason = "purged";
    for (const wire::Page::Item& item : page->tasks) {
      const Result<Task> task = to_task(item.spec, item.status, page->wall_offset);
      if (!task) return refuse(to_, task.error());
      // What runs is let run.
      if (task->status.state != TaskState::running) cancel.tasks.push_back(task->spec.id);
    }
    before_ = page->next;
    if (cancel.tasks.empty()) return go_on();
    engine_.ask(std::move(cancel), [self = shared_from_this()](Result<wire::Reply> done) {
      self->on_cancelled(std::move(done));
    });
  }

  // Those that began or ended meanwhile are refused, which is as it should be.
  void on_cancelled(Result<wire::Reply> reply) {
    const Result<wire::Done> done = expect<wire::Done>(std::move(reply));
    if (!done) return refuse(to_, done.error());
    for (const wire::Done::Item& item : done->items) {
      if (item.code == Code::permission_denied) {
        return refuse(to_, {item.code, std::string(item.message)});
      }
      cancelled_ += item.code == Code::ok ? 1 : 0;
    }
    go_on();
  }

  void go_on() {
    const bool more = !before_.empty();
    if (more && cancelled_ < kPurgeMax) return next();
    answer(to_, 200, std::move(app::Json::object().set("cancelled", cancelled_).set("more", more)));
  }

  EngineSession& engine_;
  const std::string queue_;
  Responder to_;
  TaskId before_{};
  std::uint64_t cancelled_ = 0;
};

bool is_number(std::string_view text) {
  return !text.empty() && text.size() < 20 && text.find_first_not_of("0123456789") == text.npos;
}

app::Json value_of_fact(std::string_view text) {
  std::uint64_t number = 0;
  if (is_number(text) && app::read_value(text, number)) return app::Json(number);
  return app::Json(text);
}

std::vector<std::string> words_of(std::string_view text) {
  std::istringstream stream{std::string(text)};
  return {std::istream_iterator<std::string>(stream), {}};
}

// Facts whose names have a point are those of a group: {"limits": {"payload_bytes_max": …}}.
app::Json json_of(const wire::EngineInfo& info) {
  app::Json json = app::Json::object();
  std::map<std::string_view, app::Json> groups;
  for (const auto& [name, value] : info.facts) {
    const std::size_t point = name.find('.');
    if (name == "endpoints") {
      app::Json endpoints = app::Json::array();
      for (const std::string& endpoint : words_of(value)) endpoints.add(endpoint);
      json.set(name, std::move(endpoints));
    } else if (name == "engine" || name == "incarnation" || name == "version") {
      json.set(name, value);  // digits by chance
    } else if (point == name.npos) {
      json.set(name, value_of_fact(value));
    } else {
      app::Json& group =
          groups.try_emplace(name.substr(0, point), app::Json::object()).first->second;
      group.set(name.substr(point + 1), value_of_fact(value));
    }
  }
  for (auto& [name, group] : groups) json.set(name, std::move(group));
  return json;
}

app::Json json_of(const http::ServerCounters& counters) {
  app::Json json = app::Json::object();
  json.set("connections", counters.connections)
      .set("connections_total", counters.connections_total)
      .set("requests", counters.requests)
      .set("not_admitted", counters.not_admitted)
      .set("malformed", counters.malformed)
      .set("too_large", counters.too_large)
      .set("too_slow", counters.too_slow)
      .set("too_many_connections", counters.too_many_connections)
      .set("too_many_bodies", counters.too_many_bodies)
      .set("stalled", counters.stalled)
      .set("tls_failures", counters.tls_failures);
  return json;
}

std::string_view fact(const wire::EngineInfo& info, std::string_view name) {
  for (const auto& [known, value] : info.facts) {
    if (known == name) return value;
  }
  return {};
}

}  // namespace

void Api::list_queues(const Request&, Responder to) {
  engine_.ask(wire::Queues{}, [to](Result<wire::Reply> reply) {
    const Result<wire::QueueList> list = expect<wire::QueueList>(std::move(reply));
    if (!list) return refuse(to, list.error());
    app::Json queues = app::Json::array();
    for (const wire::QueueItem& item : list->queues) queues.add(app::json_of(to_status(item)));
    answer(to, 200, std::move(app::Json::object().set("queues", std::move(queues))));
  });
}

void Api::get_queue(const Request& request, Responder to) {
  engine_.ask(wire::Queues{},
              [this, queue = request.parameter("queue"), to](Result<wire::Reply> reply) {
                const Result<wire::QueueList> list = expect<wire::QueueList>(std::move(reply));
                if (!list) return refuse(to, list.error());
                for (const wire::QueueItem& item : list->queues) {
                  if (item.name == queue) return answer(to, 200, app::json_of(to_status(item)));
                }
                refuse_queue(queue, to);
              });
}

// One that is not in the list: its name is wrong, the key may not see it, or there is none.
void Api::refuse_queue(const std::string& queue, const Responder& to) {
  wire::List list;
  list.queue = queue;
  list.count = 1;
  engine_.ask(list, [to](Result<wire::Reply> reply) {
    const Result<wire::Page> page = expect<wire::Page>(std::move(reply));
    refuse(to, page ? Error{Code::not_found, "nothing has come to a queue of this name yet"}
                    : page.error());
  });
}

void Api::pause(const Request& request, Responder to) { set_paused(request, true, to); }

void Api::resume(const Request& request, Responder to) { set_paused(request, false, to); }

void Api::set_paused(const Request& request, bool paused, Responder to) {
  engine_.ask(wire::Pause{0, request.parameter("queue"), paused}, done_or_refused(std::move(to)));
}

void Api::purge(const Request& request, Responder to) {
  const std::string& queue = request.parameter("queue");
  const std::string* const confirmation = request.query_value("confirm");
  if (confirmation == nullptr || *confirmation != queue) {
    return refuse(
        to,
        {Code::invalid_argument,
         "this cancels all tasks that wait in the queue; confirm it by ?confirm=" + queue},
        "confirm");
  }
  std::make_shared<Purge>(engine_, queue, std::move(to))->next();
}

void Api::get_engine(const Request&, Responder to) {
  engine_.ask(wire::Info{}, [this, to](Result<wire::Reply> reply) {
    const Result<wire::EngineInfo> info = expect<wire::EngineInfo>(std::move(reply));
    if (!info) return refuse(to, info.error());
    app::Json json = json_of(*info);
    json.set("http", json_of(options_.counters()));
    answer(to, 200, json);
  });
}

std::string unready_because(const wire::EngineInfo& info) {
  const std::string_view state = fact(info, fact_names::kState);
  if (state != fact_names::kRunning) return "the engine is " + std::string(state);
  const auto stands_still = [&](std::string_view name, Duration longest) {
    std::uint64_t ms = 0;
    return app::read_value(fact(info, name), ms) &&
           ms > static_cast<std::uint64_t>(longest.count());
  };
  if (stands_still(fact_names::kAppendMs, kAppendMax)) return "the journal stands still";
  if (stands_still(fact_names::kFlushMs, kFlushMax)) return "the store stands still";
  return {};
}

void Api::get_readiness(const Request&, Responder to) {
  const auto on_info = [to](Result<wire::Reply> reply) {
    const Result<wire::EngineInfo> info = expect<wire::EngineInfo>(std::move(reply));
    if (!info) return refuse(to, {Code::unavailable, info.error().message});
    const std::string why = unready_because(*info);
    if (!why.empty()) return refuse(to, {Code::unavailable, why});
    answer(to, 200, std::move(app::Json::object().set("status", "ready")));
  };
  engine_.ask(wire::Info{}, on_info, kProbePatience);
}

}  // namespace jack::api

// The API of before ("Jules"), on real tasks: an agent is a queue, `acknowledge` takes a lease,
// `complete` settles. docs/migration.md says what is the same and what is not.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/task.h>

#include "apps/api/claims.h"
#include "apps/api/engine_session.h"
#include "apps/http/message.h"
#include "apps/http/router.h"
#include "apps/jules/metrics.h"
#include "apps/jules/task_view.h"

namespace jack::jules {

using http::Request;
using http::Responder;

// What the clients with one key do. On the server's thread; what it is made with outlives it.
class Jules {
 public:
  Jules(api::EngineSession& engine, api::Claims& claims, Options options, Metrics& metrics)
      : engine_(engine), claims_(claims), options_(std::move(options)), metrics_(metrics) {}

  // Each answers one request.
  void get_index(const Request& request, Responder to);
  void get_health(const Request& request, Responder to);
  void add_task(const Request& request, Responder to);
  void list_tasks(const Request& request, Responder to);
  void create_task(const Request& request, Responder to);
  void get_task(const Request& request, Responder to);
  void put_task(const Request& request, Responder to);
  void complete_task(const Request& request, Responder to);
  void list_unassigned(const Request& request, Responder to);
  void list_agent_tasks(const Request& request, Responder to);
  void acknowledge(const Request& request, Responder to);
  void complete_agent_task(const Request& request, Responder to);
  void get_metrics(const Request& request, Responder to);

 private:
  using OnTask = std::function<void(Task)>;
  using OnTasks = std::function<void(std::vector<Task>)>;
  using OnDone = std::function<void()>;
  struct Listing;
  struct Completion;

  // What is submitted; nothing, and refused with 400, where it cannot be.
  bool prepare(const std::string& text, const Value& body, Responder& to, TaskSpec& spec,
               Value& fields) const;
  void submit(TaskSpec spec, const Value& fields, const Responder& to, OnTask then);
  void annotate(const TaskId& task, const Value& fields, const Responder& to, OnDone then);

  // By id or number; refused where there is none.
  void find(const std::string& id, bool with_payload, const Responder& to, OnTask then);
  // The same, of that agent.
  void find_of_agent(const Request& request, const Responder& to, OnTask then);

  // Tasks in the order of their numbers, with their payloads: the `count` first or last of those
  // that match.
  void list(const std::string& queue, std::optional<TaskState> state, bool oldest_first,
            const Responder& to, OnTasks then);

  // Where the agents' lease of a task that runs is known: keeps it alive.
  void keep_alive(const Task& task);
  void complete(const Task& task, Completion completion, const Responder& to);
  void on_not_completed(const TaskId& id, const Error& error, const Responder& to,
                        const OnDone& again);
  void clear(const TaskId& task, const std::vector<std::string>& names, const OnDone& then);

  api::EngineSession& engine_;
  api::Claims& claims_;
  const Options options_;
  Metrics& metrics_;
};

// `find` gives that of who asks, or null, having refused. Both outlive the router.
void add_routes(http::Router& router, Metrics& metrics,
                std::function<Jules*(const Request&, const Responder&)> find);

}  // namespace jack::jules

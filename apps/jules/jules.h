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
  // `look_up`: a session that may read everything, for what has to be known to do something.
  // Whether it may be done is for the engine to say, of the session that does it.
  Jules(api::EngineSession& engine, api::EngineSession& look_up, api::Claims& claims,
        Options options, Metrics& metrics)
      : engine_(engine),
        look_up_(look_up),
        claims_(claims),
        options_(std::move(options)),
        metrics_(metrics) {}

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

  // What is submitted; false, and refused with 400, where it cannot be.
  bool prepare(const std::string& text, const Value& body, Responder& to, TaskSpec& spec,
               Value& fields) const;
  void submit(TaskSpec spec, const Value& fields, const Responder& to, OnTask then);
  void annotate(const TaskId& task, const Value& fields,
                std::function<void(const Result<void>&)> then);

  // By id or number, with its payload if it is for whoever asks; refused where there is none.
  static void find(api::EngineSession& engine, const std::string& id, bool with_payload,
                   const Responder& to, OnTask then);
  void find(const std::string& id, const Responder& to, OnTask then) {
    find(look_up_, id, false, to, std::move(then));
  }
  // The same, of that agent.
  void find_of_agent(const Request& request, const Responder& to, OnTask then);

  // Tasks in the order of their numbers, with their payloads: the first or last of those that
  // match, as many as one answer lists.
  struct Wanted {
    std::string queue;  // empty: any
    std::optional<TaskState> state;
    std::function<bool(const Task&)> matches;  // empty: any
    bool oldest_first = false;
  };
  static void list(api::EngineSession& engine, Wanted wanted, const Responder& to, OnTasks then);

  void note_lease(const Task& task, LeaseToken token, const Responder& to);
  // Where the agents' lease of a task that runs is known: keeps it alive.
  void keep_alive(const Task& task);
  void complete(const Task& task, const std::shared_ptr<Completion>& completion,
                const Responder& to);
  void on_not_completed(const TaskId& id, const Error& error,
                        const std::shared_ptr<Completion>& completion, const Responder& to);

  api::EngineSession& engine_;
  api::EngineSession& look_up_;
  api::Claims& claims_;
  const Options options_;
  Metrics& metrics_;
};

// `find` gives that of who asks, or null, having refused. Both outlive the router.
void add_routes(http::Router& router, Metrics& metrics,
                std::function<Jules*(const Request&, const Responder&)> find);

}  // namespace jack::jules

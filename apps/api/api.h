// The routes of /v1: what an HTTP client asks becomes messages to the engine, and its answers
// become answers. docs/http.md describes them for clients.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/id.h>
#include <jack_engine/limits.h>
#include <jack_engine/task.h>
#include <jack_engine/time.h>

#include "apps/api/claims.h"
#include "apps/api/engine_session.h"
#include "apps/api/event_stream.h"
#include "apps/api/input.h"
#include "apps/api/takes.h"
#include "apps/http/message.h"
#include "apps/http/server.h"
#include "apps/json.h"

namespace jack::api {

using http::Request;
using http::Responder;
using http::Response;

struct ApiOptions {
  std::string principal;  // whose key it is; "" without keys
  Limits limits;          // of the engine
  std::function<http::ServerCounters()> counters;
};

// What the clients with one key do, through one session with the engine, which sees to it that the
// key allows it. On the server's thread. What it is made with outlives it.
class Api {
 public:
  // `look_up`: a session that may read everything, to tell a client which task it has handed in
  // before.
  Api(EngineSession& engine, Claims& claims, EngineSession& look_up, ApiOptions options);

  // Several times a second.
  void on_time();

  // Each answers one request, which has nothing but what its route takes (takes.h).

  // Tasks: tasks.cc
  void submit(const Request& request, Responder to);
  void get_task(const Request& request, Responder to);
  void get_result(const Request& request, Responder to);
  void get_history(const Request& request, Responder to);
  void list_tasks(const Request& request, Responder to);

  // Tasks that are there: changes.cc
  void cancel(const Request& request, Responder to);
  void retry(const Request& request, Responder to);
  void remove(const Request& request, Responder to);
  void annotate(const Request& request, Responder to);

  // Attempts, by whoever holds their lease: changes.cc
  void claim(const Request& request, Responder to);
  void succeed(const Request& request, Responder to);
  void fail(const Request& request, Responder to);
  void release(const Request& request, Responder to);
  void extend(const Request& request, Responder to);
  void add_output(const Request& request, Responder to);
  void set_progress(const Request& request, Responder to);

  // What happens, as it happens: events.cc, output_stream.cc
  void get_events(const Request& request, Responder to);
  void get_output(const Request& request, Responder to);

  // The engine and its queues: engine.cc
  void list_queues(const Request& request, Responder to);
  void get_queue(const Request& request, Responder to);
  void pause(const Request& request, Responder to);
  void resume(const Request& request, Responder to);
  void purge(const Request& request, Responder to);
  void get_engine(const Request& request, Responder to);
  void get_readiness(const Request& request, Responder to);

 private:
  void refuse_queue(const std::string& queue, const Responder& to);
  void set_paused(const Request& request, bool paused, Responder to);

  EngineSession& engine_;
  Claims& claims_;
  EngineSession& look_up_;
  const ApiOptions options_;
  std::vector<std::weak_ptr<EventStream>> streams_;
};

// --- What all routes share ---

inline constexpr std::size_t kTasksPerRequestMax = 1000;
inline constexpr const char* kTaskIdRule = "must be the id of a task, a UUID of version 7";

void answer(const Responder& to, int status, const app::Json& body);
void answer_nothing(const Responder& to);  // 204
void refuse(const Responder& to, const Error& error, std::string_view field = {});
void refuse(const Responder& to, const InputError& wrong);

// Answers 204 where all went well.
EngineSession::OnReply done_or_refused(Responder to);

// The task of the path. Nothing, and refused, where it is none.
std::optional<TaskId> task_of(const Request& request, const Responder& to);

// How long the client waits, by its query; zero where it does not. Nothing, and refused, where it
// is no duration.
std::optional<Duration> wait_of(const Request& request, const Responder& to);

// What keeps the engine from taking work, by what it tells of itself; empty: nothing. An entry or a
// flush that takes longer than these does. Pure.
inline constexpr Duration kAppendMax = std::chrono::seconds{5};
inline constexpr Duration kFlushMax = std::chrono::seconds{30};
std::string unready_because(const wire::EngineInfo& info);

// What was asked, payload included.
app::Json json_of_spec(TaskSpec spec);

// Adds bytes under `name` as a JSON value, or under `name`_text or `name`_base64, whichever they
// are.
void set_content(app::Json& json, const std::string& name, std::string_view bytes,
                 std::string_view content_type);

}  // namespace jack::api

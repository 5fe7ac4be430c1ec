// Tasks, results, queues and events as JSON, for --json. Names stay once they are released.
#pragma once

#include <jack_engine/client.h>
#include <jack_engine/task.h>

#include "apps/json.h"

namespace jack::app {

// `state` is at the top. The payload is in it where the task has been read with it.
Json json_of(const Task& task);
// Only what was asked, with its id and queue.
Json json_of(const TaskSpec& spec);
Json json_of(const AttemptRecord& attempt);
Json json_of(const TaskResult& result);

// Adds to a task what it brought back: `result`, and its `result_content_type`.
void set_result(Json& task, const TaskResult& result);

Json json_of(const QueueStatus& queue);
Json json_of(const Event& event);
Json json_of(const Error& error);

}  // namespace jack::app

// Tasks, queues and events for people.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/client.h>
#include <jack_engine/task.h>

#include "apps/text/table.h"

namespace jack::app {

// A client has moved journal times to this host's dates by now.
WallTime date_of(Instant at);

Tone tone_of(TaskState state);

// A line per task. `now` is what ages are counted to.
std::string tasks_text(const std::vector<Task>& tasks, WallTime now, const TableStyle& style);

// Everything about one task, with the history of its attempts. `result` may be null: there is none
// yet, or it is no longer kept.
std::string task_text(const Task& task, const TaskResult* result, WallTime now,
                      const TableStyle& style);

std::string queues_text(const std::vector<QueueStatus>& queues, const TableStyle& style);

// One line, with the line feed.
std::string event_text(const Event& event, bool colour);

// "failed", "was cancelled": what has become of a task in a terminal state.
std::string ended_text(TaskState state);

// "task 0190… failed: boom"; the error as it is, which may take several lines.
std::string failure_text(const TaskResult& result);

}  // namespace jack::app

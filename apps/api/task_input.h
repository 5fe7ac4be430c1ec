// Tasks as HTTP clients hand them in. docs/http.md describes the forms.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/limits.h>
#include <jack_engine/task.h>

#include "apps/api/input.h"
#include "apps/http/message.h"

namespace jack::api {

// Specs without defaults filled in; an empty id is for the caller to choose.
struct TaskInput {
  std::vector<TaskSpec> specs;
  bool is_batch = false;  // the body was {"tasks": […]}
};

// The body of a submit: one task as an object, or {"tasks": […]} with at most `tasks_max`. `queue`
// is that of the path; empty: each task names its own. Pure.
Input<TaskInput> tasks_from_json(std::string_view body, std::string_view queue,
                                 std::size_t tasks_max);

// The body is the payload; the rest of the spec stands in the query, under the names that it has in
// JSON. Its media type is that of the request. Pure.
Input<TaskSpec> task_from_raw(const http::Request& request, std::string_view queue);

// What the engine would refuse of this task's form, by its own rules, with the field that is to
// blame: found by asking it about each field alone. `place` comes before its name ("tasks[2]").
// Nothing where the form is right; whether the payload is too large is for the engine to say. Pure.
std::optional<InputError> fault_in(const TaskSpec& spec, const Limits& limits,
                                   const std::string& place = {});

// The same of the name of a queue.
std::optional<InputError> fault_in_queue(const std::string& field, std::string_view name);

}  // namespace jack::api

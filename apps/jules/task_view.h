// Tasks as the API of before showed them, and the names and values that it had for things.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include <jack_engine/task.h>

namespace jack::jules {

using Value = nlohmann::ordered_json;

struct Options {
  std::string inbox;      // the queue of tasks that are assigned to nobody
  std::string responses;  // the queue of what agents answered
  Duration lease;         // what `acknowledge` takes
};

// An agent's name was free text; the name of its queue has `-` for what a queue's name cannot have.
// Nothing where the agent's name is empty or too long.
std::optional<std::string> queue_of_agent(std::string_view agent);
// The same, and nothing where that queue is for no agent.
std::optional<std::string> queue_of_agent(std::string_view agent, const Options& options);

// Where the queue's name is not the agent's, this header of the task has that.
inline constexpr const char* kAgentHeader = "assigned-to";

// Of a task in the inbox, this annotation has the agent to which it was assigned later.
inline constexpr const char* kAgentNote = "assigned_to";

// Whether it is one for this agent to do.
bool is_of_agent(const Task& task, std::string_view agent, const Options& options);

// Whom the task is assigned to; empty: nobody.
std::string agent_of(const Task& task, const Options& options);

// Values of any JSON type as annotations: a text as it is, unless it would be read as something
// else, and the rest as JSON.
std::string note_of(const Value& value);
Value value_of_note(const std::string& note);

// Annotations that are not for people: the token of the lease that `acknowledge` took.
inline constexpr const char* kLeaseNote = "jules.lease";

// When it took it; a field like others.
inline constexpr const char* kAcknowledgedNote = "acknowledged";

// "pending", "acknowledged", "completed", or the name of another end.
std::string_view status_of(TaskState state);

// "2026-01-31T12:00:00Z"
std::string second_text(WallTime at);

// An entry of GET /tasks: {"id", "task", "created", "assigned_to", "status", every other field}.
Value entry_of(const Task& task, const Options& options);

// What GET /tasks/ID has as its data: {"task", "status", "assigned_to"?, "created", every field}.
Value data_of(const Task& task, const Options& options);

}  // namespace jack::jules

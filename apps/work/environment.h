// What a command that `jack work` runs finds in its environment, and what `jack submit` makes of it
// there.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <jack_engine/client.h>
#include <jack_engine/id.h>
#include <jack_engine/task.h>

namespace jack::app {

// By name. A variable that is to be absent, although it may be inherited, has no value.
using Variables = std::map<std::string, std::optional<std::string>>;

// JACK_TASK_ID, JACK_QUEUE, JACK_TYPE, JACK_ATTEMPT, JACK_TOKEN, JACK_FROM, JACK_PARENT,
// JACK_REPLY_TO, JACK_CONTENT_TYPE (empty where there is none), JACK_HEADERS (JSON), and
// TRACEPARENT of the headers.
Variables task_variables(const TaskSpec& task, std::uint32_t attempt, LeaseToken token);

// What lets the command reach the same engine: JACK_DATA_DIR, JACK_ENGINE and the keys.
Variables engine_variables(const ClientOptions& engine);

// "NAME=VALUE" texts: `inherited` with the variables put in place.
std::vector<std::string> environment_with(const std::vector<std::string>& inherited,
                                          const Variables& variables);

// The environment of this process.
std::vector<std::string> own_environment();

// Makes a task that is submitted by such a command the child of the one being run: its parent, its
// queue as sender, its headers. Anywhere, TRACEPARENT becomes a header. Fields that are set stay.
void inherit(TaskSpec& spec,
             const std::function<std::optional<std::string>(const std::string&)>& variable);

}  // namespace jack::app

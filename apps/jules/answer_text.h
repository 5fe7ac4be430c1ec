// Answers of the API of before, for people. What a server says is escaped.
#pragma once

#include <string>

#include "apps/jules/task_view.h"
#include "apps/text/table.h"

namespace jack::jules {

// Each takes what the function of that name of Client gives.
std::string health_text(const Value& health, const app::TableStyle& style);
std::string tasks_text(const Value& tasks, const app::TableStyle& style);
std::string task_text(const Value& task, const app::TableStyle& style);
std::string results_text(const Value& results, const app::TableStyle& style);

}  // namespace jack::jules

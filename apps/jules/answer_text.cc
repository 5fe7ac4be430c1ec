#include "apps/jules/answer_text.h"

#include <algorithm>
#include <string_view>

#include <nlohmann/json.hpp>

#include "apps/jules/client.h"
#include "apps/text/escape.h"

namespace jack::jules {
namespace {

using app::Align;
using app::Cell;
using app::Table;
using app::TableStyle;
using app::Tone;

std::string shown(const Value& fields, std::string_view name) {
  return app::escaped(text_of(fields, name));
}

Cell status_cell(const Value& fields) {
  const std::string status = text_of(fields, "status");
  const Tone tone = status == "completed"                       ? Tone::good
                    : status == "acknowledged"                  ? Tone::busy
                    : status == "failed" || status == "expired" ? Tone::bad
                    : status == "cancelled"                     ? Tone::faint
                                                                : Tone::plain;
  return {app::escaped(status), tone};
}

std::string result_text(const Value& fields) {
  const Value& result = result_of(fields);
  if (result.is_null()) return {};
  return result.is_string() ? result.get<std::string>()
                            : result.dump(-1, ' ', false, Value::error_handler_t::replace);
}

// "name   text" lines of an object's fields, the names in one column.
std::string fields_text(const Value& fields, const TableStyle& style) {
  std::size_t column = 0;
  for (const auto& [name, value] : fields.items()) {
    column = std::max(column, app::width_of(app::escaped(name)));
  }
  std::string text;
  for (const auto& [name, value] : fields.items()) {
    std::string head = app::escaped(name);
    head.append(column - app::width_of(head) + 2, ' ');
    text += app::toned(head, Tone::faint, style.colour) + shown(fields, name) + "\n";
  }
  return text;
}

}  // namespace

std::string health_text(const Value& health, const TableStyle& style) {
  return fields_text(health, style);
}

std::string tasks_text(const Value& tasks, const TableStyle& style) {
  Table table({{"ID"},
               {"STATUS", Align::left, true},
               {"CREATED", Align::left, true},
               {"AGENT", Align::left, true},
               {"TASK", Align::left, true}});
  for (const Value& task : tasks) {
    table.add({shown(task, "id"), status_cell(task), shown(task, "created"),
               shown(task, "assigned_to"), shown(task, "task")});
  }
  return table.text(style);
}

std::string task_text(const Value& task, const TableStyle& style) {
  Value fields = {{"id", text_of(task, "task_id")}};
  fields.update(task.at("data"));
  return fields_text(fields, style);
}

std::string results_text(const Value& results, const TableStyle& style) {
  Table table({{"ID", Align::left, true},
               {"AGENT", Align::left, true},
               {"TASK", Align::left, true},
               {"RESULT", Align::left, true}});
  for (const Value& task : results) {
    const Value& data = task.at("data");
    table.add({shown(task, "task_id"), shown(data, "assigned_to"), shown(data, "task"),
               app::escaped(result_text(data))});
  }
  return table.text(style);
}

}  // namespace jack::jules

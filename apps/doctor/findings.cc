#include "apps/doctor/findings.h"

#include <algorithm>

#include <fmt/format.h>

#include "apps/tasks/task_json.h"
#include "apps/text/escape.h"
#include "apps/text/table.h"

namespace jack::app {

void Findings::tell(std::string name, const Result<std::string>& text) {
  if (text) {
    tell(std::move(name), *text);
  } else {
    complain(std::move(name), text.error());
  }
}

bool Findings::healthy() const {
  return std::ranges::none_of(list_,
                              [](const Finding& finding) { return finding.problem.has_value(); });
}

ExitStatus Findings::status() const {
  ExitStatus status = ExitStatus::done;
  for (const Finding& finding : list_) {
    if (!finding.problem) continue;
    const ExitStatus own = status_of(finding.problem->code);
    if (status == ExitStatus::done || own == ExitStatus::internal) status = own;
  }
  return status;
}

Json Findings::json() const {
  Json list = Json::array();
  for (const Finding& finding : list_) {
    Json json = Json::object();
    json.set("name", finding.name).set("ok", !finding.problem.has_value());
    if (!finding.text.empty()) json.set("text", finding.text);
    if (finding.problem) json.set("problem", json_of(*finding.problem));
    list.add(std::move(json));
  }
  return list;
}

std::string Findings::text(bool colour) const {
  std::size_t width = 0;
  for (const Finding& finding : list_) width = std::max(width, finding.name.size());
  std::string text;
  for (const Finding& finding : list_) {
    const std::string mark = finding.problem ? toned("problem", Tone::bad, colour)
                                             : toned("ok     ", Tone::good, colour);
    text += fmt::format("{}  {:<{}}  {}\n", mark, finding.name, width,
                        escaped(finding.problem ? to_string(*finding.problem) : finding.text));
  }
  return text;
}

}  // namespace jack::app

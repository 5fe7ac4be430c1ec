#include "apps/import/summary.h"

#include <algorithm>

#include <fmt/format.h>

#include "apps/text/escape.h"

namespace jack::app {
namespace {

constexpr std::size_t kComplaintsMax = 20;  // of one file

ImportCounts total_of(const std::vector<PlannedFile>& files) {
  ImportCounts total;
  for (const PlannedFile& file : files) {
    total.imported += file.counts.imported;
    total.already_there += file.counts.already_there;
    total.completed += file.counts.completed;
    total.left_out += file.counts.left_out;
  }
  return total;
}

std::vector<Cell> row_of(const std::string& name, const ImportCounts& counts) {
  return {escaped(name), std::to_string(counts.imported), std::to_string(counts.already_there),
          std::to_string(counts.completed),
          Cell(std::to_string(counts.left_out), counts.left_out > 0 ? Tone::bad : Tone::plain)};
}

void set_counts(Json& json, const ImportCounts& counts) {
  json.set("imported", counts.imported)
      .set("already_there", counts.already_there)
      .set("completed", counts.completed)
      .set("skipped", counts.left_out);
}

std::string complaint_of(const std::string& path, const Problem& problem) {
  if (problem.line == 0) return fmt::format("{}: {}", path, problem.message);
  if (problem.column == 0) return fmt::format("{}:{}: {}", path, problem.line, problem.message);
  return fmt::format("{}:{}:{}: {}", path, problem.line, problem.column, problem.message);
}

}  // namespace

std::string text_of(const ImportSummary& summary, const TableStyle& style) {
  Table table({{"FILE", Align::left, true},
               {summary.dry_run ? "WOULD IMPORT" : "IMPORTED", Align::right},
               {"ALREADY THERE", Align::right},
               {"COMPLETED", Align::right},
               {"SKIPPED", Align::right}});
  for (const PlannedFile& file : summary.files) table.add(row_of(file.path, file.counts));
  if (summary.files.size() > 1) table.add(row_of("all", total_of(summary.files)));
  return table.text(style);
}

Json json_of(const ImportSummary& summary) {
  Json files = Json::array();
  for (const PlannedFile& file : summary.files) {
    Json one = Json::object();
    one.set("file", file.path);
    set_counts(one, file.counts);
    files.add(std::move(one));
  }
  Json total = Json::object();
  set_counts(total, total_of(summary.files));
  Json json = Json::object();
  json.set("files", std::move(files))
      .set("total", std::move(total))
      .set("other_files", summary.others)
      .set("dry_run", summary.dry_run);
  return json;
}

std::vector<std::string> complaints_of(const PlannedFile& file) {
  std::vector<Problem> problems = file.problems;
  std::ranges::stable_sort(problems, {}, &Problem::line);
  std::vector<std::string> complaints;
  for (const Problem& problem : problems) {
    if (complaints.size() == kComplaintsMax) {
      complaints.push_back(fmt::format("{}: and {} more lines like these", file.path,
                                       problems.size() - kComplaintsMax));
      break;
    }
    complaints.push_back(complaint_of(file.path, problem));
  }
  return complaints;
}

}  // namespace jack::app

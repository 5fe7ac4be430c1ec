#include "apps/log.h"

#include <chrono>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "apps/json.h"
#include "apps/terminal.h"
#include "apps/text/date.h"
#include "apps/text/escape.h"

namespace jack::app {
namespace {

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return spdlog::level::debug;
    case LogLevel::info: return spdlog::level::info;
    case LogLevel::warning: return spdlog::level::warn;
    case LogLevel::error: return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::string_view name_of_level(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warning: return "warning";
    case LogLevel::error: return "error";
  }
  return "error";
}

std::string json_line(LogLevel level, std::string_view message) {
  const auto now = std::chrono::floor<Duration>(std::chrono::system_clock::now());
  Json json = Json::object();
  json.set("at", date_text(now)).set("level", name_of_level(level)).set("message", message);
  return json.line();
}

}  // namespace

Log::Log(const std::string& format, const std::string& level) : json_(format == "json") {
  const auto colours =
      has_colour(Stream::errors) ? spdlog::color_mode::always : spdlog::color_mode::never;
  logger_ = std::make_shared<spdlog::logger>(
      "jack", std::make_shared<spdlog::sinks::stderr_color_sink_mt>(colours));
  logger_->set_pattern(json_ ? "%v" : "%Y-%m-%d %H:%M:%S.%e %^%-7l%$ %v");
  logger_->set_level(spdlog::level::from_str(level));
  logger_->flush_on(spdlog::level::debug);
}

Log::~Log() = default;

void Log::write(LogLevel level, std::string_view message) {
  const spdlog::level::level_enum at = level_of(level);
  if (!logger_->should_log(at)) return;
  logger_->log(at, spdlog::string_view_t(json_ ? json_line(level, message) : escaped(message)));
}

}  // namespace jack::app

// Log lines on standard error, for people or for programs. The logging library is in log.cc alone.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <jack_engine/engine.h>

namespace spdlog {
class logger;
}

namespace jack::app {

// Any thread.
class Log {
 public:
  // `format`: "text", or "json" for an object per line with `at`, `level` and `message`.
  Log(const std::string& format, const std::string& level);
  ~Log();

  void write(LogLevel level, std::string_view message);

 private:
  const bool json_;
  std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace jack::app

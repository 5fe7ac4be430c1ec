// The values of all settings, and where each came from. The strongest source that names a setting
// decides: the command line, the environment, the first configuration file, that of the data
// directory, the default.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <jack_engine/client.h>
#include <jack_engine/engine.h>
#include <jack_engine/error.h>

#include "apps/api/gateway.h"
#include "apps/config/setting.h"
#include "apps/config/toml_file.h"

namespace jack::app {

// Weakest first.
enum class Source { defaults, data_dir_file, file, environment, flag };

struct SettingValue {
  std::vector<std::string> texts;
  Source source = Source::defaults;
  std::string origin;  // "default", "JACK_DATA_DIR", "./jack.toml", "--data-dir"

  // The only text, or nothing.
  const std::string& text() const;
};

// What is needed to find the settings; tests give their own.
struct SettingsInput {
  // Of the command line: key and texts, in order; the name of the flag is the origin.
  struct Flag {
    std::string name;
    std::string key;
    std::vector<std::string> texts;
  };
  std::vector<Flag> flags;
  std::string config_file;  // instead of ./jack.toml; must exist then
  std::string default_data_dir;
  std::function<std::optional<std::string>(const std::string&)> variable;  // by name
  std::vector<std::string> variable_names;  // of those there are, to find the misspelt ones
};

// Reads variables of this process; one that is empty counts as not set.
std::optional<std::string> process_variable(const std::string& name);

// The names of this process' variables.
std::vector<std::string> process_variable_names();

class Settings {
 public:
  // Errors: invalid_argument  a value or a key that is wrong, with where it stands
  //         not_found         no file of that name
  static Result<Settings> load(const SettingsInput& input);

  // The key must be one that exists.
  const SettingValue& operator[](std::string_view key) const;
  const std::string& text(std::string_view key) const { return (*this)[key].text(); }

  // Absolute.
  const std::string& data_dir() const { return text("data_dir"); }

  // The configuration files that were read, the stronger one first.
  const std::vector<std::string>& files() const { return files_; }

 private:
  void take_defaults(const SettingsInput& input);
  Result<void> take_flags(const SettingsInput& input);
  Result<void> take_variables(const SettingsInput& input);
  static Result<void> check_variable_names(const SettingsInput& input);
  Result<void> take_first_file(const SettingsInput& input);
  Result<void> take_data_dir_file();
  void take(const FileSettings& settings, Source source, const std::string& origin);
  void offer(const std::string& key, SettingValue value);

  std::map<std::string, SettingValue, std::less<>> values_;
  std::vector<std::string> files_;
};

// What `jack serve` opens its engine with.
EngineOptions engine_options(const Settings& settings);

// Where and how `jack serve` answers HTTP.
struct HttpSettings {
  api::GatewayOptions options;  // without addresses: not at all
  bool asked_for = false;       // somebody chose the address: it must be had
};

// Errors: invalid_argument  PORT is none; an address or a queue's name that is none
Result<HttpSettings> http_settings(
    const Settings& settings,
    const std::function<std::optional<std::string>(const std::string&)>& variable =
        process_variable);

// How commands reach the engine. `engine` counts only if it comes from at least as strong a source
// as `data_dir`: `--data-dir` means the engine there, whatever JACK_ENGINE says.
ClientOptions client_options(const Settings& settings);

}  // namespace jack::app

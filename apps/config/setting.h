// The settings that there are: names, kinds, defaults. docs/configuration.md says the same in
// words.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/error.h>

namespace jack::app {

enum class SettingKind {
  text,
  path,   // in a file: relative to that file's folder
  texts,  // any number of texts; in the environment separated by commas
  choice,
  duration,  // "30s"
  count,
};

struct Setting {
  std::string key;  // "limits.retention"; in a file: `retention` in the table [limits]
  SettingKind kind = SettingKind::text;
  std::vector<std::string> defaults;  // one text, none, or, for texts, any number
  std::string help;
  std::vector<std::string> choices = {};
};

std::span<const Setting> all_settings();

// Nothing where there is no such setting.
const Setting* find_setting(std::string_view key);

// "JACK_LIMITS_RETENTION" for "limits.retention".
std::string variable_of(const Setting& setting);

// That a variable of this name was meant for a setting and is none: one in the family of settings
// (JACK_LIMITS_…, JACK_LOG_…), or close to the name of one. Nothing for others: `jack work` sets
// some for its commands, and an audio server has its own that begin with JACK_.
std::optional<Error> misspelt_variable(std::string_view name);

// Whether these texts are a value of the setting.
// Errors: invalid_argument  what they should be
Result<void> check_value(const Setting& setting, const std::vector<std::string>& texts);

// `texts` with the paths of ipc:// addresses to listen at beginning at `folder`, unless they are
// absolute: who looks for the engine may be in another folder. Other settings stay as they are.
std::vector<std::string> with_listen_paths(const Setting& setting, std::vector<std::string> texts,
                                           const std::filesystem::path& folder);

// "there is no setting 'durabilty'; did you mean durability?"
Error unknown_setting(std::string_view key);

}  // namespace jack::app

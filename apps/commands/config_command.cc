// `jack config`: each setting and where its value comes from.
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "apps/commands/commands.h"
#include "apps/commands/connection.h"
#include "apps/json.h"
#include "apps/terminal.h"
#include "apps/text/escape.h"

namespace jack::app {
namespace {

struct ConfigFlags {
  EngineFlags engine;
  bool json = false;
};

Json json_of_setting(const SettingValue& value, const Setting& setting) {
  Json json = Json::object();
  if (setting.kind == SettingKind::texts) {
    Json list = Json::array();
    for (const std::string& text : value.texts) list.add(text);
    json.set("value", std::move(list));
  } else if (value.texts.empty()) {
    json.set("value", Json());
  } else {
    json.set("value", value.text());
  }
  return std::move(json.set("from", value.origin));
}

std::string table_text(const Settings& settings) {
  Table table({{"SETTING"},
               {"VALUE", Align::left, true},
               {"FROM", Align::left, true},
               {"MEANING", Align::left, true}});
  for (const Setting& setting : all_settings()) {
    const SettingValue& value = settings[setting.key];
    const Tone tone = value.source == Source::defaults ? Tone::faint : Tone::plain;
    table.add({Cell(setting.key, tone),
               Cell(escaped(fmt::format("{}", fmt::join(value.texts, ", "))), tone),
               Cell(escaped(value.origin), tone), Cell(setting.help, Tone::faint)});
  }
  return table.text(table_style());
}

Result<ExitStatus> config(const ConfigFlags& flags) {
  const Result<Settings> settings = load_settings(flags.engine);
  if (!settings) return settings.error();
  if (!flags.json) {
    print(table_text(*settings));
    return ExitStatus::done;
  }
  Json all = Json::object();
  for (const Setting& setting : all_settings()) {
    all.set(setting.key, json_of_setting((*settings)[setting.key], setting));
  }
  Json files = Json::array();
  for (const std::string& file : settings->files()) files.add(file);
  Json json = Json::object();
  json.set("settings", std::move(all)).set("files", std::move(files));
  print(json.line() + "\n");
  return ExitStatus::done;
}

}  // namespace

Command config_command() {
  const auto flags = std::make_shared<ConfigFlags>();
  Command command("config", "print each setting and where its value comes from");
  command
      .details(
          "The strongest source that names a setting decides: the command line, the "
          "environment, ./jack.toml (or the file of --config), jack.toml in the data "
          "directory, the default.")
      .flag("--json", flags->json, "print {\"settings\": {…}, \"files\": […]}")
      .example("jack config", "what a command here would use")
      .example("jack config --data-dir /srv/jack",
               "what `jack serve --data-dir /srv/jack` would use")
      .status(ExitStatus::done, "printed")
      .status(ExitStatus::refused, "a file or a variable is wrong; the message says where");
  add_data_dir_flags(command, flags->engine);
  command.run([flags] { return config(*flags); });
  return command;
}

}  // namespace jack::app

#include "apps/commands/connection.h"

#include "engine/wire/endpoint.h"

namespace jack::app {

Result<void> read_value(std::string_view text, Endpoint& target) {
  const Result<void> checked = wire::check_endpoint(text, wire::Use::connect);
  if (checked) target.text = text;
  return checked;
}

Result<void> read_value(std::string_view text, ListenEndpoint& target) {
  const Result<void> checked = wire::check_endpoint(text, wire::Use::listen);
  if (checked) target.text = text;
  return checked;
}

void add_flag(SettingsInput& input, std::string name, std::string key,
              const std::optional<std::string>& text) {
  if (text) input.flags.push_back({std::move(name), std::move(key), {*text}});
}

void add_flag(SettingsInput& input, std::string name, std::string key,
              const std::optional<InputFile>& file) {
  if (file) input.flags.push_back({std::move(name), std::move(key), {file->path}});
}

void add_data_dir_flags(Command& command, EngineFlags& flags) {
  command
      .option("--data-dir", "DIR", flags.data_dir,
              "the data directory (default: $JACK_DATA_DIR, else $XDG_STATE_HOME/jack, else "
              "~/.local/state/jack)")
      .option("--config", "FILE", flags.config_file, "read this instead of ./jack.toml");
}

void add_engine_flags(Command& command, EngineFlags& flags) {
  command.option("--engine", "ENDPOINT", flags.engine,
                 "the engine's address, ipc:///PATH or tcp://HOST:PORT (default: $JACK_ENGINE, "
                 "else that of the data directory)");
  add_data_dir_flags(command, flags);
  command.option("--key-file", "FILE", flags.key_file, "this side's secret key, for tcp")
      .option("--engine-key-file", "FILE", flags.engine_key_file,
              "the engine's public key, for tcp")
      .status(ExitStatus::no_engine, "no engine answered")
      .status(ExitStatus::not_permitted, "the key may not do this");
}

SettingsInput settings_input(const EngineFlags& flags) {
  SettingsInput input;
  input.variable = process_variable;
  input.default_data_dir = wire::default_data_dir();
  input.variable_names = process_variable_names();
  if (flags.config_file) input.config_file = flags.config_file->path;
  if (flags.engine) input.flags.push_back({"--engine", "engine", {flags.engine->text}});
  add_flag(input, "--data-dir", "data_dir", flags.data_dir);
  add_flag(input, "--key-file", "client.key_file", flags.key_file);
  add_flag(input, "--engine-key-file", "client.engine_key_file", flags.engine_key_file);
  return input;
}

Result<Settings> load_settings(const EngineFlags& flags) {
  return Settings::load(settings_input(flags));
}

Result<Connection> Connection::open(const EngineFlags& flags) {
  Result<Settings> settings = load_settings(flags);
  if (!settings) return settings.error();
  Result<Client> client = Client::connect(client_options(*settings));
  if (!client) return client.error();
  return Connection(*std::move(settings), *std::move(client));
}

}  // namespace jack::app

// How commands find the engine and talk to it.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <jack_engine/client.h>
#include <jack_engine/error.h>

#include "apps/cli/command.h"
#include "apps/config/settings.h"

namespace jack::app {

// "ipc://PATH" or "tcp://HOST:PORT", as far as a command line can tell.
struct Endpoint {
  std::string text;
};
Result<void> read_value(std::string_view text, Endpoint& target);

// The same where an engine is to listen: the port can be 0, and the path of any length.
struct ListenEndpoint {
  std::string text;
};
Result<void> read_value(std::string_view text, ListenEndpoint& target);

// Sets a setting, where the flag was given.
void add_flag(SettingsInput& input, std::string name, std::string key,
              const std::optional<std::string>& text);
void add_flag(SettingsInput& input, std::string name, std::string key,
              const std::optional<InputFile>& file);

// The flags of all commands that need settings. Empty: not given.
struct EngineFlags {
  std::optional<Endpoint> engine;
  std::optional<std::string> data_dir;
  std::optional<InputFile> config_file;
  std::optional<InputFile> key_file;
  std::optional<InputFile> engine_key_file;
};

// --data-dir and --config.
void add_data_dir_flags(Command& command, EngineFlags& flags);

// These, --engine and the keys for tcp; and the statuses of whoever talks to an engine.
void add_engine_flags(Command& command, EngineFlags& flags);

SettingsInput settings_input(const EngineFlags& flags);
Result<Settings> load_settings(const EngineFlags& flags);

// A client and how it came about.
class Connection {
 public:
  // Errors: as Settings::load() and Client::connect()
  static Result<Connection> open(const EngineFlags& flags);

  Client& client() { return client_; }
  Client* operator->() { return &client_; }
  const Settings& settings() const { return settings_; }

 private:
  Connection(Settings settings, Client client)
      : settings_(std::move(settings)), client_(std::move(client)) {}

  Settings settings_;
  Client client_;
};

}  // namespace jack::app

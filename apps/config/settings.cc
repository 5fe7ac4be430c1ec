#include "apps/config/settings.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>
#include <unistd.h>

#include "apps/cli/values.h"
#include "apps/http/address.h"
#include "engine/format/spec.h"

namespace jack::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFileName = "jack.toml";

std::string absolute_path(const std::string& path) {
  return path.empty() ? path : fs::absolute(path).lexically_normal().string();
}

// Values have been checked when they were taken, so reading them cannot fail.
template <typename T>
T value_of(const Settings& settings, std::string_view key) {
  T value{};
  static_cast<void>(read_value(settings.text(key), value));
  return value;
}

std::uint32_t small_count(const Settings& settings, std::string_view key) {
  const auto count = value_of<std::uint64_t>(settings, key);
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(count, UINT32_MAX));
}

// Limits live in the journal: a configuration that names none leaves them as they are there.
std::optional<Limits> limits_of(const Settings& settings) {
  const bool named = std::ranges::any_of(all_settings(), [&](const Setting& setting) {
    return setting.key.starts_with("limits.") && settings[setting.key].source != Source::defaults;
  });
  if (!named) return std::nullopt;
  Limits limits;
  const auto count = [&](std::string_view key) { return value_of<std::uint64_t>(settings, key); };
  const auto duration = [&](std::string_view key) { return value_of<Duration>(settings, key); };
  limits.payload_bytes_max = count("limits.payload_bytes_max");
  limits.result_bytes_max = count("limits.result_bytes_max");
  limits.error_bytes_max = count("limits.error_bytes_max");
  limits.output_bytes_max = count("limits.output_bytes_max");
  limits.unfinished_per_queue_max = count("limits.unfinished_per_queue_max");
  limits.unfinished_max = count("limits.unfinished_max");
  limits.queues_max = count("limits.queues_max");
  limits.attempts_max = small_count(settings, "limits.attempts_max");
  limits.delay_max = duration("limits.delay_max");
  limits.retention = duration("limits.retention");
  limits.dedup_window = duration("limits.dedup_window");
  limits.timers_per_tick_max = small_count(settings, "limits.timers_per_tick_max");
  limits.engine_liveness = duration("limits.engine_liveness");
  limits.heartbeat_interval = duration("limits.heartbeat_interval");
  return limits;
}

SessionLimits session_limits_of(const Settings& settings) {
  SessionLimits limits;
  limits.sessions_max = small_count(settings, "sessions.sessions_max");
  limits.credit_max = small_count(settings, "sessions.credit_max");
  limits.batch_tasks_max = small_count(settings, "sessions.batch_tasks_max");
  limits.batch_bytes_max = value_of<std::uint64_t>(settings, "sessions.batch_bytes_max");
  limits.lease_default = value_of<Duration>(settings, "sessions.lease_default");
  limits.lease_min = value_of<Duration>(settings, "sessions.lease_min");
  limits.lease_max = value_of<Duration>(settings, "sessions.lease_max");
  limits.waits_per_session_max = small_count(settings, "sessions.waits_per_session_max");
  limits.watches_per_session_max = small_count(settings, "sessions.watches_per_session_max");
  return limits;
}

bool leaves_the_machine(const std::string& endpoint) { return endpoint.starts_with("tcp://"); }

// The keys that `jack keys` makes are used without being named, where an endpoint needs any.
std::string key_file(const Settings& settings, std::string_view key, const std::string& name) {
  const std::string& named = settings.text(key);
  if (!named.empty()) return named;
  const std::string made = settings.data_dir() + "/keys/" + name;
  std::error_code failed;
  return fs::exists(made, failed) ? made : std::string();
}

}  // namespace

const std::string& SettingValue::text() const {
  static const std::string nothing;
  return texts.empty() ? nothing : texts.front();
}

std::optional<std::string> process_variable(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

std::vector<std::string> process_variable_names() {
  std::vector<std::string> names;
  for (char** variable = ::environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    names.emplace_back(text.substr(0, text.find('=')));
  }
  return names;
}

Result<Settings> Settings::load(const SettingsInput& input) {
  Settings settings;
  settings.take_defaults(input);
  if (Result<void> taken = settings.take_flags(input); !taken) return taken.error();
  if (Result<void> taken = settings.take_variables(input); !taken) return taken.error();
  if (Result<void> taken = settings.take_first_file(input); !taken) return taken.error();
  // The others may have said where the data directory is, so its own file comes last.
  if (Result<void> taken = settings.take_data_dir_file(); !taken) return taken.error();
  return settings;
}

void Settings::take_defaults(const SettingsInput& input) {
  for (const Setting& setting : all_settings()) {
    values_[setting.key] = {setting.defaults, Source::defaults, "default"};
  }
  values_["data_dir"].texts = {input.default_data_dir};
}

Result<void> Settings::take_flags(const SettingsInput& input) {
  for (const SettingsInput::Flag& flag : input.flags) {
    const Setting* const setting = find_setting(flag.key);
    if (setting == nullptr) return unknown_setting(flag.key);
    SettingValue value{flag.texts, Source::flag, flag.name};
    if (const Result<void> checked = check_value(*setting, value.texts); !checked) {
      return Error{Code::invalid_argument,
                   fmt::format("{}: {}", flag.name, checked.error().message)};
    }
    if (setting->kind == SettingKind::path) value.texts = {absolute_path(flag.texts.front())};
    value.texts = with_listen_paths(*setting, std::move(value.texts), "");
    offer(flag.key, std::move(value));
  }
  return {};
}

// One that is no setting and was meant to be one would leave the default in force in silence.
Result<void> Settings::check_variable_names(const SettingsInput& input) {
  for (const std::string& name : input.variable_names) {
    const std::optional<Error> wrong = misspelt_variable(name);
    if (wrong && input.variable(name)) return *wrong;
  }
  return {};
}

Result<void> Settings::take_variables(const SettingsInput& input) {
  if (Result<void> checked = check_variable_names(input); !checked) return checked;
  for (const Setting& setting : all_settings()) {
    const std::string name = variable_of(setting);
    const std::optional<std::string> text = input.variable(name);
    if (!text) continue;
    SettingValue value{{*text}, Source::environment, name};
    if (setting.kind == SettingKind::texts) value.texts = split_list(*text);
    if (setting.kind == SettingKind::path) value.texts = {absolute_path(*text)};
    value.texts = with_listen_paths(setting, std::move(value.texts), "");
    if (const Result<void> checked = check_value(setting, value.texts); !checked) {
      return Error{Code::invalid_argument, fmt::format("{}: {}", name, checked.error().message)};
    }
    offer(setting.key, std::move(value));
  }
  return {};
}

Result<void> Settings::take_first_file(const SettingsInput& input) {
  const std::string path =
      input.config_file.empty() ? std::string("./") + kFileName : input.config_file;
  const Result<std::optional<FileSettings>> read = read_toml_file(path);
  if (!read) return read.error();
  if (*read) {
    take(**read, Source::file, path);
    files_.push_back(path);
  } else if (!input.config_file.empty()) {
    return Error{Code::not_found, fmt::format("{}: there is no such file", path)};
  }
  return {};
}

Result<void> Settings::take_data_dir_file() {
  const std::string path = data_dir() + "/" + kFileName;
  std::error_code failed;
  if (!files_.empty() && fs::equivalent(path, files_.front(), failed)) return {};
  const Result<std::optional<FileSettings>> read = read_toml_file(path);
  if (!read) return read.error();
  if (!*read) return {};
  if ((*read)->contains("data_dir")) {
    return Error{Code::invalid_argument,
                 fmt::format("{}: data_dir cannot be set in the data directory itself", path)};
  }
  take(**read, Source::data_dir_file, path);
  files_.push_back(path);
  return {};
}

void Settings::take(const FileSettings& settings, Source source, const std::string& origin) {
  for (const auto& [key, texts] : settings) offer(key, {texts, source, origin});
}

// The later of two flags counts, and of other sources the stronger.
void Settings::offer(const std::string& key, SettingValue value) {
  SettingValue& present = values_[key];
  if (value.source >= present.source) present = std::move(value);
}

const SettingValue& Settings::operator[](std::string_view key) const {
  return values_.find(key)->second;
}

EngineOptions engine_options(const Settings& settings) {
  EngineOptions options;
  options.data_dir = settings.data_dir();
  options.transport = settings.text("transport");
  options.durability =
      settings.text("durability") == "normal" ? Durability::normal : Durability::full;
  options.listen = settings["listen"].texts;
  if (options.listen.empty()) options.listen = {"ipc://" + settings.data_dir() + "/jack.sock"};
  if (std::ranges::any_of(options.listen, leaves_the_machine)) {
    options.key_file = key_file(settings, "curve.key_file", "engine.key");
  }
  // Also where there is none yet: keys are good from the moment on in which they are made.
  options.allowed_keys_file = settings.text("keys.file");
  if (options.allowed_keys_file.empty()) {
    options.allowed_keys_file = settings.data_dir() + "/keys/allowed";
  }
  options.keep_journal = settings.text("journal.keep") == "all";
  options.limits = limits_of(settings);
  options.sessions = session_limits_of(settings);
  return options;
}

namespace {

// Before anything is opened: a server that says later what is wrong has done other things by then.
Result<void> check_addresses(const std::vector<std::string>& listen) {
  for (const std::string& address : listen) {
    if (address == "off") {
      return Error{Code::invalid_argument,
                   "http.listen: 'off' stands alone, not with other addresses"};
    }
    const Result<http::Address> parsed = http::parse_address(address);
    if (!parsed) return Error{parsed.error().code, "http.listen: " + parsed.error().message};
  }
  return {};
}

}  // namespace

Result<HttpSettings> http_settings(
    const Settings& settings,
    const std::function<std::optional<std::string>(const std::string&)>& variable) {
  HttpSettings http;
  const SettingValue& listen = settings["http.listen"];
  http.asked_for = listen.source != Source::defaults;
  if (listen.texts != std::vector<std::string>{"off"}) http.options.listen = listen.texts;
  if (const Result<void> checked = check_addresses(http.options.listen); !checked) {
    return checked.error();
  }
  for (const char* name : {"PORT", "A2A_JULES_PORT"}) {
    const std::optional<std::string> port = variable(name);
    if (!port || http.asked_for) continue;
    std::uint32_t number = 0;
    if (!read_value(*port, number) || number > UINT16_MAX) {
      return Error{
          Code::invalid_argument,
          fmt::format("{}: '{}' is not a port; or choose the address with --http", name, *port)};
    }
    http.options.listen = {fmt::format("127.0.0.1:{}", number)};
    http.asked_for = true;
  }
  const std::string& certificate = settings.text("http.certificate_file");
  const std::string& key = settings.text("http.key_file");
  if (certificate.empty() != key.empty()) {
    return Error{Code::invalid_argument,
                 "http.certificate_file and http.key_file go together: one of them is missing"};
  }
  if (!key.empty()) http.options.tls = http::TlsFiles{certificate, key};
  http.options.limits.connections_max = small_count(settings, "http.connections_max");
  http.options.hosts = settings["http.hosts"].texts;
  http.options.allowed_origins = settings["http.allowed_origins"].texts;
  http.options.behind_proxy = settings.text("http.behind_proxy") == "yes";
  http.options.requests_per_second_max = small_count(settings, "http.requests_per_second_max");
  for (const char* name : {"jules.inbox", "jules.responses"}) {
    if (is_queue_name(settings.text(name))) continue;
    return Error{Code::invalid_argument, fmt::format("{}: {}", name, kQueueNameRule)};
  }
  http.options.inbox = settings.text("jules.inbox");
  http.options.responses = settings.text("jules.responses");
  http.options.acknowledge_lease = value_of<Duration>(settings, "jules.acknowledge_lease");
  return http;
}

ClientOptions client_options(const Settings& settings) {
  ClientOptions options;
  options.data_dir = settings.data_dir();
  if (settings["engine"].source >= settings["data_dir"].source) {
    options.endpoint = settings.text("engine");
  }
  options.patience = value_of<Duration>(settings, "client.patience");
  options.key_file = settings.text("client.key_file");
  options.engine_key_file = settings.text("client.engine_key_file");
  return options;
}

}  // namespace jack::app

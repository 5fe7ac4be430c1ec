#include "apps/config/setting.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <jack_engine/client.h>
#include <jack_engine/limits.h>

#include "apps/api/gateway.h"
#include "apps/cli/values.h"
#include "apps/text/duration.h"
#include "apps/text/nearest.h"
#include "engine/wire/endpoint.h"

namespace jack::app {
namespace {

// What `jack work` sets for its commands; apps/work/environment.h says what is in them.
constexpr std::array<std::string_view, 10> kTaskVariables = {
    "JACK_TASK_ID", "JACK_QUEUE",  "JACK_TYPE",     "JACK_ATTEMPT",      "JACK_TOKEN",
    "JACK_FROM",    "JACK_PARENT", "JACK_REPLY_TO", "JACK_CONTENT_TYPE", "JACK_HEADERS"};

std::vector<Setting> make_settings() {
  const Limits limits;
  const SessionLimits sessions;
  const auto count = [](const std::string& key, std::uint64_t value, std::string help) {
    return Setting{key, SettingKind::count, {std::to_string(value)}, std::move(help)};
  };
  const auto duration = [](const std::string& key, Duration value, std::string help) {
    return Setting{key, SettingKind::duration, {exact_text(value)}, std::move(help)};
  };
  const auto choice = [](std::string key, std::vector<std::string> choices, std::string help) {
    return Setting{
        std::move(key), SettingKind::choice, {choices.front()}, std::move(help), choices};
  };
  const auto path = [](std::string key, std::string help) {
    return Setting{std::move(key), SettingKind::path, {}, std::move(help)};
  };

  return {
      path("data_dir", "where tasks rest"),
      {"engine",
       SettingKind::text,
       {},
       "which engine commands talk to; none: the data directory's"},
      {"listen", SettingKind::texts, {}, "where the engine is reached; none: DIR/jack.sock"},
      choice("transport", {"local", "memory"}, "what keeps the journal"),
      choice("durability", {"full", "normal"}, "what an accepted task survives"),
      choice("journal.keep", {"unflushed", "all"}, "which entries stay in the journal"),
      choice("log.format", {"text", "json"}, "lines for people or for programs"),
      choice("log.level", {"info", "debug", "warning", "error"}, "the least that is logged"),
      path("curve.key_file", "the engine's secret key for tcp; none: DIR/keys/engine.key"),
      path("keys.file", "who may come in, and what for; none: DIR/keys/allowed"),
      {"http.listen",
       SettingKind::texts,
       {"127.0.0.1:5000"},
       "where HTTP is served, or off; PORT and A2A_JULES_PORT choose the port of the default"},
      path("http.certificate_file", "PEM, for HTTPS; goes with http.key_file"),
      path("http.key_file", "the certificate's key, without a passphrase"),
      choice("http.behind_proxy", {"no", "yes"}, "whether a proxy in front does TLS"),
      {"http.hosts", SettingKind::texts, {}, "names by which clients may call, beside loopback"},
      {"http.allowed_origins", SettingKind::texts, {}, "web pages that may use the API"},
      count("http.requests_per_second_max", 0, "requests that one key may make; 0: any number"),
      count("http.connections_max", http::HttpLimits{}.connections_max, "HTTP connections"),
      {"jules.inbox", SettingKind::text, {"inbox"}, "the queue of tasks assigned to nobody"},
      {"jules.responses", SettingKind::text, {"responses"}, "the queue of what agents answered"},
      duration("jules.acknowledge_lease", api::GatewayOptions{}.acknowledge_lease,
               "what acknowledge takes"),
      duration("client.patience", ClientOptions{}.patience, "how long commands try to reach it"),
      path("client.key_file", "this side's secret key for tcp"),
      path("client.engine_key_file", "the engine's public key for tcp"),
      count("limits.payload_bytes_max", limits.payload_bytes_max, "bytes of a payload"),
      count("limits.result_bytes_max", limits.result_bytes_max, "bytes of a result"),
      count("limits.error_bytes_max", limits.error_bytes_max, "bytes of an error that are kept"),
      count("limits.output_bytes_max", limits.output_bytes_max, "bytes of output kept per task"),
      count("limits.unfinished_per_queue_max", limits.unfinished_per_queue_max,
            "unfinished tasks of one queue"),
      count("limits.unfinished_max", limits.unfinished_max, "unfinished tasks in all"),
      count("limits.queues_max", limits.queues_max, "queues"),
      count("limits.attempts_max", limits.attempts_max, "attempts that a task may ask for"),
      duration("limits.delay_max", limits.delay_max, "longest delay and back-off"),
      duration("limits.retention", limits.retention, "how long finished tasks are kept"),
      duration("limits.dedup_window", limits.dedup_window, "how long ids are remembered"),
      count("limits.timers_per_tick_max", limits.timers_per_tick_max,
            "timers of one journal entry"),
      duration("limits.engine_liveness", limits.engine_liveness,
               "silence after which an engine is lost"),
      duration("limits.heartbeat_interval", limits.heartbeat_interval,
               "how far one entry moves the liveness clock"),
      count("sessions.sessions_max", sessions.sessions_max, "clients and workers at a time"),
      count("sessions.credit_max", sessions.credit_max, "tasks that one worker may hold"),
      count("sessions.batch_tasks_max", sessions.batch_tasks_max, "tasks of one submit"),
      count("sessions.batch_bytes_max", sessions.batch_bytes_max, "bytes of one submit"),
      duration("sessions.lease_default", sessions.lease_default,
               "lease of workers that ask for none"),
      duration("sessions.lease_min", sessions.lease_min, "shortest lease"),
      duration("sessions.lease_max", sessions.lease_max, "longest extension of a lease"),
      count("sessions.waits_per_session_max", sessions.waits_per_session_max,
            "results that one client waits for"),
      count("sessions.watches_per_session_max", sessions.watches_per_session_max,
            "watches of one client"),
  };
}

Error not_a_value(const Setting& setting, const std::string& what) {
  return {Code::invalid_argument, fmt::format("{}: {}", setting.key, what)};
}

template <typename T>
Result<void> check_reads(const Setting& setting, const std::string& text) {
  T value{};
  const Result<void> read = read_value(text, value);
  return read ? read : not_a_value(setting, read.error().message);
}

}  // namespace

std::span<const Setting> all_settings() {
  static const std::vector<Setting> settings = make_settings();
  return settings;
}

const Setting* find_setting(std::string_view key) {
  const auto found = std::ranges::find(all_settings(), key, &Setting::key);
  return found == all_settings().end() ? nullptr : &*found;
}

std::string variable_of(const Setting& setting) {
  std::string name = "JACK_";
  for (const char c : setting.key) {
    name += c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  }
  return name;
}

std::optional<Error> misspelt_variable(std::string_view name) {
  constexpr std::string_view kPrefix = "JACK_";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  if (std::ranges::find(kTaskVariables, name) != kTaskVariables.end()) return std::nullopt;
  const std::string_view own = name.substr(kPrefix.size());
  bool in_family = false;
  std::vector<std::string> known;
  for (const Setting& setting : all_settings()) {
    const std::string variable = variable_of(setting);
    if (variable == name) return std::nullopt;
    known.push_back(variable.substr(kPrefix.size()));
    const std::size_t dot = setting.key.find('.');
    in_family |= dot != std::string::npos && own.starts_with(known.back().substr(0, dot + 1));
  }
  const std::optional<std::string> meant = nearest(own, known);
  if (!meant && !in_family) return std::nullopt;
  return Error{Code::invalid_argument,
               fmt::format("{}: there is no such setting{}", name,
                           meant ? fmt::format("; did you mean {}{}?", kPrefix, *meant)
                                 : "; `jack config` lists those there are")};
}

Result<void> check_value(const Setting& setting, const std::vector<std::string>& texts) {
  if (setting.kind == SettingKind::texts) return {};
  if (texts.size() != 1) return not_a_value(setting, "takes one value");
  const std::string& text = texts.front();
  switch (setting.kind) {
    case SettingKind::duration: return check_reads<Duration>(setting, text);
    case SettingKind::count: return check_reads<std::uint64_t>(setting, text);
    case SettingKind::choice:
      if (std::ranges::count(setting.choices, text) > 0) return {};
      return not_a_value(setting,
                         fmt::format("'{}' is none of {}", text, fmt::join(setting.choices, ", ")));
    case SettingKind::text:
    case SettingKind::path:
    case SettingKind::texts: return {};
  }
  return {};
}

std::vector<std::string> with_listen_paths(const Setting& setting, std::vector<std::string> texts,
                                           const std::filesystem::path& folder) {
  constexpr std::string_view kIpc = "ipc://";
  if (setting.key != "listen") return texts;
  for (std::string& text : texts) {
    // The engine refuses what is no address.
    if (!text.starts_with(kIpc) || !wire::check_endpoint(text, wire::Use::listen)) continue;
    const std::filesystem::path path = text.substr(kIpc.size());
    if (path.is_absolute()) continue;
    const auto whole = std::filesystem::absolute(folder / path).lexically_normal();
    text = std::string(kIpc) + whole.string();
  }
  return texts;
}

Error unknown_setting(std::string_view key) {
  std::vector<std::string> keys;
  for (const Setting& setting : all_settings()) keys.push_back(setting.key);
  const std::optional<std::string> meant = nearest(key, keys);
  return {Code::invalid_argument, fmt::format("there is no setting '{}'{}", key,
                                              meant ? fmt::format("; did you mean {}?", *meant)
                                                    : "; `jack config` lists those there are")};
}

}  // namespace jack::app

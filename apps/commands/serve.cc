// `jack serve`: an engine that other processes reach.
#include <chrono>
#include <memory>
#include <semaphore>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/resource.h>
#include <unistd.h>

#include <jack_engine/engine.h>
#include <jack_engine/version.h>

#include "apps/api/gateway.h"
#include "apps/commands/commands.h"
#include "apps/commands/connection.h"
#include "apps/json.h"
#include "apps/log.h"
#include "apps/signals.h"
#include "apps/terminal.h"

namespace jack::app {
namespace {

// Files that an engine has open beside one per session.
constexpr rlim_t kOwnFiles = 256;

// For answers that are under way when it is told to stop.
constexpr std::chrono::seconds kHttpGrace{5};

// "KEY=VALUE" of --set, checked while the command line is read.
struct SetFlag {
  SettingsInput::Flag flag;
};

struct ServeFlags {
  EngineFlags engine;
  std::vector<ListenEndpoint> listen;
  std::vector<std::string> http;
  std::optional<std::string> durability;
  std::optional<std::string> transport;
  std::optional<std::string> log_format;
  std::optional<std::string> log_level;
  std::optional<InputFile> key_file;
  std::optional<InputFile> allowed_keys_file;
  bool keep_journal = false;
  std::vector<SetFlag> set;
  bool json = false;
};

Result<void> read_value(std::string_view text, SetFlag& target) {
  std::pair<std::string, std::string> pair;
  if (Result<void> read = app::read_value(text, pair); !read) return read;
  const Setting* const setting = find_setting(pair.first);
  if (setting == nullptr) return unknown_setting(pair.first);
  SettingsInput::Flag flag{"--set", pair.first, {pair.second}};
  if (setting->kind == SettingKind::texts) flag.texts = split_list(pair.second);
  if (Result<void> checked = check_value(*setting, flag.texts); !checked) return checked;
  target.flag = std::move(flag);
  return {};
}

Result<Settings> settings_of(const ServeFlags& flags) {
  SettingsInput input = settings_input(flags.engine);
  for (const SetFlag& set : flags.set) input.flags.push_back(set.flag);
  add_flag(input, "--durability", "durability", flags.durability);
  add_flag(input, "--transport", "transport", flags.transport);
  add_flag(input, "--log-format", "log.format", flags.log_format);
  add_flag(input, "--log-level", "log.level", flags.log_level);
  add_flag(input, "--key-file", "curve.key_file", flags.key_file);
  add_flag(input, "--allowed-keys-file", "keys.file", flags.allowed_keys_file);
  if (!flags.http.empty()) input.flags.push_back({"--http", "http.listen", flags.http});
  if (flags.keep_journal) input.flags.push_back({"--keep-journal", "journal.keep", {"all"}});
  if (!flags.listen.empty()) {
    SettingsInput::Flag listen{"--listen", "listen", {}};
    for (const ListenEndpoint& endpoint : flags.listen) listen.texts.push_back(endpoint.text);
    input.flags.push_back(std::move(listen));
  }
  return Settings::load(input);
}

// Each session and each connection has a file of its own, and the usual bound is far below what an
// engine takes. What to say where it cannot be raised enough; empty: nothing.
std::string raise_file_limit(std::size_t sessions_max, std::size_t connections_max) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return {};
  limit.rlim_cur = limit.rlim_max;
  const bool raised = ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
  if (raised && limit.rlim_max >= sessions_max + connections_max + kOwnFiles) return {};
  return fmt::format(
      "this process may open {} files, too few for {} sessions and {} HTTP connections: raise its "
      "hard limit, or lower sessions.sessions_max and http.connections_max",
      limit.rlim_max, sessions_max, connections_max);
}

// Nothing, where it is off, or where the default address is taken: that is only said.
Result<std::unique_ptr<api::Gateway>> open_http(Engine& engine, const HttpSettings& http,
                                                Log& log) {
  if (http.options.listen.empty()) return std::unique_ptr<api::Gateway>();
  Result<std::unique_ptr<api::Gateway>> opened = api::Gateway::open(engine, http.options);
  if (opened || http.asked_for || opened.error().code != Code::unavailable) return opened;
  log.write(LogLevel::warning,
            fmt::format("serving without HTTP: {}. Choose another address with --http ADDR:PORT, "
                        "or none with --http off",
                        opened.error().message));
  return std::unique_ptr<api::Gateway>();
}

std::vector<std::string> http_urls(const api::Gateway* gateway, bool tls) {
  std::vector<std::string> urls;
  if (gateway == nullptr) return urls;
  for (const std::string& address : gateway->addresses()) {
    urls.push_back((tls ? "https://" : "http://") + address);
  }
  return urls;
}

void say_ready(const std::vector<std::string>& endpoints, const std::vector<std::string>& urls,
               const std::string& data_dir, bool json) {
  if (json) {
    const auto list = [](const std::vector<std::string>& texts) {
      Json array = Json::array();
      for (const std::string& text : texts) array.add(text);
      return array;
    };
    Json line = Json::object();
    line.set("ready", true)
        .set("endpoints", list(endpoints))
        .set("http", list(urls))
        .set("data_dir", data_dir)
        .set("pid", static_cast<int>(::getpid()))
        .set("version", version());
    print(line.line() + "\n");
  } else {
    std::vector<std::string> all = endpoints;
    all.insert(all.end(), urls.begin(), urls.end());
    print(fmt::format("jack {} is ready at {}\n", version(), fmt::join(all, " ")));
  }
  flush_printed();
}

Result<ExitStatus> serve(const ServeFlags& flags) {
  const Result<Settings> settings = settings_of(flags);
  if (!settings) return settings.error();
  Log log(settings->text("log.format"), settings->text("log.level"));
  EngineOptions options = engine_options(*settings);
  options.log = [&log](LogLevel level, std::string_view line) { log.write(level, line); };
  Result<HttpSettings> http = http_settings(*settings);
  if (!http) return http.error();
  http->options.log = options.log;
  http->options.engine_limits = options.limits.value_or(Limits{});
  const bool has_http = !http->options.listen.empty();
  const std::string too_few_files = raise_file_limit(
      options.sessions.sessions_max, has_http ? http->options.limits.connections_max : 0);

  // Before the engine's threads. A signal that comes while it opens stops it once it is open.
  std::binary_semaphore stop(0);
  const SignalWatch signals([&stop] { stop.release(); },
                            [&log] { log.write(LogLevel::warning, "told twice: ending at once"); });
  Result<Engine> engine = Engine::open(options);
  if (!engine) return engine.error();
  if (!too_few_files.empty()) log.write(LogLevel::warning, too_few_files);
  Result<std::unique_ptr<api::Gateway>> gateway = open_http(*engine, *http, log);
  if (!gateway) return gateway.error();
  const std::vector<std::string> urls = http_urls(gateway->get(), http->options.tls.has_value());
  say_ready(engine->endpoints(), urls, options.data_dir, flags.json);
  stop.acquire();
  if (*gateway) (*gateway)->stop(kHttpGrace);
  engine->stop();
  return ExitStatus::done;
}

}  // namespace

Command serve_command() {
  const auto flags = std::make_shared<ServeFlags>();
  Command command("serve", "run an engine until it is told to stop");
  add_data_dir_flags(command, flags->engine);
  command
      .option("--listen", "ENDPOINT", flags->listen,
              "where it is reached, ipc:///PATH or tcp://IP:PORT, where port 0 takes a free one; "
              "may be given several times (default: ipc://DIR/jack.sock)")
      .option("--http", "ADDR:PORT", flags->http,
              "where HTTP is served, port 0 taking a free one; may be given several times; off: "
              "nowhere (default: 127.0.0.1:5000, or the port in PORT or A2A_JULES_PORT)")
      .option(
          "--durability", "LEVEL", flags->durability,
          "what an accepted task survives: full, also power loss (the default); normal, a crash "
          "of the process, but power loss may take the last seconds")
      .choices({"full", "normal"})
      .option("--transport", "NAME", flags->transport,
              "what keeps the journal: local, files in the data directory (the default); memory, "
              "nothing survives")
      .choices({"local", "memory"})
      .option("--key-file", "FILE", flags->key_file,
              "the engine's secret key, for tcp (default: DIR/keys/engine.key)")
      .option("--allowed-keys-file", "FILE", flags->allowed_keys_file,
              "who may come in, and what for (default: DIR/keys/allowed)")
      .flag("--keep-journal", flags->keep_journal, "keep all entries of the journal")
      .option("--set", "KEY=VALUE", flags->set,
              "any other setting, as `jack config` lists them; may be given several times")
      .option("--log-format", "FORMAT", flags->log_format, "of the log on standard error")
      .choices({"text", "json"})
      .option("--log-level", "LEVEL", flags->log_level, "the least that is logged (default: info)")
      .choices({"debug", "info", "warning", "error"})
      .flag("--json", flags->json, "print the ready line as JSON")
      .details(
          "Prints one line on standard output once it accepts work. SIGTERM and SIGINT stop it in "
          "order; a second one ends it at once, and nothing that was accepted is lost by that.")
      .example("jack serve", "for this user, on this machine")
      .example(
          "jack serve --data-dir /srv/jack --listen ipc:///srv/jack/jack.sock --listen "
          "tcp://0.0.0.0:7077",
          "also for other machines, whose keys `jack keys` makes")
      .status(ExitStatus::done, "it was told to stop and has")
      .status(ExitStatus::refused,
              "the configuration is wrong, the files are of a newer version, or DIR holds other "
              "things and is open to other users")
      .status(ExitStatus::no_engine, "the data directory or an address that was chosen is in use")
      .status(ExitStatus::not_permitted,
              "beyond this machine without keys, or the directory is somebody else's")
      .status(ExitStatus::internal, "the files are damaged: see `jack doctor`")
      .run([flags] { return serve(*flags); });
  return command;
}

}  // namespace jack::app

// Which source of a setting counts, and what is refused.
#include "apps/config/settings.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "apps/config/toml_file.h"
#include "apps/work/environment.h"
#include "tests/catch.hpp"

namespace jack::app {
namespace {

namespace fs = std::filesystem;

// A folder to work in, and the way back.
class Folder {
 public:
  Folder() : before_(fs::current_path()) {
    std::string path = fs::temp_directory_path() / "jack-settings-XXXXXX";
    REQUIRE(::mkdtemp(path.data()) != nullptr);
    path_ = fs::canonical(path);
    fs::create_directories(path_ + "/data");
    fs::current_path(path_);
  }
  ~Folder() {
    fs::current_path(before_);
    fs::remove_all(path_);
  }

  const std::string& path() const { return path_; }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ + "/" + name) << text;
  }

  // As on a command line in this folder.
  SettingsInput input() const {
    SettingsInput input;
    input.default_data_dir = path_ + "/data";
    input.variable = [this](const std::string& name) -> std::optional<std::string> {
      const auto found = variables.find(name);
      return found == variables.end() ? std::nullopt : std::optional(found->second);
    };
    return input;
  }

  std::map<std::string, std::string> variables;

 private:
  fs::path before_;
  std::string path_;
};

// JACK_LIMITS_RETENTON=3d was ignored, and tasks were kept for seven days.
TEST_CASE("a variable that was meant for a setting and is none is refused with the nearest one") {
  for (const auto& [name, meant] :
       std::map<std::string, std::string>{{"JACK_LIMITS_RETENTON", "JACK_LIMITS_RETENTION"},
                                          {"JACK_LOG_LEVLE", "JACK_LOG_LEVEL"},
                                          {"JACK_DURABILTY", "JACK_DURABILITY"},
                                          {"JACK_DATADIR", "JACK_DATA_DIR"},
                                          {"JACK_SESSIONS_NOTHING_LIKE_IT", "jack config"}}) {
    const auto refusal = misspelt_variable(name);
    INFO(name);
    REQUIRE(refusal);
    CHECK_THAT(refusal->message, test::ContainsSubstring(name + ": "));
    CHECK_THAT(refusal->message, test::ContainsSubstring(meant));

    Folder folder;
    folder.variables[name] = "1";
    SettingsInput input = folder.input();
    input.variable_names = {"HOME", name};
    CHECK(Settings::load(input).error() == *refusal);
    folder.variables.clear();  // empty counts as not set
    CHECK(Settings::load(input));
  }
}

TEST_CASE("other variables that begin like ours are left alone") {
  for (const Setting& setting : all_settings()) CHECK(!misspelt_variable(variable_of(setting)));
  TaskSpec task;
  for (const auto& [name, value] : task_variables(task, 1, LeaseToken{1})) {
    CHECK(!misspelt_variable(name));
  }
  for (const char* const name : {"JACK_DEFAULT_SERVER", "JACK_NO_START_SERVER", "JACK_DRIVER_DIR",
                                 "JACK_PROMISCUOUS_SERVER", "JACK_LLVM", "JACK_SEED", "JACKET"}) {
    INFO(name);
    CHECK(!misspelt_variable(name));
  }
}

TEST_CASE("without any source a setting has its default") {
  const Folder folder;

  const Settings settings = Settings::load(folder.input()).value();

  CHECK(settings.text("durability") == "full");
  CHECK(settings["durability"].origin == "default");
  CHECK(settings.text("limits.retention") == "7d");
  CHECK(settings.data_dir() == folder.path() + "/data");
  CHECK(settings.files().empty());
  CHECK(engine_options(settings).limits == std::nullopt);
}

TEST_CASE("each source of a setting outdoes the ones below it") {
  Folder folder;
  SettingsInput input = folder.input();
  const auto origin = [&] { return Settings::load(input).value()["durability"].origin; };

  folder.write("data/jack.toml", "durability = 'normal'\n");
  CHECK(origin() == folder.path() + "/data/jack.toml");
  folder.write("jack.toml", "durability = 'full'\n");
  CHECK(origin() == "./jack.toml");
  folder.variables["JACK_DURABILITY"] = "normal";
  CHECK(origin() == "JACK_DURABILITY");
  input.flags.push_back({"--durability", "durability", {"full"}});
  CHECK(origin() == "--durability");
}

TEST_CASE("two files add up, key by key") {
  const Folder folder;
  folder.write("jack.toml", "durability = 'normal'\n");
  folder.write("data/jack.toml", "durability = 'full'\n[limits]\nretention = '3d'\n");

  const Settings settings = Settings::load(folder.input()).value();

  CHECK(settings.text("durability") == "normal");
  CHECK(settings.text("limits.retention") == "3d");
  CHECK(settings.files() ==
        std::vector<std::string>{"./jack.toml", folder.path() + "/data/jack.toml"});
  CHECK(engine_options(settings).limits->retention == Duration{3 * 86'400'000});
}

TEST_CASE("a file on the command line stands for ./jack.toml, and must exist") {
  const Folder folder;
  folder.write("jack.toml", "durability = 'normal'\n");
  folder.write("other.toml", "transport = 'memory'\n");
  SettingsInput input = folder.input();

  input.config_file = "other.toml";
  const Settings settings = Settings::load(input).value();
  CHECK(settings.text("durability") == "full");
  CHECK(settings.text("transport") == "memory");

  input.config_file = "none.toml";
  CHECK(Settings::load(input).error().code == Code::not_found);
}

TEST_CASE("a file in which the data directory is named leads to that directory's file") {
  const Folder folder;
  fs::create_directories(folder.path() + "/elsewhere");
  folder.write("jack.toml", "data_dir = 'elsewhere'\n");
  folder.write("elsewhere/jack.toml", "listen = ['ipc:///tmp/a', 'tcp://127.0.0.1:7000']\n");

  const Settings settings = Settings::load(folder.input()).value();

  CHECK(settings.data_dir() == folder.path() + "/elsewhere");
  CHECK(engine_options(settings).listen ==
        std::vector<std::string>{"ipc:///tmp/a", "tcp://127.0.0.1:7000"});
}

// It was published as it was, and found from the engine's own folder only.
TEST_CASE("a socket path to listen at begins where other paths of its source do") {
  Folder folder;
  SettingsInput input = folder.input();
  const auto listen = [&] { return Settings::load(input).value()["listen"].texts; };
  const auto addresses = [](const std::string& path) {
    return std::vector<std::string>{"ipc://" + path, "ipc:///srv/../b", "tcp://127.0.0.1:7000"};
  };

  folder.write("data/jack.toml", "listen = ['ipc://a', 'ipc:///srv/../b', 'tcp://127.0.0.1:7000']");
  CHECK(listen() == addresses(folder.path() + "/data/a"));
  folder.variables["JACK_LISTEN"] = "ipc://../a,ipc:///srv/../b,tcp://127.0.0.1:7000";
  CHECK(listen() == addresses(fs::path(folder.path()).parent_path().string() + "/a"));
  input.flags.push_back({"--listen", "listen", addresses("a")});
  CHECK(listen() == addresses(folder.path() + "/a"));
  input.flags.push_back({"--listen", "listen", {"ipc://@a"}});  // the engine refuses it
  CHECK(listen() == std::vector<std::string>{"ipc://@a"});
}

TEST_CASE("an unknown key is refused with its line and the nearest known one") {
  const Folder folder;
  folder.write("jack.toml", "transport = 'local'\ndurabilty = 'full'\n");

  const Result<Settings> settings = Settings::load(folder.input());

  REQUIRE(!settings.has_value());
  CHECK(settings.error().code == Code::invalid_argument);
  CHECK(settings.error().message ==
        "./jack.toml:2: there is no setting 'durabilty'; did you mean durability?");
}

TEST_CASE("a file that is wrong is refused with where it is wrong") {
  const auto [wrong, part] = GENERATE(table<std::string, std::string>(
      {{"durability = 'most'\n", "none of full, normal"},
       {"durability = 1\n", "durability: wants a text"},
       {"[limits]\nretention = 7\n", "wants a text like"},
       {"[limits]\nretention = 'long'\n", "is no duration"},
       {"[limits]\npayload_bytes_max = '1'\n", "wants a whole number"},
       {"[limits]\npayload_bytes_max = -1\n", "is no whole number"},
       {"[limits]\nretenton = '7d'\n", "did you mean limits.retention?"},
       {"limits = 1\n", "there is no setting 'limits'"},
       {"listen = [1]\n", "wants a list of texts"},
       {"durability = \n", "jack.toml:1"},
       {"[durability]\nx = 1\n", "durability: wants a text"}}));
  CAPTURE(wrong);
  const Folder folder;
  folder.write("jack.toml", wrong);

  const Result<Settings> settings = Settings::load(folder.input());

  REQUIRE(!settings.has_value());
  CHECK_THAT(settings.error().message, test::ContainsSubstring(part));
  CHECK_THAT(settings.error().message, test::ContainsSubstring("./jack.toml:"));
}

TEST_CASE("the data directory cannot be set in its own file") {
  const Folder folder;
  folder.write("data/jack.toml", "data_dir = '/elsewhere'\n");

  CHECK(Settings::load(folder.input()).error().code == Code::invalid_argument);
}

TEST_CASE("a variable that is wrong is named") {
  Folder folder;
  folder.variables["JACK_LIMITS_RETENTION"] = "long";

  const Result<Settings> settings = Settings::load(folder.input());

  REQUIRE(!settings.has_value());
  CHECK_THAT(settings.error().message, test::ContainsSubstring("JACK_LIMITS_RETENTION"));
}

TEST_CASE("paths in a file begin at the file, on a command line at the present folder") {
  Folder folder;
  folder.write("data/jack.toml", "[curve]\nkey_file = 'keys/a.key'\n");
  folder.variables["JACK_CLIENT_KEY_FILE"] = "b.key";

  const Settings settings = Settings::load(folder.input()).value();

  CHECK(settings.text("curve.key_file") == folder.path() + "/data/keys/a.key");
  CHECK(settings.text("client.key_file") == folder.path() + "/b.key");
}

TEST_CASE("a data directory on the command line outdoes an engine in the environment") {
  Folder folder;
  SettingsInput input = folder.input();
  folder.variables["JACK_ENGINE"] = "tcp://other:7000";
  folder.variables["JACK_DATA_DIR"] = "/var/a";
  CHECK(client_options(Settings::load(input).value()).endpoint == "tcp://other:7000");

  input.flags.push_back({"--data-dir", "data_dir", {"/var/b"}});
  const ClientOptions options = client_options(Settings::load(input).value());

  CHECK(options.endpoint.empty());
  CHECK(options.data_dir == "/var/b");
}

TEST_CASE("an engine listens in its data directory unless it is told otherwise") {
  const Folder folder;

  const EngineOptions options = engine_options(Settings::load(folder.input()).value());

  CHECK(options.listen == std::vector<std::string>{"ipc://" + folder.path() + "/data/jack.sock"});
  CHECK(options.key_file.empty());
}

TEST_CASE("keys that were made are used where an engine can be reached from elsewhere") {
  const Folder folder;
  fs::create_directories(folder.path() + "/data/keys");
  folder.write("data/keys/engine.key", "");
  SettingsInput input = folder.input();
  CHECK(engine_options(Settings::load(input).value()).key_file.empty());

  input.flags.push_back({"--listen", "listen", {"tcp://0.0.0.0:7000"}});
  const EngineOptions options = engine_options(Settings::load(input).value());

  CHECK(options.key_file == folder.path() + "/data/keys/engine.key");
  CHECK(options.allowed_keys_file == folder.path() + "/data/keys/allowed");
}

TEST_CASE("HTTP is at its usual port, at that of a variable, or where somebody says") {
  const Folder folder;
  std::map<std::string, std::string> variables;
  SettingsInput input = folder.input();
  const auto read = [&] {
    return http_settings(Settings::load(input).value(), [&](const std::string& name) {
      const auto found = variables.find(name);
      return found == variables.end() ? std::nullopt : std::optional(found->second);
    });
  };
  CHECK(read()->options.listen == std::vector<std::string>{"127.0.0.1:5000"});
  CHECK_FALSE(read()->asked_for);

  variables["A2A_JULES_PORT"] = "6000";
  CHECK(read()->options.listen == std::vector<std::string>{"127.0.0.1:6000"});
  CHECK(read()->asked_for);
  variables["PORT"] = "7000";
  CHECK(read()->options.listen == std::vector<std::string>{"127.0.0.1:7000"});
  for (const char* const wrong : {"x", "65536", "-1"}) {
    variables["PORT"] = wrong;
    CHECK(read().error().code == Code::invalid_argument);
  }

  input.flags.push_back({"--http", "http.listen", {"[::1]:0", "127.0.0.1:1"}});
  CHECK(read()->options.listen == std::vector<std::string>{"[::1]:0", "127.0.0.1:1"});
  CHECK(read()->asked_for);
  input.flags.push_back({"--http", "http.listen", {"off"}});
  CHECK(read()->options.listen.empty());
  input.flags.push_back({"--http", "http.listen", {"off", "127.0.0.1:0"}});
  CHECK(read().error().code == Code::invalid_argument);
}

TEST_CASE("settings of HTTP that make no sense are refused") {
  const Folder folder;
  const auto refused = [&](const std::string& key, const std::string& text) {
    SettingsInput input = folder.input();
    input.flags.push_back({"--set", key, {text}});
    const Result<HttpSettings> read = http_settings(Settings::load(input).value());
    return !read && read.error().code == Code::invalid_argument;
  };
  CHECK(refused("http.listen", "5000"));
  CHECK(refused("http.listen", ":5000"));
  CHECK(refused("http.listen", ""));
  CHECK(refused("http.listen", "::1:0"));
  CHECK(refused("http.listen", "localhost:5000"));
  CHECK(refused("http.listen", "127.0.0.1:65536"));
  CHECK(refused("http.listen", "127.0.0.1:5000x"));
  CHECK(refused("http.certificate_file", "/a.pem"));
  CHECK(refused("http.key_file", "/a.pem"));
  CHECK(refused("jules.inbox", "in box"));
  CHECK(refused("jules.responses", ""));
}

}  // namespace
}  // namespace jack::app

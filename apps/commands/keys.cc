// `jack keys`: who may connect to an engine by tcp.
#include <memory>

#include <fmt/format.h>

#include "apps/commands/commands.h"
#include "apps/commands/connection.h"
#include "apps/json.h"
#include "apps/terminal.h"
#include "engine/wire/curve.h"

namespace jack::app {
namespace {

// The key of the engine itself, made together with the first key of a client.
constexpr const char* kEngineName = "engine";

struct KeysFlags {
  EngineFlags engine;
  std::string action;
  std::optional<std::string> name;
  std::string curve;
  bool json = false;
};

struct KeysPlace {
  std::string folder;
  std::string allowed;
};

Result<KeysPlace> place_of_keys(const KeysFlags& flags) {
  const Result<Settings> settings = load_settings(flags.engine);
  if (!settings) return settings.error();
  const std::string folder = settings->data_dir() + "/keys";
  const std::string& allowed = settings->text("curve.allowed_keys_file");
  return KeysPlace{folder, allowed.empty() ? folder + "/allowed" : allowed};
}

ExitStatus refuse_usage(const std::string& message) {
  complain(message);
  return ExitStatus::usage;
}

Error engine_name_taken() {
  return {Code::invalid_argument, "`engine` is the name of the engine's own key"};
}

// False where there is one already.
Result<bool> make_engine_key(const KeysPlace& place) {
  const Result<wire::KeyFiles> made = wire::create_key_files(place.folder, kEngineName);
  if (!made && made.error().code != Code::already_exists) return made.error();
  return made.has_value();
}

Result<ExitStatus> new_key(const KeysFlags& flags, const KeysPlace& place) {
  if (flags.curve == kEngineName) return engine_name_taken();
  const Result<bool> first = make_engine_key(place);
  if (!first) return first.error();
  const Result<wire::KeyFiles> files = wire::create_key_files(place.folder, flags.curve);
  if (!files) return files.error();
  if (Result<void> allowed = wire::allow_key(place.allowed, files->key); !allowed) {
    return allowed.error();
  }
  const std::string engine_key = fmt::format("{}/{}.pub", place.folder, kEngineName);
  if (flags.json) {
    Json json = Json::object();
    json.set("name", files->key.name)
        .set("public_key", files->key.public_key)
        .set("key_file", files->secret_path)
        .set("engine_key_file", engine_key)
        .set("allowed_keys_file", place.allowed);
    print(json.line() + "\n");
    return ExitStatus::done;
  }
  print(fmt::format("{}\n", files->secret_path));
  // Whether an engine asks for keys is settled when it starts.
  complain(fmt::format(
      "{0} {1}; it needs that file and {2}, as in: jack ls --engine tcp://HOST:PORT --key-file "
      "{0}.key --engine-key-file {3}.pub",
      files->key.name,
      *first ? "may connect by tcp to an engine that is started from now on; one that runs "
               "already asks for no keys"
             : "may connect by tcp from now on",
      engine_key, kEngineName));
  return ExitStatus::done;
}

// Lets in again whose key was made here, or whoever made a key elsewhere and sent its public half.
Result<ExitStatus> allow_key(const KeysFlags& flags, const KeysPlace& place) {
  const std::string& name = *flags.name;
  const bool is_file = name.find('/') != std::string::npos || name.ends_with(".pub");
  const std::string path = is_file ? name : fmt::format("{}/{}.pub", place.folder, name);
  const Result<wire::NamedKey> key = wire::read_public_key(path);
  if (!key) return key.error();
  if (key->name == kEngineName) return engine_name_taken();
  if (Result<void> allowed = wire::allow_key(place.allowed, *key); !allowed) return allowed.error();
  if (flags.json) {
    Json json = Json::object();
    json.set("name", key->name).set("public_key", key->public_key);
    print(json.line() + "\n");
  }
  return ExitStatus::done;
}

Result<ExitStatus> list_keys(const KeysFlags& flags, const KeysPlace& place) {
  Result<std::vector<wire::NamedKey>> keys = wire::read_allowed_keys(place.allowed);
  if (!keys && keys.error().code != Code::not_found) return keys.error();
  const std::vector<wire::NamedKey> found = keys ? *std::move(keys) : std::vector<wire::NamedKey>();
  if (flags.json) {
    Json list = Json::array();
    for (const wire::NamedKey& key : found) {
      list.add(std::move(Json::object().set("name", key.name).set("public_key", key.public_key)));
    }
    print(Json::object().set("keys", std::move(list)).line() + "\n");
    return ExitStatus::done;
  }
  Table table({{"NAME"}, {"PUBLIC KEY"}});
  for (const wire::NamedKey& key : found) table.add({key.name, key.public_key});
  print(table.text(table_style()));
  return ExitStatus::done;
}

Result<ExitStatus> revoke_key(const KeysFlags& flags, const KeysPlace& place) {
  if (Result<void> revoked = wire::revoke_key(place.allowed, *flags.name); !revoked) {
    return revoked.error();
  }
  if (flags.json) {
    print(Json::object().set("name", *flags.name).set("revoked", true).line() + "\n");
  }
  return ExitStatus::done;
}

Result<ExitStatus> keys(const KeysFlags& flags) {
  if (flags.action == "new" && (flags.curve.empty() || flags.name)) {
    return refuse_usage("write: jack keys new --curve NAME");
  }
  if (flags.action == "ls" && flags.name) return refuse_usage("ls takes no name");
  if (flags.action == "revoke" && !flags.name) return refuse_usage("write: jack keys revoke NAME");
  if (flags.action == "allow" && !flags.name) {
    return refuse_usage("write: jack keys allow NAME, or the path of a .pub file");
  }
  if (flags.action != "new" && !flags.curve.empty()) {
    return refuse_usage("--curve goes with new");
  }
  const Result<KeysPlace> place = place_of_keys(flags);
  if (!place) return place.error();
  if (flags.action == "new") return new_key(flags, *place);
  if (flags.action == "ls") return list_keys(flags, *place);
  if (flags.action == "allow") return allow_key(flags, *place);
  return revoke_key(flags, *place);
}

}  // namespace

Command keys_command() {
  const auto flags = std::make_shared<KeysFlags>();
  Command command("keys", "say who may connect to the engine by tcp");
  command.argument("ACTION", flags->action, "new, allow, ls or revoke")
      .choices({"new", "allow", "ls", "revoke"})
      .argument(
          "[NAME]", flags->name,
          "with revoke: whose key; with allow: a name whose key was made here, or a .pub file")
      .option("--curve", "NAME", flags->curve, "with new: the name of a client's CURVE key")
      .flag("--json", flags->json, "print JSON")
      .details(
          "Keys are files in DIR/keys. `new` makes NAME.key, which is secret and goes to the "
          "client "
          "together with engine.pub, and adds its public half to the file `allowed`, which a "
          "running engine reads anew for each connection. It makes engine.key, the engine's own, "
          "where there is none; an engine that listens on tcp asks for keys if it had one when it "
          "started. `revoke` takes a name out of `allowed`; connections of now go on until they "
          "end. `allow` puts a name back, or a key that was made on another machine, whose .pub "
          "file has the name and the public half.")
      .example("jack keys new --curve laptop", "prints the path of the secret key it has made")
      .example("jack keys revoke laptop", "from now on it cannot connect")
      .example("jack keys allow laptop", "it can again, with the key that it has")
      .example("jack keys allow ./desktop.pub", "so can whoever has made this key")
      .status(ExitStatus::done, "done")
      .status(ExitStatus::not_found, "there is no such key")
      .status(ExitStatus::refused, "the name is taken, or is none")
      .status(ExitStatus::not_permitted, "the files are somebody else's");
  add_data_dir_flags(command, flags->engine);
  command.run([flags] { return keys(*flags); });
  return command;
}

}  // namespace jack::app

// `jack keys`: who may come in, by tcp and by HTTP, and what for.
#include <algorithm>
#include <chrono>
#include <memory>
#include <variant>

#include <fmt/format.h>

#include "apps/commands/commands.h"
#include "apps/commands/connection.h"
#include "apps/json.h"
#include "apps/keys/api_key.h"
#include "apps/terminal.h"
#include "apps/text/date.h"
#include "apps/text/duration.h"
#include "engine/wire/curve.h"
#include "engine/wire/key_ring.h"
#include "engine/wire/last_used.h"
#include "engine/wire/private_file.h"

namespace jack::app {
namespace {

// The key of the engine itself, made together with the first CURVE key of a client.
constexpr const char* kEngineName = "engine";

// What a key may do where nothing is said. Not `admin`: who needs it knows.
constexpr const char* kDefaultScopes = "submit,work,read";

struct ScopeList {
  std::string text;
};
Result<void> read_value(std::string_view text, ScopeList& target) {
  const Result<Rights> rights = Rights::parse(text, "*");
  if (!rights) return rights.error();
  target.text = text;
  return {};
}

struct PatternList {
  std::string text;
};
Result<void> read_value(std::string_view text, PatternList& target) {
  const Result<Rights> rights = Rights::parse(kDefaultScopes, text);
  if (!rights) return rights.error();
  target.text = text;
  return {};
}

// After a time, or at a date.
struct Expiry {
  std::variant<Duration, WallTime> when;
};
Result<void> read_value(std::string_view text, Expiry& target) {
  if (const Result<Duration> time = parse_duration(text); time) {
    target.when = *time;
    return {};
  }
  if (const Result<WallTime> date = parse_date(text); date) {
    target.when = *date;
    return {};
  }
  return Error{
      Code::invalid_argument,
      fmt::format("'{}' is neither a time like 90d nor a date like 2026-01-31T12:00:00Z", text)};
}

struct KeysFlags {
  EngineFlags engine;
  std::string action;
  std::optional<std::string> name;
  std::string curve;
  std::vector<ScopeList> scopes;
  std::vector<PatternList> queues;
  std::optional<Expiry> expires;
  bool json = false;

  bool names_rights() const { return !scopes.empty() || !queues.empty() || expires; }
};

struct KeysPlace {
  std::string folder;
  std::string allowed;
  std::string used;
};

Result<KeysPlace> place_of_keys(const KeysFlags& flags) {
  const Result<Settings> settings = load_settings(flags.engine);
  if (!settings) return settings.error();
  const std::string folder = settings->data_dir() + "/keys";
  const std::string& allowed = settings->text("keys.file");
  return KeysPlace{folder, allowed.empty() ? folder + "/allowed" : allowed, folder + "/used"};
}

ExitStatus refuse_usage(const std::string& message) {
  complain(message);
  return ExitStatus::usage;
}

Error engine_name_taken() {
  return {Code::invalid_argument, "`engine` is the name of the engine's own key"};
}

// The parts of all flags of a kind, or the default.
template <typename List>
std::string joined_lists(const std::vector<List>& lists, std::string otherwise) {
  if (lists.empty()) return otherwise;
  std::string all;
  for (const List& list : lists) all += (all.empty() ? "" : ",") + list.text;
  return all;
}

// A key with the rights that the flags name.
Result<wire::Key> key_with_rights(const KeysFlags& flags, WallTime now) {
  wire::Key key;
  Result<Rights> rights =
      Rights::parse(joined_lists(flags.scopes, kDefaultScopes), joined_lists(flags.queues, "*"));
  if (!rights) return std::move(rights).error();
  key.rights = *std::move(rights);
  key.created = now;
  if (!flags.expires) return key;
  const auto* const time = std::get_if<Duration>(&flags.expires->when);
  key.expires = time != nullptr ? now + *time : std::get<WallTime>(flags.expires->when);
  return key;
}

Result<wire::KeyTable> keys_or_none(const std::string& path) {
  Result<wire::KeyTable> table = wire::read_key_list(path);
  if (!table && table.error().code == Code::not_found) return wire::KeyTable();
  return table;
}

Json date_json(const std::optional<WallTime>& at) { return at ? Json(date_text(*at)) : Json(); }

Json key_json(const wire::Key& key, WallTime now) {
  Json scopes = Json::array();
  for (const Scope scope : key.rights.scopes()) scopes.add(name_of(scope));
  Json queues = Json::array();
  for (const std::string& pattern : key.rights.patterns()) queues.add(pattern);
  if (key.rights.all_queues()) queues.add("*");
  Json json = Json::object();
  json.set("name", key.name)
      .set("kind", wire::name_of(key.kind))
      .set(key.kind == wire::KeyKind::curve ? "public_key" : "key_id", key.id)
      .set("scopes", std::move(scopes))
      .set("queues", std::move(queues))
      .set("created", date_json(key.created))
      .set("expires", date_json(key.expires))
      .set("revoked", date_json(key.revoked))
      .set("state", wire::name_of(key.state(now)));
  return json;
}

std::string rights_text(const Rights& rights) {
  return fmt::format("{} on {}", rights.scopes_text(),
                     rights.all_queues() ? "all queues" : rights.patterns_text());
}

Result<ExitStatus> new_api_key_of(const KeysFlags& flags, const KeysPlace& place, wire::Key key) {
  const ApiKey secret = new_api_key();
  key.kind = wire::KeyKind::api;
  key.id = secret.id;
  key.name = flags.name.value_or(secret.id);
  key.secret_digest = digest_of_secret(secret.secret);
  if (key.name == kEngineName) return engine_name_taken();
  if (Result<void> ok = wire::make_private_folder(place.folder); !ok) return ok.error();
  if (Result<void> ok = wire::add_key(place.allowed, key); !ok) return ok.error();
  if (flags.json) {
    Json json = key_json(key, *key.created);
    json.set("key", text_of(secret)).set("allowed_keys_file", place.allowed);
    print(json.line() + "\n");
    return ExitStatus::done;
  }
  print(text_of(secret) + "\n");
  complain(fmt::format(
      "{} has {} from now on; its key is shown this once, keep it where only its user can read it",
      key.name, rights_text(key.rights)));
  return ExitStatus::done;
}

// False where there is one already.
Result<bool> make_engine_key(const KeysPlace& place) {
  const Result<wire::KeyFiles> made = wire::create_key_files(place.folder, kEngineName);
  if (!made && made.error().code != Code::already_exists) return made.error();
  return made.has_value();
}

Result<ExitStatus> new_curve_key(const KeysFlags& flags, const KeysPlace& place, wire::Key key) {
  if (flags.curve == kEngineName) return engine_name_taken();
  // Before there are files of a key that could then not be allowed.
  const Result<wire::KeyTable> table = keys_or_none(place.allowed);
  if (!table) return table.error();
  if (table->find(flags.curve) != nullptr) {
    return Error{Code::already_exists,
                 fmt::format("{} has {} already", place.allowed, flags.curve)};
  }
  const Result<bool> first = make_engine_key(place);
  if (!first) return first.error();
  const Result<wire::KeyFiles> files = wire::create_key_files(place.folder, flags.curve);
  if (!files) return files.error();
  key.name = files->key.name;
  key.id = files->key.public_key;
  if (Result<void> added = wire::add_key(place.allowed, key); !added) return added.error();
  const std::string engine_key = fmt::format("{}/{}.pub", place.folder, kEngineName);
  if (flags.json) {
    Json json = key_json(key, *key.created);
    json.set("key_file", files->secret_path)
        .set("engine_key_file", engine_key)
        .set("allowed_keys_file", place.allowed);
    print(json.line() + "\n");
    return ExitStatus::done;
  }
  print(fmt::format("{}\n", files->secret_path));
  // Whether an engine asks for keys is settled when it starts.
  complain(fmt::format(
      "{0} {1}, with {2}; it needs that file and {3}, as in: jack ls --engine tcp://HOST:PORT "
      "--key-file {0}.key --engine-key-file {4}.pub",
      key.name,
      *first ? "may connect by tcp to an engine that is started from now on; one that runs "
               "already asks for no keys"
             : "may connect by tcp from now on",
      rights_text(key.rights), engine_key, kEngineName));
  return ExitStatus::done;
}

Result<ExitStatus> new_key(const KeysFlags& flags, const KeysPlace& place) {
  const WallTime now = wall_now();
  Result<wire::Key> key = key_with_rights(flags, now);
  if (!key) return std::move(key).error();
  if (key->state(now) == wire::KeyState::expired) return refuse_usage("--expires: is in the past");
  if (flags.curve.empty()) return new_api_key_of(flags, place, *std::move(key));
  return new_curve_key(flags, place, *std::move(key));
}

// A key that was made elsewhere, or whose line somebody has taken out of the list.
Result<wire::Key> take_in(const KeysFlags& flags, const KeysPlace& place,
                          const wire::NamedKey& made, WallTime now) {
  if (made.name == kEngineName) return engine_name_taken();
  Result<wire::Key> key = key_with_rights(flags, now);
  if (!key) return key;
  key->name = made.name;
  key->id = made.public_key;
  if (Result<void> ok = wire::make_private_folder(place.folder); !ok) return ok.error();
  if (Result<void> added = wire::add_key(place.allowed, *key); !added) return added.error();
  return key;
}

// Lets in again who was revoked, or whoever made a key elsewhere and sent its public half.
Result<ExitStatus> allow_key(const KeysFlags& flags, const KeysPlace& place) {
  const Result<wire::KeyTable> table = keys_or_none(place.allowed);
  if (!table) return table.error();
  wire::NamedKey wanted{*flags.name, {}};
  const wire::Key* listed = table->find(wanted.name);
  if (listed == nullptr) {
    const bool is_file =
        wanted.name.find('/') != std::string::npos || wanted.name.ends_with(".pub");
    const Result<wire::NamedKey> read = wire::read_public_key(
        is_file ? wanted.name : fmt::format("{}/{}.pub", place.folder, wanted.name));
    if (!read) return read.error();
    wanted = *read;
    listed = table->find_curve(wanted.public_key);
  }
  if (listed != nullptr && flags.names_rights()) {
    return refuse_usage(listed->name + " is in the list and keeps the rights that it has there");
  }
  const WallTime now = wall_now();
  const Result<wire::Key> key = listed != nullptr ? wire::restore_key(place.allowed, listed->name)
                                                  : take_in(flags, place, wanted, now);
  if (!key) return key.error();
  if (flags.json) print(key_json(*key, now).line() + "\n");
  if (key->state(now) == wire::KeyState::expired) {
    complain(fmt::format("{} has expired all the same: make a new key", key->name));
  }
  return ExitStatus::done;
}

Result<ExitStatus> revoke_key(const KeysFlags& flags, const KeysPlace& place) {
  const WallTime now = wall_now();
  const Result<wire::Key> key = wire::revoke_key(place.allowed, *flags.name, now);
  if (!key) return key.error();
  if (flags.json) print(key_json(*key, now).line() + "\n");
  return ExitStatus::done;
}

Cell state_cell(wire::KeyState state) {
  const Tone tone = state == wire::KeyState::active    ? Tone::good
                    : state == wire::KeyState::expired ? Tone::faint
                                                       : Tone::bad;
  return {std::string(wire::name_of(state)), tone};
}

Cell date_cell(const std::optional<WallTime>& at) { return at ? local_date_text(*at) : "-"; }

Result<ExitStatus> list_keys(const KeysFlags& flags, const KeysPlace& place) {
  const Result<wire::KeyTable> table = keys_or_none(place.allowed);
  if (!table) return table.error();
  const Result<wire::UseTimes> used = wire::read_use_times(place.used);
  if (!used && used.error().code != Code::not_found) return used.error();
  const auto last_used = [&](const wire::Key& key) {
    std::optional<WallTime> at;
    if (used && used->contains(key.name)) at = used->find(key.name)->second;
    return at;
  };
  const WallTime now = wall_now();
  if (flags.json) {
    Json list = Json::array();
    for (const wire::Key& key : table->keys()) {
      list.add(std::move(key_json(key, now).set("last_used", date_json(last_used(key)))));
    }
    print(Json::object().set("keys", std::move(list)).line() + "\n");
    return ExitStatus::done;
  }
  Table text({{"NAME"},
              {"KIND"},
              {"SCOPES"},
              {"QUEUES", Align::left, true},
              {"CREATED"},
              {"EXPIRES"},
              {"LAST USED"},
              {"STATE"}});
  for (const wire::Key& key : table->keys()) {
    text.add({key.name, std::string(wire::name_of(key.kind)), key.rights.scopes_text(),
              key.rights.patterns_text(), date_cell(key.created), date_cell(key.expires),
              date_cell(last_used(key)), state_cell(key.state(now))});
  }
  print(text.text(table_style()));
  return ExitStatus::done;
}

// What is wrong with these flags together; empty: nothing.
std::string misuse_of(const KeysFlags& flags) {
  const std::string& action = flags.action;
  if (action == "ls" && flags.name) return "ls takes no name";
  if (action == "revoke" && !flags.name) return "write: jack keys revoke NAME";
  if (action == "allow" && !flags.name) {
    return "write: jack keys allow NAME, or the path of a .pub file";
  }
  if (action != "new" && !flags.curve.empty()) return "--curve goes with new";
  if (action == "new" && flags.name && !flags.curve.empty()) {
    return "write: jack keys new NAME, or jack keys new --curve NAME";
  }
  if (action != "new" && action != "allow" && flags.names_rights()) {
    return "--scope, --queue and --expires go with new and allow";
  }
  return {};
}

Result<ExitStatus> keys(const KeysFlags& flags) {
  if (const std::string misuse = misuse_of(flags); !misuse.empty()) return refuse_usage(misuse);
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
  Command command("keys", "say who may come in by tcp or HTTP, and what for");
  command.argument("ACTION", flags->action, "new, allow, ls or revoke")
      .choices({"new", "allow", "ls", "revoke"})
      .argument("[NAME]", flags->name,
                "with new: what the API key is called (default: its id); with revoke: whose key; "
                "with allow: a name, or a .pub file")
      .option("--curve", "NAME", flags->curve, "with new: make a CURVE key, for tcp, of this name")
      .option("--scope", "SCOPES", flags->scopes,
              "submit, work, read, admin, or several with commas (default: submit,work,read)")
      .option("--queue", "PATTERNS", flags->queues,
              "the queues that it may use, as in review-*,mail (default: all)")
      .option("--expires", "WHEN", flags->expires,
              "when it ends: after a time, as in 90d, or at a date (default: never)")
      .above_zero()
      .flag("--json", flags->json, "print JSON")
      .details(
          "The list of keys is the file DIR/keys/allowed. A running engine reads it anew when it "
          "has "
          "changed, and holds to it from the next request on. A key has scopes, none of which "
          "implies another, on the queues whose names match one of its patterns, where * stands "
          "for "
          "any characters. --scope and --queue may be given several times.")
      .details(
          "`new` makes an API key, for HTTP, and prints it: the list has only a digest of it, so "
          "it cannot be shown again. `new --curve NAME` makes a key for tcp: NAME.key, which is "
          "secret and goes to the client together with engine.pub. It makes engine.key, the "
          "engine's own, where there is none; an engine that listens on tcp asks for keys if it "
          "had one when it started.")
      .details(
          "`revoke` keeps a key out from now on, and ends the sessions that it has. `allow` lets "
          "it "
          "in again, with the rights it had, or takes in a key that was made on another machine, "
          "whose .pub file has its name and public half. `ls` shows when a key was last used, to "
          "the "
          "minute.")
      .example("jack keys new ci --scope submit,read --expires 90d", "prints an API key")
      .example("jack keys new --curve laptop", "prints the path of the secret key it has made")
      .example("jack keys new --curve reviewer --scope work --queue 'review-*'",
               "may only work, and only there")
      .example("jack keys revoke laptop", "from now on it cannot do anything")
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

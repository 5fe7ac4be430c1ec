// The list of keys: as text, and as a file that is read and changed while engines run.
#include "engine/wire/keys.h"

#include <filesystem>
#include <fstream>
#include <thread>

#include <sys/stat.h>

#include "engine/date.h"
#include "engine/wire/curve.h"
#include "engine/wire/key_ring.h"
#include "tests/catch.hpp"
#include "tests/support/files.h"
#include "tests/wire/folder.h"

namespace jack::wire {
namespace {

using test::Folder;

const std::string kHex(64, 'a');
constexpr const char* kPublic = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
constexpr const char* kOther = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";

const std::string kSample = JACK_TEST_SOURCES "/wire/allowed.sample";

// Moved by hand.
class TestClock final : public Clock {
 public:
  SteadyTime now() const override { return steady; }
  WallTime wall_now() const override { return WallTime{}; }

  SteadyTime steady{};
};

KeyTable table(const std::string& text) {
  const Result<KeyTable> parsed = KeyTable::parse(text, "list");
  if (!parsed) FAIL(to_string(parsed.error()));
  return *parsed;
}

std::string refusal(const std::string& text) {
  const Result<KeyTable> parsed = KeyTable::parse(text, "list");
  if (parsed) return "taken";
  CHECK(parsed.error().code == Code::invalid_argument);
  return parsed.error().message;
}

WallTime date(std::string_view text) { return parse_date(text).value(); }

Key api_key(const std::string& name, const std::string& id) {
  Key key;
  key.name = name;
  key.kind = KeyKind::api;
  key.id = id;
  key.secret_digest.fill(0xaa);
  key.rights = Rights::parse("submit,read", "mail,review-*").value();
  return key;
}

Key curve_key(const std::string& name) {
  Key key;
  key.name = name;
  key.id = new_key_pair()->public_key;
  key.rights = Rights::all();
  return key;
}

}  // namespace

TEST_CASE("a name and a public key alone are a CURVE key with all rights") {
  const KeyTable keys = table(std::string("  ada ") + kPublic + "\r\n");

  REQUIRE(keys.keys().size() == 1);
  const Key& ada = keys.keys()[0];
  CHECK(ada.name == "ada");
  CHECK(ada.kind == KeyKind::curve);
  CHECK(ada.rights == Rights::all());
  CHECK(ada.state(WallTime::max()) == KeyState::active);
  CHECK(table(std::string("ada curve ") + kPublic).keys()[0] == ada);
}

TEST_CASE("a key is found by its name, and by its key or id among those of its kind") {
  const KeyTable keys = table(std::string("# who\n\nada curve ") + kPublic +
                              " scopes=work queues=review-*,mail\nci api 0123abCD sha256=" + kHex +
                              " scopes=submit,read created=2026-11-23T10:00:00Z "
                              "expires=2027-01-01T00:00:00Z revoked=2026-12-01T00:00:00Z");

  const Key* const ada = keys.find("ada");
  const Key* const ci = keys.find("ci");
  REQUIRE(ada != nullptr);
  REQUIRE(ci != nullptr);
  CHECK(keys.find_curve(kPublic) == ada);
  CHECK(keys.find_api("0123abCD") == ci);
  CHECK(keys.find("bob") == nullptr);
  CHECK(keys.find_curve(kOther) == nullptr);
  CHECK(keys.find_curve("0123abCD") == nullptr);
  CHECK(keys.find_api(kPublic) == nullptr);
  CHECK(keys.find_api("0123abcd") == nullptr);
  CHECK(ada->rights == Rights::parse("work", "review-*,mail").value());
  CHECK(ci->rights == Rights::parse("submit,read", "*").value());
  CHECK(ci->secret_digest[31] == 0xaa);
  CHECK(ci->created == date("2026-11-23T10:00:00Z"));
  CHECK(ci->expires == date("2027-01-01T00:00:00Z"));
  CHECK(ci->revoked == date("2026-12-01T00:00:00Z"));
}

// A line that this program has written is read by every later one.
TEST_CASE("the list in the present format is read, in all its forms") {
  const KeyTable keys = read_key_list(kSample).value();

  REQUIRE(keys.keys().size() == 3);
  CHECK(keys.find("ada")->rights == Rights::all());
  CHECK(keys.find("laptop")->rights == Rights::parse("submit,work,read", "*").value());
  CHECK(keys.find("ci")->rights == Rights::parse("submit,read", "review-*,mail").value());
  CHECK(test::content_of(kSample).ends_with("\n" + line_of(*keys.find("ci")) + "\n"));
}

TEST_CASE("a key expires at its date, and is revoked whatever the date of that") {
  Key key = api_key("ci", "01234567");
  CHECK(key.state(date("2026-12-31T23:59:59.999Z")) == KeyState::active);

  key.expires = date("2027-01-01T00:00:00Z");
  CHECK(key.state(date("2026-12-31T23:59:59.999Z")) == KeyState::active);
  CHECK(key.state(date("2027-01-01T00:00:00Z")) == KeyState::expired);

  key.revoked = date("2028-01-01T00:00:00Z");
  CHECK(key.state(date("2026-12-01T00:00:00Z")) == KeyState::revoked);
}

TEST_CASE("the line of a key is read back as the same key") {
  Key key = api_key("ci", "01234567");
  CHECK(table(line_of(key)).keys()[0] == key);
  key.created = date("2026-11-23T10:00:00.250Z");
  key.expires = date("2027-01-01T00:00:00Z");
  key.revoked = date("2026-12-01T00:00:00Z");
  CHECK(table(line_of(key)).keys()[0] == key);
  const Key curve = curve_key("ada");
  CHECK(table(line_of(curve)).keys()[0] == curve);
}

TEST_CASE("a line that is none is refused with its number and what is wrong") {
  const std::string curve = std::string("ada curve ") + kPublic;
  const std::string api = "ci api 0123abCD sha256=" + kHex;
  const auto names = [](const std::string& part) { return ::test::ContainsSubstring(part); };

  CHECK_THAT(refusal("# remark\n\n" + curve + "\nbob\n"), names("list:4: "));
  CHECK_THAT(refusal("bob"), names("not a name and a public CURVE key"));
  CHECK_THAT(refusal("bob curve"), names("not a name and a public CURVE key"));
  CHECK_THAT(refusal("bob tooshort"), names("not a name and a public CURVE key"));
  CHECK_THAT(refusal("a/b " + std::string(kPublic)), names("a key's name must be"));
  CHECK_THAT(refusal(std::string(129, 'a') + " " + kPublic), names("a key's name must be"));
  CHECK_THAT(refusal("ci api"), names("an api key's id must be 8"));
  CHECK_THAT(refusal("ci api 0123_bCD scopes=read"), names("an api key's id must be 8"));
  CHECK_THAT(refusal("ci api 0123abCD scopes=read"), names("must have sha256="));
  CHECK_THAT(refusal(api.substr(0, api.size() - 1) + " scopes=read"), names("must have sha256="));
  CHECK_THAT(refusal("ci api 0123abCD sha256=" + std::string(64, 'A') + " scopes=read"),
             names("must have sha256="));
  CHECK_THAT(refusal(api), names("must have scopes="));
  CHECK_THAT(refusal(curve + " sha256=" + kHex), names("a curve key has no sha256="));
  CHECK_THAT(refusal(curve + " scopes=all"), names("'all' is no scope"));
  CHECK_THAT(refusal(curve + " queues="), names("'' is neither"));
  CHECK_THAT(refusal(curve + " scopes=read scopes=work"), names("scopes is there twice"));
  CHECK_THAT(refusal(curve + " created=monday"), names("'monday' is no date"));
  CHECK_THAT(refusal(curve + " expires=2027-01-01"), names("is no date"));
  CHECK_THAT(refusal(curve + " revoked="), names("is no date"));
  CHECK_THAT(refusal(curve + " scope=read"), names("a word that is none of scopes=,"));
  CHECK_THAT(refusal(curve + " read"), names("a word that is none of scopes=,"));
}

// Logs get these messages, and somebody may have put a secret into the list.
TEST_CASE("what is wrong in a line is not repeated where it may be a secret") {
  CHECK(refusal("ci jack_01234567_secret").find("secret") == std::string::npos);
  CHECK(refusal(std::string("ci ") + kPublic + " secret").find("secret") == std::string::npos);
}

TEST_CASE("names, public keys and key ids are unique over all lines") {
  const std::string ada = std::string("ada curve ") + kPublic + "\n";
  const std::string ci = "ci api 0123abCD scopes=read sha256=" + kHex + "\n";

  CHECK_THAT(refusal(ada + ci + "ada api 01234567 scopes=read sha256=" + kHex),
             ::test::ContainsSubstring("list:3: the name ada is there twice"));
  CHECK_THAT(refusal(ada + "ada2 " + kPublic),
             ::test::ContainsSubstring("list:2: this is the key of ada"));
  CHECK_THAT(refusal(ci + "cd api 0123abCD scopes=read sha256=" + kHex),
             ::test::ContainsSubstring("list:2: this is the key of ci"));
}

TEST_CASE("keys are added, revoked and restored, and all other lines stay as they are") {
  Folder folder;
  const std::string path = folder / "allowed";
  const std::string ours = std::string("# our laptops\nada ") + kPublic + "\n\n#end";
  std::ofstream(path) << ours;
  const Key ci = api_key("ci", "01234567");
  const WallTime now = date("2026-11-23T10:00:00Z");

  REQUIRE(add_key(path, ci).has_value());
  CHECK(test::content_of(path) == ours + "\n" + line_of(ci) + "\n");
  CHECK((std::filesystem::status(path).permissions() & std::filesystem::perms{077}) ==
        std::filesystem::perms::none);

  const Key revoked = revoke_key(path, "ci", now).value();
  CHECK(revoked.revoked == now);
  CHECK(read_key_list(path)->find("ci")->revoked == now);
  CHECK(revoke_key(path, "ci", now + std::chrono::hours{1})->revoked == now);
  CHECK(test::content_of(path).starts_with(ours + "\n"));

  CHECK(restore_key(path, "ci").value() == ci);
  CHECK(test::content_of(path) == ours + "\n" + line_of(ci) + "\n");
}

TEST_CASE("a change of the list that cannot be made changes nothing") {
  Folder folder;
  const std::string path = folder / "allowed";
  const WallTime now = date("2026-11-23T10:00:00Z");
  const Key ada = curve_key("ada");
  const Key ci = api_key("ci", "01234567");
  CHECK(revoke_key(path, "ada", now).error().code == Code::not_found);
  CHECK(restore_key(path, "ada").error().code == Code::not_found);
  REQUIRE(add_key(path, ada).has_value());
  REQUIRE(add_key(path, ci).has_value());
  const std::string before = test::content_of(path);

  CHECK(add_key(path, api_key("ada", "76543210")).error().code == Code::already_exists);
  CHECK(add_key(path, api_key("cd", "01234567")).error().code == Code::already_exists);
  Key eve = ada;
  eve.name = "eve";
  CHECK_THAT(add_key(path, eve).error().message, ::test::ContainsSubstring("has ada already"));
  eve.id = "none";
  CHECK(add_key(path, eve).error().code == Code::invalid_argument);
  CHECK(revoke_key(path, "bob", now).error().code == Code::not_found);
  CHECK(restore_key(path, "bob").error().code == Code::not_found);
  CHECK(restore_key(path, "ada").error().code == Code::already_exists);
  CHECK(test::content_of(path) == before);

  std::ofstream(path, std::ios::app) << "no line\n";
  CHECK(add_key(path, curve_key("bob")).error().code == Code::invalid_argument);
  CHECK(revoke_key(path, "ada", now).error().code == Code::invalid_argument);
  CHECK(restore_key(path, "ada").error().code == Code::invalid_argument);
  CHECK(test::content_of(path) == before + "no line\n");
}

TEST_CASE("a list in a folder that is not there, or where nothing can be written, is an error") {
  Folder folder;
  CHECK(add_key(folder / "none/allowed", curve_key("ada")).error().code == Code::not_found);

  // What is replaced is a folder: the list cannot be written, nor its lock be taken.
  const WallTime now = date("2026-11-23T10:00:00Z");
  const std::string path = folder / "allowed";
  REQUIRE(add_key(path, curve_key("ada")).has_value());
  std::filesystem::create_directories(path + ".new/in-the-way");
  CHECK_FALSE(add_key(path, curve_key("bob")).has_value());
  CHECK_FALSE(revoke_key(path, "ada", now).has_value());
  std::filesystem::remove_all(path + ".new");
  REQUIRE(revoke_key(path, "ada", now).has_value());
  std::filesystem::create_directories(path + ".new/in-the-way");
  CHECK_FALSE(restore_key(path, "ada").has_value());

  std::filesystem::remove(path + ".lock");
  std::filesystem::create_directory(path + ".lock");
  CHECK_FALSE(add_key(path, curve_key("bob")).has_value());
  CHECK_FALSE(revoke_key(path, "ada", now).has_value());
  CHECK_FALSE(restore_key(path, "ada").has_value());
}

TEST_CASE("changes that come at the same time are all kept") {
  constexpr int kEach = 25;
  Folder folder;
  const std::string path = folder / "allowed";
  const auto add_some = [&](const std::string& letter) {
    for (int i = 10; i < 10 + kEach; ++i) {
      const std::string name = letter + std::to_string(i);
      static_cast<void>(add_key(path, api_key(name, "00000" + name)).has_value());
    }
  };

  std::thread other(add_some, "a");
  add_some("b");
  other.join();

  CHECK(read_key_list(path)->keys().size() == 2 * kEach);
}

TEST_CASE("a ring has the keys of the file as it is now") {
  Folder folder;
  const std::string path = folder / "allowed";
  KeyRing ring(path);
  CHECK(ring.table()->keys().empty());
  CHECK(ring.check().error().code == Code::not_found);

  const Key ada = curve_key("ada");
  REQUIRE(add_key(path, ada).has_value());
  const std::shared_ptr<const KeyTable> first = ring.table();
  CHECK(first->find_curve(ada.id) != nullptr);
  CHECK(ring.check().has_value());

  REQUIRE(revoke_key(path, "ada", date("2026-11-23T10:00:00Z")).has_value());
  CHECK(ring.table()->find("ada")->state(WallTime{}) == KeyState::revoked);
  CHECK(first->find("ada")->state(WallTime{}) == KeyState::active);  // as it was

  REQUIRE(restore_key(path, "ada").has_value());
  CHECK(ring.table()->find("ada")->state(WallTime{}) == KeyState::active);
}

// Of the same size, in the same file, within one tick of the file system's clock.
TEST_CASE("a ring sees a change that a file's times do not show") {
  Folder folder;
  const std::string path = folder / "allowed";
  KeyRing ring(path);

  for (const char* name : {"ada", "bob", "eve", "ada", "bob", "eve"}) {
    std::ofstream(path) << name << ' ' << kPublic << '\n';
    CHECK(ring.table()->find(name) != nullptr);
  }
}

// What has been read again is another table.
TEST_CASE("a ring reads a list once, until it changes, however often it is asked") {
  Folder folder;
  const std::string path = folder / "allowed";
  const auto clock = std::make_shared<TestClock>();
  KeyRing ring(path, {}, clock);
  const auto flood = [&ring] {
    const std::shared_ptr<const KeyTable> first = ring.table();
    int read_again = 0;
    for (int i = 0; i < 1000; ++i) read_again += ring.table() != first ? 1 : 0;
    return read_again;
  };
  CHECK(flood() == 0);  // there is no file
  REQUIRE(add_key(path, curve_key("ada")).has_value());
  CHECK(ring.table()->keys().size() == 1);

  // Times of files are in whole seconds on some file systems, and now and then on others.
  clock->steady = clock->steady + std::chrono::seconds{3};
  CHECK(ring.table()->keys().size() == 1);
  CHECK(flood() == 0);
  REQUIRE(add_key(path, api_key("bob", "00000bob")).has_value());
  CHECK(ring.table()->keys().size() == 2);
  clock->steady = clock->steady + std::chrono::seconds{3};
  static_cast<void>(ring.table());
  CHECK(flood() == 0);
}

TEST_CASE("a ring tries a list that it cannot read ten times a second, or when it changes") {
  Folder folder;
  const std::string path = folder / "allowed";
  const auto clock = std::make_shared<TestClock>();
  KeyRing ring(path, {}, clock);
  std::ofstream(path) << "not a line\n";
  static_cast<void>(ring.table());
  clock->steady = clock->steady + std::chrono::seconds{3};
  const std::shared_ptr<const KeyTable> first = ring.table();

  clock->steady = clock->steady + std::chrono::milliseconds{99};
  CHECK(ring.table() == first);
  clock->steady = clock->steady + std::chrono::milliseconds{1};
  const std::shared_ptr<const KeyTable> second = ring.table();
  CHECK(second != first);
  CHECK(ring.table() == second);

  std::ofstream(path) << "# nobody, and nothing wrong\n";
  CHECK(ring.table() != second);
  CHECK(ring.last_table() != second);
}

TEST_CASE("while its file cannot be read a ring is empty, which is told once for each change") {
  Folder folder;
  const std::string path = folder / "allowed";
  std::vector<std::string> told;
  KeyRing ring(path, [&](const Error& error) { told.push_back(error.message); });
  REQUIRE(add_key(path, curve_key("ada")).has_value());
  CHECK(ring.table()->keys().size() == 1);

  std::ofstream(path, std::ios::app) << "not a line\n";
  CHECK(ring.table()->keys().empty());
  CHECK(ring.table()->keys().empty());
  REQUIRE(told.size() == 1);
  CHECK_THAT(told[0], ::test::ContainsSubstring("allowed:3: "));

  std::filesystem::rename(path, folder / "elsewhere");
  CHECK(ring.table()->keys().empty());
  CHECK(ring.table()->keys().empty());
  REQUIRE(told.size() == 2);
  CHECK_THAT(told[1], ::test::ContainsSubstring(path));

  REQUIRE(add_key(path, curve_key("ada")).has_value());
  CHECK(ring.table()->keys().size() == 1);
  std::filesystem::remove(path);
  CHECK(ring.table()->keys().empty());
  CHECK(told.size() == 3);
}

TEST_CASE("for those who are in, a ring has the last list that could be read") {
  Folder folder;
  const std::string path = folder / "allowed";
  KeyRing ring(path);
  CHECK(ring.last_table()->keys().empty());
  REQUIRE(add_key(path, curve_key("ada")).has_value());
  CHECK(ring.last_table()->keys().size() == 1);

  std::filesystem::rename(path, folder / "elsewhere");
  CHECK(ring.last_table()->find("ada") != nullptr);
  std::ofstream(path) << "not a line\n";
  CHECK(ring.last_table()->find("ada") != nullptr);
  std::ofstream(path, std::ios::trunc);  // as an editor leaves it between two steps
  CHECK(ring.last_table()->find("ada") != nullptr);
  CHECK(ring.table()->keys().empty());
  std::ofstream(path) << "# nobody\n";
  CHECK(ring.last_table()->keys().empty());
}

// Else a file that cannot be read at the start would let everybody in.
TEST_CASE("a ring has surely no keys only where it knows its list") {
  Folder folder;
  const std::string path = folder / "allowed";
  const auto write = [&path](const std::string& text) { std::ofstream(path) << text; };
  const auto has_none = [](KeyRing& ring) {
    const bool none = ring.surely_has_no(KeyKind::api);
    CHECK(ring.surely_has_no(KeyKind::api) == none);
    return none;
  };

  KeyRing ring(path);
  CHECK(has_none(ring));  // nobody has made one
  write("not a line\n");
  CHECK_FALSE(has_none(ring));
  write("");
  CHECK_FALSE(has_none(ring));  // as an editor leaves it between two steps
  std::filesystem::remove(path);
  CHECK_FALSE(has_none(ring));
  REQUIRE(add_key(path, curve_key("ada")).has_value());
  CHECK(has_none(ring));
  CHECK_FALSE(ring.surely_has_no(KeyKind::curve));
  REQUIRE(add_key(path, api_key("bob", "00000bob")).has_value());
  CHECK_FALSE(has_none(ring));

  write("not a line\n");
  KeyRing begun_without(path);
  CHECK_FALSE(has_none(begun_without));
  CHECK(begun_without.last_table()->keys().empty());
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  KeyRing begun_with_a_folder(path);
  CHECK_FALSE(has_none(begun_with_a_folder));
  std::filesystem::remove(path);
  write("# nobody\n");
  CHECK(has_none(begun_with_a_folder));
}

TEST_CASE("threads may ask a ring at once") {
  Folder folder;
  const std::string path = folder / "allowed";
  REQUIRE(add_key(path, curve_key("ada")).has_value());
  KeyRing ring(path);
  const auto ask = [&] {
    bool always = true;
    for (int i = 0; i < 200; ++i) always = ring.table()->find("ada") != nullptr && always;
    return always;
  };

  bool others = false;
  std::thread other([&] { others = ask(); });
  for (int i = 10; i < 20; ++i) {
    REQUIRE(
        add_key(path, api_key("k" + std::to_string(i), "000000" + std::to_string(i))).has_value());
  }
  CHECK(ask());
  other.join();
  CHECK(others);
}

}  // namespace jack::wire

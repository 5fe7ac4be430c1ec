// API keys, as anybody may present one.
#include "apps/keys/api_key.h"

#include "tests/fuzz/target.h"

namespace jack {
namespace {

// That of corpus/api_key/key.
const app::ApiKey kListed{"sZ9ZXWxt", "f0L7TYFCjdhO52CVYGn5FgUDiWnz4XMlHVZvKgAY4m1"};

wire::KeyTable list_with_one() {
  wire::Key key;
  key.name = "ci";
  key.kind = wire::KeyKind::api;
  key.id = kListed.id;
  key.secret_digest = app::digest_of_secret(kListed.secret);
  key.rights = Rights::all();
  return wire::KeyTable::parse(wire::line_of(key), "list").value();
}

// Whether it is let in; nobody else may be.
bool look_at(std::string_view text) {
  static const wire::KeyTable list = list_with_one();
  static const wire::KeyTable nobody;
  JACK_ASSERT(!app::authenticate(nobody, text, WallTime{}));
  const bool is_in = app::authenticate(list, text, WallTime{}).has_value();
  JACK_ASSERT(is_in == (text == app::text_of(kListed)));
  const Result<app::ApiKey> key = app::parse_api_key(text);
  if (!key) return is_in;
  JACK_ASSERT(wire::is_api_key_id(key->id));
  JACK_ASSERT(app::text_of(*key) == text);
  return is_in;
}

}  // namespace

void fuzz(std::string_view bytes) {
  const bool is_in = look_at(bytes);
  if (bytes.size() < 57) return;
  // Mutations seldom have the right check, without which nobody looks further.
  const app::ApiKey key{std::string(bytes.substr(5, 8)), std::string(bytes.substr(14, 43))};
  const bool is_in_by_check = look_at(app::text_of(key));
  JACK_ASSERT(is_in_by_check || !is_in);
}

}  // namespace jack

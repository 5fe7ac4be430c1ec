// API keys, as anybody may present one.
#include "apps/keys/api_key.h"

#include "tests/fuzz/target.h"

namespace jack {

void fuzz(std::string_view bytes) {
  const Result<app::ApiKey> key = app::parse_api_key(bytes);
  static const wire::KeyTable nobody;
  JACK_ASSERT(!app::authenticate(nobody, bytes, WallTime{}));
  if (!key) return;
  JACK_ASSERT(wire::is_api_key_id(key->id));
  JACK_ASSERT(app::text_of(*key) == bytes);
}

}  // namespace jack

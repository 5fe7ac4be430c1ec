// Specs: what a submitter asks for, carried as it came through wire, journal and store.
#include "engine/format/spec.h"
#include "tests/fuzz/target.h"

namespace jack {

void fuzz(std::string_view bytes) {
  Unpacker unpacker;
  const Result<SpecView> view = decode_spec(unpacker, bytes);
  if (!view) return;
  static_cast<void>(check(*view, Limits{}).has_value());
  const TaskSpec spec = to_spec(*view);
  std::string once;
  encode(spec, once);
  const Result<SpecView> again = decode_spec(unpacker, once);
  JACK_ASSERT(again && to_spec(*again) == spec);
}

}  // namespace jack

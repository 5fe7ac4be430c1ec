// What clients and workers send, of whom an engine knows nothing before it has read it.
#include "engine/wire/messages.h"
#include "tests/fuzz/target.h"

namespace jack {

void fuzz(std::string_view bytes) {
  Unpacker unpacker;
  static_cast<void>(wire::correlation_of(unpacker, bytes));
  const Result<wire::Request> request = wire::decode_request(unpacker, bytes);
  if (!request) return;
  const auto encode = [](const auto& message) { return wire::encode(message); };
  const std::string once = std::visit(encode, *request);
  const Result<wire::Request> again = wire::decode_request(unpacker, once);
  JACK_ASSERT(again && std::visit(encode, *again) == once);
}

}  // namespace jack

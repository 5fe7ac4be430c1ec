// What engines send: it may come from whoever answers at an address.
#include "engine/format/status.h"
#include "engine/wire/messages.h"
#include "tests/fuzz/target.h"

namespace jack {

void fuzz(std::string_view bytes) {
  Unpacker unpacker;
  const Result<wire::Reply> reply = wire::decode_reply(unpacker, bytes);
  if (!reply) return;
  const auto encode = [](const auto& message) { return wire::encode(message); };
  const std::string once = std::visit(encode, *reply);
  const Result<wire::Reply> again = wire::decode_reply(unpacker, once);
  JACK_ASSERT(again && std::visit(encode, *again) == once);

  // Clients read on in what these carry.
  if (const auto* task = std::get_if<wire::TaskMessage>(&*reply)) {
    static_cast<void>(decode_status(unpacker, task->status).has_value());
  }
  if (const auto* events = std::get_if<wire::Events>(&*reply)) {
    for (const std::string_view event : events->events) {
      static_cast<void>(decode_event(unpacker, event).has_value());
    }
  }
}

}  // namespace jack

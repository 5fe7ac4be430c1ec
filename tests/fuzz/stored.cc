// What rests in the store: rows of tasks and queues, the register, statuses and events.
#include "engine/state/stored.h"

#include "engine/format/status.h"
#include "engine/front/event_log.h"
#include "tests/fuzz/target.h"

namespace jack {

void fuzz(std::string_view bytes) {
  Unpacker unpacker;
  static_cast<void>(decode_task(unpacker, bytes).has_value());
  static_cast<void>(decode_status(unpacker, bytes).has_value());
  static_cast<void>(decode_event(unpacker, bytes).has_value());
  Queue queue;
  static_cast<void>(decode_queue(bytes, queue).has_value());
  Register values;
  Pools pools;
  static_cast<void>(decode_meta(bytes, values, pools).has_value());
  EventPart part;
  static_cast<void>(read_blob(bytes, {}, SIZE_MAX, part).has_value());
}

}  // namespace jack

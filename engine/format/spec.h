// The encoded form of a task's spec. One form serves the wire, the journal and the store, so that
// the bytes a client sends are kept and delivered as they are.
//
//   [id bin16, queue str, payload bin, {field number: value, …}]
//
// The map holds what differs from the default, its keys growing. Documented for other languages in
// docs/protocol.md. Adding a field: a new number here, in encode() and in decode_spec(), and a
// line in docs/protocol.md; an engine that does not know a number refuses the spec (unsupported).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <jack_engine/error.h>
#include <jack_engine/limits.h>
#include <jack_engine/task.h>

#include "engine/format/unpack.h"

namespace jack {

// Part of the formats: never renumber, never reuse a retired value.
enum class SpecField : std::uint8_t {
  type = 1,
  content_type = 2,
  priority = 3,
  not_before = 4,  // milliseconds since 1970
  delay = 5,       // milliseconds, here and below
  expires_at = 6,
  expires_in = 7,
  timeout = 8,
  max_attempts = 9,
  backoff = 10,     // [initial, factor ‰, max, jitter ‰]
  unique_key = 11,  // reserved
  reply_to = 12,
  parent = 13,      // bin16
  depends_on = 14,  // reserved
  from = 15,
  headers = 16,  // {str: str}, keys growing
};

// A decoded spec whose texts are views into the encoded bytes.
struct SpecView {
  TaskId id{};
  std::string_view queue;
  std::string_view payload;
  std::string_view type;
  std::string_view content_type;
  Priority priority = Priority::normal;
  std::optional<WallTime> not_before;
  Duration delay{0};
  std::optional<WallTime> expires_at;
  Duration expires_in{0};
  Duration timeout{0};
  std::uint32_t max_attempts = 3;
  Backoff backoff;
  std::string_view reply_to;
  TaskId parent{};
  std::string_view from;
  Fields headers;  // names and values in turn; valid until the Unpacker's next use
};

// Appends the encoded form. Whatever the spec holds is encoded: check() is what judges it.
void encode(const TaskSpec& spec, std::string& out);

// The encoded form of `bytes`, without judging its values.
// Errors: invalid_argument  not a spec; the message names the field
//         unsupported       a field that this version does not know or only reserves
Result<SpecView> decode_spec(Unpacker& unpacker, std::string_view bytes);

TaskSpec to_spec(const SpecView& view);

// Whether the state accepts this spec under these limits, apart from what depends on time and on
// other tasks.
// Errors: invalid_argument, payload_too_large; the message names the field and the bound
Result<void> check(const SpecView& spec, const Limits& limits);

// 1–128 of [A-Za-z0-9._-].
bool is_queue_name(std::string_view name);
// What a refusal says of one that is none.
inline constexpr const char* kQueueNameRule =
    "a queue name must be 1–128 characters of A–Z a–z 0–9 . _ -";

// Valid UTF-8 (RFC 3629) without control characters: what names and texts for people must be.
bool is_plain_text(std::string_view text);

// Tells two specs apart: a repeated submit has the same digest. Not for security.
std::uint64_t digest_of(std::string_view encoded);

}  // namespace jack

#include "engine/format/spec.h"

#include <algorithm>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "engine/format/duration.h"
#include "engine/format/pack.h"

namespace jack {
namespace {

// The map's entries are counted while they are written, so they go to a buffer of their own.
class OptionalFields {
 public:
  Packer& add(SpecField field) {
    ++count_;
    return packer_.u64(static_cast<std::uint64_t>(field));
  }
  void add_to(Packer& out) const { out.map(count_).packed(bytes_); }

 private:
  std::size_t count_ = 0;
  std::string bytes_;
  Packer packer_{bytes_};
};

void encode(const Backoff& backoff, Packer& out) {
  out.array(4)
      .i64(backoff.initial.count())
      .u64(backoff.factor_permille)
      .i64(backoff.max.count())
      .u64(backoff.jitter_permille);
}

Backoff decode_backoff(Fields fields, bool& failed) {
  Backoff backoff;
  backoff.initial = Duration{fields.i64()};
  backoff.factor_permille = static_cast<std::uint32_t>(fields.u64(UINT32_MAX));
  backoff.max = Duration{fields.i64()};
  backoff.jitter_permille = static_cast<std::uint32_t>(fields.u64(UINT32_MAX));
  failed |= fields.failed();
  return backoff;
}

Error malformed(std::string_view what) {
  return {Code::invalid_argument, "the spec's " + std::string(what) + " is malformed"};
}

// Reads one pair of the map. False where the field is not one that this version reads.
bool read_field(SpecField field, Fields& fields, SpecView& spec) {
  bool failed = false;
  switch (field) {
    case SpecField::type: spec.type = fields.text(); break;
    case SpecField::content_type: spec.content_type = fields.text(); break;
    case SpecField::priority:
      spec.priority =
          static_cast<Priority>(fields.u64(static_cast<std::uint64_t>(Priority::urgent)));
      break;
    case SpecField::not_before: spec.not_before = WallTime{Duration{fields.i64()}}; break;
    case SpecField::delay: spec.delay = Duration{fields.i64()}; break;
    case SpecField::expires_at: spec.expires_at = WallTime{Duration{fields.i64()}}; break;
    case SpecField::expires_in: spec.expires_in = Duration{fields.i64()}; break;
    case SpecField::timeout: spec.timeout = Duration{fields.i64()}; break;
    case SpecField::max_attempts:
      spec.max_attempts = static_cast<std::uint32_t>(fields.u64(UINT32_MAX));
      break;
    case SpecField::backoff: spec.backoff = decode_backoff(fields.array(), failed); break;
    case SpecField::reply_to: spec.reply_to = fields.text(); break;
    case SpecField::parent: spec.parent = fields.id(); break;
    case SpecField::from: spec.from = fields.text(); break;
    case SpecField::headers: spec.headers = fields.map(); break;
    case SpecField::unique_key:
    case SpecField::depends_on:
    default: return false;
  }
  if (failed) fields.fail();
  return true;
}

Error too_long(std::string_view field, std::size_t max) {
  return {Code::invalid_argument,
          std::string(field) + " is longer than " + std::to_string(max) + " bytes"};
}

Result<void> check_text(std::string_view field, std::string_view value) {
  if (value.size() > kShortTextBytesMax) return too_long(field, kShortTextBytesMax);
  if (!is_plain_text(value)) {
    return Error{Code::invalid_argument,
                 std::string(field) + " must be UTF-8 without control characters"};
  }
  return {};
}

Result<void> check_queue_name(std::string_view field, std::string_view name) {
  if (is_queue_name(name)) return {};
  return Error{Code::invalid_argument,
               std::string(field) + " must be 1–128 characters of A–Z a–z 0–9 . _ -"};
}

Result<void> check_duration(std::string_view field, Duration value, Duration max) {
  if (value >= Duration{0} && value <= max) return {};
  return Error{Code::invalid_argument,
               std::string(field) + " must be between 0 and " + exact_text(max)};
}

Result<void> check_headers(Fields headers) {
  std::size_t count = 0;
  std::size_t bytes = 0;
  std::string_view previous;
  while (headers.more()) {
    const std::string_view name = headers.text();
    const std::string_view value = headers.text();
    if (headers.failed()) return malformed("headers");
    if (name.empty() || !is_plain_text(name) || !is_plain_text(value)) {
      return Error{Code::invalid_argument,
                   "headers must have names, and be UTF-8 without control characters"};
    }
    if (count > 0 && name <= previous) {
      return Error{Code::invalid_argument, "headers must be sorted by name, each name once"};
    }
    previous = name;
    bytes += name.size() + value.size();
    if (++count > kHeadersMax) {
      return Error{Code::invalid_argument, "more than " + std::to_string(kHeadersMax) + " headers"};
    }
  }
  if (bytes > kHeaderBytesMax) return too_long("the sum of the headers", kHeaderBytesMax);
  return {};
}

Result<void> check_backoff(const Backoff& backoff, const Limits& limits) {
  if (auto ok = check_duration("backoff.initial", backoff.initial, limits.delay_max); !ok)
    return ok;
  if (auto ok = check_duration("backoff.max", backoff.max, limits.delay_max); !ok) return ok;
  if (backoff.factor_permille < 1000 || backoff.factor_permille > 100'000) {
    return Error{Code::invalid_argument, "backoff.factor must be between 1 and 100"};
  }
  if (backoff.jitter_permille > 1000) {
    return Error{Code::invalid_argument, "backoff.jitter must be between 0 and 1"};
  }
  return {};
}

Result<void> check_times(const SpecView& spec, const Limits& limits) {
  if (auto ok = check_duration("delay", spec.delay, limits.delay_max); !ok) return ok;
  if (auto ok = check_duration("expires_in", spec.expires_in, limits.delay_max); !ok) return ok;
  if (auto ok = check_duration("timeout", spec.timeout, limits.delay_max); !ok) return ok;
  if (spec.not_before && spec.delay != Duration{0}) {
    return Error{Code::invalid_argument, "not_before and delay exclude each other"};
  }
  if (spec.expires_at && spec.expires_in != Duration{0}) {
    return Error{Code::invalid_argument, "expires_at and expires_in exclude each other"};
  }
  return check_backoff(spec.backoff, limits);
}

}  // namespace

void encode(const TaskSpec& spec, std::string& out) {
  const TaskSpec defaults;
  OptionalFields fields;
  if (!spec.type.empty()) fields.add(SpecField::type).text(spec.type);
  if (!spec.content_type.empty()) fields.add(SpecField::content_type).text(spec.content_type);
  if (spec.priority != defaults.priority) {
    fields.add(SpecField::priority).u64(static_cast<std::uint64_t>(spec.priority));
  }
  if (spec.not_before)
    fields.add(SpecField::not_before).i64(spec.not_before->time_since_epoch().count());
  if (spec.delay != Duration{0}) fields.add(SpecField::delay).i64(spec.delay.count());
  if (spec.expires_at)
    fields.add(SpecField::expires_at).i64(spec.expires_at->time_since_epoch().count());
  if (spec.expires_in != Duration{0})
    fields.add(SpecField::expires_in).i64(spec.expires_in.count());
  if (spec.timeout != Duration{0}) fields.add(SpecField::timeout).i64(spec.timeout.count());
  if (spec.max_attempts != defaults.max_attempts) {
    fields.add(SpecField::max_attempts).u64(spec.max_attempts);
  }
  if (spec.backoff != defaults.backoff) encode(spec.backoff, fields.add(SpecField::backoff));
  if (!spec.reply_to.empty()) fields.add(SpecField::reply_to).text(spec.reply_to);
  if (!spec.parent.empty()) fields.add(SpecField::parent).id(spec.parent);
  if (!spec.from.empty()) fields.add(SpecField::from).text(spec.from);
  if (!spec.headers.empty()) {
    Packer& headers = fields.add(SpecField::headers).map(spec.headers.size());
    for (const auto& [name, value] : spec.headers) headers.text(name).text(value);
  }
  Packer packer(out);
  packer.array(4).id(spec.id).text(spec.queue).bytes(spec.payload);
  fields.add_to(packer);
}

Result<SpecView> decode_spec(Unpacker& unpacker, std::string_view bytes) {
  Result<Fields> unpacked = unpacker.unpack(bytes);
  if (!unpacked) return malformed("encoding");
  Fields& fields = *unpacked;
  SpecView spec;
  spec.id = fields.id();
  spec.queue = fields.text();
  spec.payload = fields.bytes();
  Fields map = fields.map();
  if (fields.failed() || fields.more()) return malformed("id, queue or payload");

  std::uint64_t previous = 0;
  while (map.more()) {
    const std::uint64_t number = map.u64(UINT8_MAX);
    if (map.failed() || number <= previous) return malformed("order of field numbers");
    previous = number;
    if (!read_field(static_cast<SpecField>(number), map, spec)) {
      return Error{Code::unsupported, "this engine does not know field " + std::to_string(number) +
                                          " of a spec; is it older?"};
    }
    if (map.failed()) return malformed("field " + std::to_string(number));
  }
  if (map.failed()) return malformed("field numbers");
  return spec;
}

TaskSpec to_spec(const SpecView& view) {
  TaskSpec spec;
  spec.id = view.id;
  spec.queue = view.queue;
  spec.payload = view.payload;
  spec.type = view.type;
  spec.content_type = view.content_type;
  spec.priority = view.priority;
  spec.not_before = view.not_before;
  spec.delay = view.delay;
  spec.expires_at = view.expires_at;
  spec.expires_in = view.expires_in;
  spec.timeout = view.timeout;
  spec.max_attempts = view.max_attempts;
  spec.backoff = view.backoff;
  spec.reply_to = view.reply_to;
  spec.parent = view.parent;
  spec.from = view.from;
  for (Fields headers = view.headers; headers.more();) {
    const std::string_view name = headers.text();
    spec.headers.emplace(name, headers.text());
  }
  return spec;
}

Result<void> check(const SpecView& spec, const Limits& limits) {
  if (!spec.id.is_version_7()) {
    return Error{Code::invalid_argument, "id must be a UUID of version 7"};
  }
  if (auto ok = check_queue_name("queue", spec.queue); !ok) return ok;
  if (spec.payload.size() > limits.payload_bytes_max) {
    return Error{Code::payload_too_large, "the payload has " + std::to_string(spec.payload.size()) +
                                              " bytes, the limit is " +
                                              std::to_string(limits.payload_bytes_max)};
  }
  if (auto ok = check_text("type", spec.type); !ok) return ok;
  if (auto ok = check_text("content_type", spec.content_type); !ok) return ok;
  if (auto ok = check_text("from", spec.from); !ok) return ok;
  if (!spec.reply_to.empty()) {
    if (auto ok = check_queue_name("reply_to", spec.reply_to); !ok) return ok;
  }
  if (spec.max_attempts < 1 || spec.max_attempts > limits.attempts_max) {
    return Error{Code::invalid_argument,
                 "max_attempts must be between 1 and " + std::to_string(limits.attempts_max)};
  }
  if (auto ok = check_times(spec, limits); !ok) return ok;
  return check_headers(spec.headers);
}

bool is_queue_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= kQueueNameBytesMax &&
         std::all_of(name.begin(), name.end(), allowed);
}

bool is_plain_text(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const auto lead = static_cast<unsigned char>(text[at]);
    if (lead < 0x20 || lead == 0x7f) return false;
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (lead >= 0x80 && (lead < 0xc2 || lead > 0xf4)) return false;
    if (at + length > text.size()) return false;
    std::uint32_t point = length == 1 ? lead : lead & (0xffu >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
      const auto next = static_cast<unsigned char>(text[at + i]);
      if ((next & 0xc0) != 0x80) return false;
      point = point << 6 | (next & 0x3fu);
    }
    // Overlong forms, surrogates and what is beyond Unicode.
    if ((length == 3 && point < 0x800) || (length == 4 && point < 0x10000) || point > 0x10ffff ||
        (point >= 0xd800 && point <= 0xdfff)) {
      return false;
    }
    at += length;
  }
  return true;
}

std::uint64_t digest_of(std::string_view encoded) {
  return XXH3_64bits(encoded.data(), encoded.size());
}

}  // namespace jack

#include "engine/format/entry.h"

#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "engine/format/pack.h"

namespace jack {
namespace {

// A msgpack integer of fixed width: one byte that says so, and eight of value.
constexpr std::size_t kChecksumBytes = 9;

std::string_view view(const Id128& id) {
  return {reinterpret_cast<const char*>(id.data()), id.size()};
}

Id128 read_id(Fields& fields) {
  Id128 id{};
  const std::string_view bytes = fields.bytes();
  if (bytes.size() == id.size()) {
    std::memcpy(id.data(), bytes.data(), id.size());
  } else {
    fields.fail();
  }
  return id;
}

bool checksum_matches(std::string_view bytes) {
  if (bytes.size() <= kChecksumBytes) return false;
  const std::string_view content = bytes.substr(0, bytes.size() - kChecksumBytes);
  std::string expected;
  Packer(expected).fixed_u64(XXH3_64bits(content.data(), content.size()));
  return bytes.substr(content.size()) == expected;
}

}  // namespace

std::string EntryBuilder::entry(const EntryHeader& header) const {
  std::string bytes;
  bytes.reserve(commands_.size() + kEntryFrameBytesMax);
  Packer packer(bytes);
  packer.array(8).u64(kEntryFormat).u64(header.epoch);
  packer.bytes(view(header.engine)).bytes(view(header.incarnation));
  packer.u64(header.number).i64(header.time.ms);
  packer.array(count_).packed(commands_);
  packer.fixed_u64(XXH3_64bits(bytes.data(), bytes.size()));
  return bytes;
}

std::string EntryBuilder::close(const EntryHeader& header) {
  std::string bytes = entry(header);
  commands_.clear();
  count_ = 0;
  return bytes;
}

Result<EntryView> decode_entry(Unpacker& unpacker, std::string_view bytes) {
  const Error damaged{Code::corruption, "a journal entry is damaged"};
  if (!checksum_matches(bytes)) return damaged;
  // Our own bytes by the checksum, so short commands may stand as dense as they do.
  Result<Fields> fields = unpacker.unpack(bytes, bytes.size());
  if (!fields) return damaged;

  EntryView entry;
  const std::uint64_t format = fields->u64();
  if (!fields->failed() && format > kEntryFormat) {
    return Error{Code::unsupported, "a journal entry has format " + std::to_string(format) +
                                        ", this engine reads up to " +
                                        std::to_string(kEntryFormat) + "; use a newer version"};
  }
  entry.header.epoch = fields->u64(UINT16_MAX);
  entry.header.engine = read_id(*fields);
  entry.header.incarnation = read_id(*fields);
  entry.header.number = fields->u64();
  entry.header.time = Instant{fields->i64()};
  entry.commands = fields->array();
  if (fields->failed()) return damaged;
  return entry;
}

std::uint64_t chain_digest(std::uint64_t before, std::string_view entry) {
  return XXH3_64bits_withSeed(entry.data(), entry.size(), before);
}

}  // namespace jack

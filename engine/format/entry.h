// Entries: the batches of commands that engines append to the journal.
//
//   [format, epoch, engine bin16, incarnation bin16, number, time, [command, …], checksum]
//
// `number` counts the entries of one incarnation from 1. `time` is journal time in milliseconds,
// as the engine proposes it. The checksum is XXH3 (64 bits, seed 0) of all bytes before it, written
// as a fixed 9-byte msgpack integer.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include <jack_engine/error.h>
#include <jack_engine/time.h>

#include "engine/format/unpack.h"

namespace jack {

inline constexpr std::uint64_t kEntryFormat = 1;

// What an entry has besides its commands is less than this.
inline constexpr std::size_t kEntryFrameBytesMax = 128;

// 128 random bits that name an engine for ever, or one of its incarnations.
using Id128 = std::array<std::uint8_t, 16>;

struct EntryHeader {
  std::uint64_t epoch = 1;  // at most 65,535: lease tokens begin with it
  Id128 engine{};
  Id128 incarnation{};
  std::uint64_t number = 0;
  Instant time;
};

// A decoded entry. Views into its bytes; valid until the Unpacker's next use.
struct EntryView {
  EntryHeader header;
  Fields commands;  // arrays, for decode_command()
};

// Collects encoded commands and closes them into entries.
class EntryBuilder {
 public:
  bool empty() const { return count_ == 0; }
  std::size_t bytes() const { return commands_.size(); }
  std::uint32_t count() const { return count_; }

  template <typename C>
  void add(const C& command) {
    encode(command, commands_);
    ++count_;
  }

  // Commands encoded before, to leave some of them out or to repeat them in another entry.
  std::string_view encoded() const { return commands_; }
  void add_encoded(std::string_view commands, std::uint32_t count) {
    commands_ += commands;
    count_ += count;
  }

  // Forgets what was added beyond these first commands.
  void cut_to(std::size_t bytes, std::uint32_t count) {
    commands_.resize(bytes);
    count_ = count;
  }

  // The entry of all commands added so far. The builder keeps them.
  std::string entry(const EntryHeader& header) const;

  // The same; the builder is empty after it.
  std::string close(const EntryHeader& header);

 private:
  std::string commands_;
  std::uint32_t count_ = 0;
};

// Errors: corruption   the checksum or the framing is wrong: these are not the bytes written
//         unsupported  a newer format
Result<EntryView> decode_entry(Unpacker& unpacker, std::string_view bytes);

// The digest of a journal up to and with an entry, from the digest before it.
std::uint64_t chain_digest(std::uint64_t before, std::string_view entry);

}  // namespace jack

// Journal entries and their commands. The bytes stand for the commands, too: by the checksum of an
// entry alone nothing would get that far.
#include "engine/format/command.h"
#include "engine/format/entry.h"
#include "tests/fuzz/target.h"

namespace jack {
namespace {

void decode_all(std::string_view bytes) {
  Unpacker unpacker;
  Result<EntryView> entry = decode_entry(unpacker, bytes);
  if (!entry) return;
  while (entry->commands.more()) {
    const Fields fields = entry->commands.array();
    if (entry->commands.failed()) return;
    static_cast<void>(decode_command(fields, Limits{}).has_value());
  }
}

}  // namespace

void fuzz(std::string_view bytes) {
  decode_all(bytes);
  if (bytes.empty()) return;
  EntryBuilder builder;
  builder.add_encoded(bytes.substr(1), static_cast<unsigned char>(bytes.front()) % 16u);
  decode_all(builder.close(EntryHeader{}));
}

}  // namespace jack

#include "engine/front/event_log.h"

#include <algorithm>
#include <optional>

#include "engine/format/pack.h"

namespace jack {
namespace {

// A msgpack integer of fixed width: one byte that says so, and eight of value.
constexpr std::size_t kHeadBytes = 9;

std::string blob_head(std::uint64_t last_entry) {
  std::string head;
  Packer(head).fixed_u64(last_entry);
  return head;
}

// Takes the number of the last entry off the front of `blob`.
std::optional<std::uint64_t> take_blob_head(std::string_view& blob) {
  if (blob.size() < kHeadBytes || static_cast<std::uint8_t>(blob[0]) != 0xcf) return std::nullopt;
  std::uint64_t last_entry = 0;
  for (std::size_t i = 1; i < kHeadBytes; ++i) {
    last_entry = last_entry << 8 | static_cast<std::uint8_t>(blob[i]);
  }
  blob.remove_prefix(kHeadBytes);
  return last_entry;
}

// Reads the head of a msgpack bin at the front of `blob` and takes it off; the size of its content,
// or nothing where it is none.
std::optional<std::size_t> take_bin_head(std::string_view& blob) {
  const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(blob[at]); };
  const std::size_t width = blob.empty()      ? 0
                            : byte(0) == 0xc4 ? 1
                            : byte(0) == 0xc5 ? 2
                            : byte(0) == 0xc6 ? 4
                                              : 0;
  if (width == 0 || blob.size() < 1 + width) return std::nullopt;
  std::size_t size = 0;
  for (std::size_t i = 1; i <= width; ++i) size = size << 8 | byte(i);
  blob.remove_prefix(1 + width);
  if (size > blob.size()) return std::nullopt;
  return size;
}

}  // namespace

Result<void> read_blob(std::string_view blob, const EventFilter& filter, std::size_t bytes_max,
                       EventPart& part) {
  const Error damaged{Code::corruption, "a stored event is damaged"};
  const std::optional<std::uint64_t> last_entry = take_blob_head(blob);
  if (!last_entry) return damaged;
  // Also where this one has no events: what comes before it has not all been looked at.
  if (part.bytes >= bytes_max) return {};
  Unpacker unpacker;
  while (!blob.empty()) {
    if (part.bytes >= bytes_max) return {};
    const std::optional<std::size_t> size = take_bin_head(blob);
    if (!size) return damaged;
    const std::string_view bytes = blob.substr(0, *size);
    blob.remove_prefix(*size);
    const Result<EventView> event = decode_event(unpacker, bytes);
    if (!event) return damaged;
    if (event->position <= part.last) continue;
    part.last = event->position;
    if (!filter.matches(*event)) continue;
    part.events.push_back(bytes);
    part.bytes += bytes.size();
  }
  part.last = std::max(part.last, {*last_entry, UINT32_MAX});
  return {};
}

EventLog::Segment::Segment(std::uint64_t first_entry) : first(first_entry), blob(blob_head(0)) {}

void EventLog::begin_after(std::uint64_t entry) {
  last_entry_ = entry;
  segments_.clear();
  segments_.emplace_back(entry + 1);
}

void EventLog::add(std::uint64_t entry, const std::vector<EventView>& events) {
  last_entry_ = entry;
  Segment& segment = segments_.back();
  for (const EventView& event : events) {
    scratch_.clear();
    encode(event, scratch_);
    Packer(segment.blob).bytes(scratch_);
    const std::size_t offset = segment.blob.size() - scratch_.size();
    segment.items.push_back({event.position, event.task, static_cast<std::uint32_t>(offset),
                             static_cast<std::uint32_t>(scratch_.size())});
  }
}

void EventLog::read(const EventFilter& filter, std::size_t bytes_max, EventPart& part) const {
  Unpacker unpacker;
  for (const Segment& segment : segments_) {
    if (segment.items.empty() || segment.items.back().position <= part.last) continue;
    const auto behind = [](const Position& at, const Item& item) { return at < item.position; };
    auto item = std::upper_bound(segment.items.begin(), segment.items.end(), part.last, behind);
    for (; item != segment.items.end(); ++item) {
      if (part.bytes >= bytes_max) return;
      part.last = item->position;
      if (!filter.task.empty() && item->task != filter.task) continue;
      const std::string_view bytes =
          std::string_view(segment.blob).substr(item->offset, item->size);
      const bool by_queue = !filter.queue.empty() || filter.rights != nullptr;
      if (by_queue && !filter.matches(*decode_event(unpacker, bytes))) continue;
      part.events.push_back(bytes);
      part.bytes += bytes.size();
    }
  }
  part.last = std::max(part.last, end());
  part.at_end = true;
}

EventLog::Cut EventLog::cut() {
  Segment& segment = segments_.back();
  segment.blob.replace(0, kHeadBytes, blob_head(last_entry_));
  Cut cut{segment.blob, segment.first};
  segments_.emplace_back(last_entry_ + 1);
  return cut;
}

void EventLog::flushed() {
  std::size_t kept = 0;
  for (std::size_t i = segments_.size() - 1; i-- > 0;) {
    kept += segments_[i].blob.size();
    if (kept <= kKeptBytes) continue;
    segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    return;
  }
}

}  // namespace jack

#include "transports/memory/memory_transport.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/assert.h"

namespace jack {

void MemoryJournal::fail_next_append(AppendFault fault) {
  JACK_ASSERT(!(fault.certain && fault.written));
  const std::lock_guard lock(mutex_);
  faults_.push_back(std::move(fault));
}

void MemoryJournal::hold_appends() {
  const std::lock_guard lock(mutex_);
  hold_ = true;
}

void MemoryJournal::release_appends() {
  const std::lock_guard lock(mutex_);
  hold_ = false;
  for (const std::shared_ptr<Append>& append : held_) settle(*append);
  held_.clear();
}

void MemoryJournal::lose_tail(Index index) {
  const std::lock_guard lock(mutex_);
  while (!entries_.empty() && entries_.back().index > index) entries_.pop_back();
  last_ = std::min(last_, index);
}

void MemoryJournal::trim(Index index) {
  const std::lock_guard lock(mutex_);
  while (!entries_.empty() && entries_.front().index <= index) entries_.pop_front();
}

Index MemoryJournal::first() const {
  const std::lock_guard lock(mutex_);
  return entries_.empty() ? last_ + 1 : entries_.front().index;
}

Index MemoryJournal::last() const {
  const std::lock_guard lock(mutex_);
  return last_;
}

std::optional<std::vector<JournalEntry>> MemoryJournal::read(Index after) const {
  const std::lock_guard lock(mutex_);
  const Index first = entries_.empty() ? last_ + 1 : entries_.front().index;
  if (after + 1 < first) return std::nullopt;
  std::vector<JournalEntry> entries;
  const auto skipped = static_cast<std::ptrdiff_t>(std::min(after + 1 - first, last_ + 1 - first));
  std::copy(entries_.begin() + skipped, entries_.end(), std::back_inserter(entries));
  return entries;
}

void MemoryJournal::append(const std::shared_ptr<Append>& append) {
  const std::lock_guard lock(mutex_);
  if (hold_) {
    held_.push_back(append);
  } else {
    settle(*append);
  }
}

std::optional<AppendFate> MemoryJournal::fate_of(const Append& append) const {
  const std::lock_guard lock(mutex_);
  return append.fate;
}

void MemoryJournal::settle(Append& append) {
  append.fate.emplace();
  bool written = true;
  if (!faults_.empty()) {
    const AppendFault fault = std::move(faults_.front());
    faults_.pop_front();
    append.fate->result = fault.error;
    append.fate->certain = fault.certain;
    written = fault.written;
  }
  if (written) entries_.push_back({++last_, append.entry});
}

MemoryTransport::MemoryTransport(std::shared_ptr<MemoryJournal> journal)
    : journal_(std::move(journal)), read_(journal_->last()) {}

Result<void> MemoryTransport::read_from(Index after) {
  const Index first = journal_->first();
  if (after + 1 < first) {
    return Error{Code::position_gone, "the journal begins with entry " + std::to_string(first) +
                                          ", those after " + std::to_string(after) +
                                          " have been trimmed"};
  }
  read_ = after;
  return {};
}

AppendTicket MemoryTransport::append(Buffer entry) {
  JACK_ASSERT(under_way_ == nullptr);
  JACK_ASSERT(entry->size() <= capabilities().entry_bytes_max);
  under_way_ = std::make_shared<MemoryJournal::Append>();
  under_way_->entry = std::move(entry);
  journal_->append(under_way_);
  return ++last_ticket_;
}

void MemoryTransport::poll(Polled& out) {
  // The fate first: its entry is then among those read below.
  std::optional<AppendFate> fate;
  if (under_way_ != nullptr) fate = journal_->fate_of(*under_way_);

  if (std::optional<std::vector<JournalEntry>> entries = journal_->read(read_)) {
    if (!entries->empty()) read_ = entries->back().index;
    std::move(entries->begin(), entries->end(), std::back_inserter(out.entries));
  } else {
    out.failed = Error{Code::position_gone, "entries were trimmed before they were read"};
  }
  if (!fate) return;
  fate->ticket = last_ticket_;
  out.fates.push_back(std::move(*fate));
  under_way_.reset();
}

Capabilities MemoryTransport::capabilities() const { return {.shared = true}; }

std::string MemoryTransport::guarantee() const {
  return "what was accepted is in this process's memory only and ends with it";
}

}  // namespace jack

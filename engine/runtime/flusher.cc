#include "engine/runtime/flusher.h"

#include <algorithm>
#include <utility>

namespace jack {
namespace {

constexpr std::size_t kFlushTasks = 40'000;
constexpr std::size_t kFlushBytes = 32u << 20;
constexpr Duration kFlushAfter{1000};

// Unflushed changes beyond which new tasks and output wait. As much again may be in the flush under
// way.
constexpr std::size_t kBehindTasks = 100'000;
constexpr std::size_t kBehindBytes = 64u << 20;

constexpr Duration kTryAgainAfter{1000};

}  // namespace

void Flusher::on_applied(SteadyTime now) {
  if (!changed_at_) changed_at_ = now;
}

Result<void> Flusher::work(SteadyTime now) {
  if (failed_) return {};
  if (under_way_) {
    if (Result<void> taken = take_result(now); !taken) return taken;
  }
  if (flush_ != nullptr) {
    if (!under_way_ && try_at_ <= now) {
      under_way_ = true;
      store_.begin_flush(flush_);
    }
    return {};
  }
  if (!is_due(now)) return {};
  EventLog::Cut cut = events_.cut();
  flush_ = state_.cut(std::move(cut.blob), cut.first);
  changed_at_.reset();
  cut_at_ = now;
  under_way_ = true;
  store_.begin_flush(flush_);
  return {};
}

Result<void> Flusher::take_result(SteadyTime now) {
  const std::optional<Result<void>> result = store_.flushed();
  if (!result) return {};
  under_way_ = false;
  if (!*result) {
    const Code code = result->error().code;
    failed_ = code != Code::storage_full && code != Code::unavailable;
    if (failed_) return result->error();
    full_ = code == Code::storage_full;
    try_at_ = now + kTryAgainAfter;
    return {};
  }
  full_ = false;
  flushed_ = flush_->index;
  flush_.reset();
  state_.flushed();
  events_.flushed();
  if (!keep_journal_) {
    const bool shared = transport_.capabilities().shared;
    transport_.trim(shared ? std::min(flushed_, state_.flushed_by_all()) : flushed_);
  }
  return {};
}

std::optional<SteadyTime> Flusher::waiting_since() const {
  return flush_ == nullptr ? std::nullopt : std::optional(cut_at_);
}

// Events may be more than the entries that they came from, and are one row of each flush.
std::size_t Flusher::unflushed_bytes() const {
  return std::max(state_.unflushed_bytes(), events_.uncut_bytes());
}

bool Flusher::is_due(SteadyTime now) const {
  if (!changed_at_) return false;
  return wanted_ > flushed_ || *changed_at_ + kFlushAfter <= now ||
         state_.unflushed_tasks() >= kFlushTasks || unflushed_bytes() >= kFlushBytes;
}

bool Flusher::is_behind() const {
  return flush_ != nullptr &&
         (state_.unflushed_tasks() >= kBehindTasks || unflushed_bytes() >= kBehindBytes);
}

SteadyTime Flusher::next_deadline() const {
  if (failed_) return kNoDeadline;
  if (flush_ != nullptr) return under_way_ ? kNoDeadline : try_at_;
  return changed_at_ ? *changed_at_ + kFlushAfter : kNoDeadline;
}

}  // namespace jack

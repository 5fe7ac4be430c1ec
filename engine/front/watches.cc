// Watchers: what they see, from which position on, as fast as they take it.
#include <algorithm>
#include <utility>

#include "engine/front/front.h"

namespace jack {
namespace {

// What one `events` message holds at most, but for a larger event.
constexpr std::size_t kEventsBytesMax = 64u << 10;
constexpr std::uint32_t kWatchCreditMax = 1000;

}  // namespace

void Front::on(const Now& now, Session& session, const wire::Watch& message, Output& out) {
  if (!message.queue.empty() && !is_queue_name(message.queue)) {
    refuse(session.id, message.correlation, {Code::invalid_argument, kQueueNameRule}, out);
    return;
  }
  if (message.after && message.after->entry > events_.end().entry) {
    refuse(session.id, message.correlation,
           {Code::position_gone, "the history has not come to entry " +
                                     std::to_string(message.after->entry) +
                                     ": this position is of another journal"},
           out);
    return;
  }
  drop_watch(session, message.correlation);  // the same again begins anew
  if (session.watches.size() >= limits_.watches_per_session_max) {
    refuse(session.id, message.correlation,
           {Code::rate_limited,
            "a session may have " + std::to_string(limits_.watches_per_session_max) + " watches"},
           out);
    return;
  }
  auto watch = std::make_unique<Watch>();
  watch->session = &session;
  watch->correlation = message.correlation;
  watch->filter = {message.task, std::string(message.queue)};
  watch->after = message.after.value_or(events_.end());
  watch->credit = std::min(message.credit, kWatchCreditMax);
  // Says from where on it looks, so that a watcher which is cut off before the first event misses
  // nothing. It takes no credit.
  EventPart nothing;
  nothing.last = watch->after;
  if (!message.after) send_events(now, *watch, nothing, out);
  if (watch->credit > 0) hungry_watches_.push_back(watch.get());
  session.watches.push_back(std::move(watch));
  ++watch_count_;
}

void Front::on(const Now&, Session& session, const wire::Grant& message, Output&) {
  Watch* watch = session.watch(message.watch);
  if (watch == nullptr) return;
  if (watch->credit == 0 && message.credit > 0) hungry_watches_.push_back(watch);
  watch->credit =
      std::min(watch->credit + std::min(message.credit, kWatchCreditMax), kWatchCreditMax);
}

void Front::on(const Now&, Session& session, const wire::Unwatch& message, Output&) {
  drop_watch(session, message.watch);
}

void Front::drop_watch(Session& session, Correlation correlation) {
  Watch* watch = session.watch(correlation);
  if (watch == nullptr) return;
  std::erase(hungry_watches_, watch);
  std::erase_if(session.watches, [&](const auto& other) { return other.get() == watch; });
  --watch_count_;
}

void Front::serve_watches(const Now& now, Output& out) {
  for (Watch* watch : hungry_watches_) serve(now, *watch, out);
  std::erase_if(hungry_watches_, [](const Watch* watch) { return watch->credit == 0; });
}

void Front::serve(const Now& now, Watch& watch, Output& out) {
  while (watch.credit > 0 && !watch.reading && watch.after < events_.end()) {
    const Position stored_end{events_.first_entry() - 1, UINT32_MAX};
    if (watch.after < stored_end) {
      watch.reading = true;
      out.reads.push_back({watch.session->id, watch.correlation, ReadEvents{watch.after}});
      return;
    }
    EventPart part;
    part.last = watch.after;
    events_.read(watch.filter, kEventsBytesMax, part);
    watch.after = part.last;
    if (part.events.empty()) return;
    --watch.credit;
    send_events(now, watch, part, out);
  }
}

void Front::send_events(const Now& now, Watch& watch, const EventPart& part, Output& out) {
  out.send(watch.session->id, wire::Events{.correlation = watch.correlation,
                                           .events = part.events,
                                           .last = part.last,
                                           .wall_offset = now.wall_offset});
}

void Front::on_stored_events(const Now& now, SessionId id, Correlation correlation,
                             const Result<std::vector<std::string>>& blobs, Output& out) {
  Session* session = sessions_.find(id);
  Watch* watch = session == nullptr ? nullptr : session->watch(correlation);
  if (watch == nullptr || !watch->reading) return;
  watch->reading = false;
  if (!blobs) {
    refuse(id, correlation, blobs.error(), out);
    drop_watch(*session, correlation);
    return;
  }
  EventPart part;
  part.last = watch->after;
  for (const std::string& blob : *blobs) {
    if (const Result<void> read = read_blob(blob, watch->filter, kEventsBytesMax, part); !read) {
      refuse(id, correlation, read.error(), out);
      drop_watch(*session, correlation);
      return;
    }
  }
  // Where nothing stored lies behind it, the log has the rest.
  const Position stored_end{events_.first_entry() - 1, UINT32_MAX};
  watch->after = blobs->empty() ? std::max(watch->after, stored_end) : part.last;
  if (part.events.empty()) return;
  --watch->credit;
  send_events(now, *watch, part, out);
}

}  // namespace jack

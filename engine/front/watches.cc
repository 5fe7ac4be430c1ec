// Watchers: what they see, from which position on, as fast as they take it.
#include <algorithm>
#include <utility>

#include "engine/front/front.h"

namespace jack {
namespace {

// What one `events` message holds at most, but for a larger event.
constexpr std::size_t kEventsBytesMax = 64u << 10;
constexpr std::uint32_t kWatchCreditMax = 1000;

// The end of what lies before an event.
Position before(const Position& at) {
  if (at.ordinal > 0) return {at.entry, at.ordinal - 1};
  return {at.entry - 1, UINT32_MAX};
}

}  // namespace

Watches::List& Watches::list_of(const EventFilter& filter) {
  if (!filter.task.empty()) return by_task_[filter.task];
  return filter.queue.empty() ? of_all_ : by_queue_[filter.queue];
}

void Watches::add(Watch& watch) {
  list_of(watch.filter).push_back(&watch);
  ++size_;
  wake(watch);
}

void Watches::erase(Watch& watch) {
  List& list = list_of(watch.filter);
  std::erase(list, &watch);
  if (list.empty() && !watch.filter.task.empty()) {
    by_task_.erase(watch.filter.task);
  } else if (list.empty() && !watch.filter.queue.empty()) {
    by_queue_.erase(watch.filter.queue);
  }
  std::erase(to_serve_, &watch);
  --size_;
}

void Watches::on_event(const EventView& event) {
  notice(of_all_, event);
  if (const auto list = by_task_.find(event.task); list != by_task_.end()) {
    notice(list->second, event);
  }
  if (const auto list = by_queue_.find(event.queue); list != by_queue_.end()) {
    notice(list->second, event);
  }
}

void Watches::notice(const List& watches, const EventView& event) {
  for (Watch* watch : watches) {
    if (!watch->has_seen_all || !watch->filter.matches(event)) continue;
    watch->has_seen_all = false;
    watch->after = before(event.position);
    wake(*watch);
  }
}

void Watches::wake(Watch& watch) {
  if (watch.is_to_be_served || watch.has_seen_all || watch.credit == 0) return;
  watch.is_to_be_served = true;
  to_serve_.push_back(&watch);
}

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
  if (session.is_remote() && session.watches.size() >= limits_.watches_per_session_max) {
    refuse(session.id, message.correlation,
           {Code::rate_limited,
            "a session may have " + std::to_string(limits_.watches_per_session_max) + " watches"},
           out);
    return;
  }
  auto watch = std::make_unique<Watch>();
  watch->session = &session;
  watch->correlation = message.correlation;
  watch->filter = {message.task, std::string(message.queue),
                   message.queue.empty() ? reader_of(session) : nullptr};
  watch->after = message.after.value_or(events_.end());
  watch->credit = std::min(message.credit, kWatchCreditMax);
  // Says from where on it looks, so that a watcher which is cut off before the first event misses
  // nothing. It takes no credit.
  EventPart nothing;
  nothing.last = watch->after;
  if (!message.after) send_events(now, *watch, nothing, out);
  watch->has_seen_all = watch->has_been_told = !message.after.has_value();
  watches_.add(*watch);
  session.watches.emplace(message.correlation, std::move(watch));
}

void Front::on(const Now&, Session& session, const wire::Grant& message, Output&) {
  Watch* watch = session.watch(message.watch);
  if (watch == nullptr) return;
  watch->credit =
      std::min(watch->credit + std::min(message.credit, kWatchCreditMax), kWatchCreditMax);
  watches_.wake(*watch);
}

void Front::on(const Now&, Session& session, const wire::Unwatch& message, Output&) {
  drop_watch(session, message.watch);
  waits_.drop(session, message.watch);
}

void Front::drop_watch(Session& session, Correlation correlation) {
  Watch* watch = session.watch(correlation);
  if (watch == nullptr) return;
  watches_.erase(*watch);
  session.watches.erase(correlation);
}

void Front::note_events(const Now& now, const std::vector<EventView>& events) {
  for (const EventView& event : events) {
    if (event.kind == EventKind::submitted || event.kind == EventKind::retried) {
      rates_.on_arrival(event.queue, now.steady);
    } else if (ends_task(event.kind)) {
      rates_.on_leaving(event.queue, now.steady);
    }
    if (watches_.size() > 0) watches_.on_event(event);
  }
}

void Front::serve_watches(const Now& now, Output& out) {
  watches_.serve([&](Watch& watch) { serve(now, watch, out); });
}

void Front::serve(const Now& now, Watch& watch, Output& out) {
  while (watch.credit > 0 && !watch.reading && !watch.has_seen_all) {
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
    watch.has_seen_all = part.at_end;
    if (part.events.empty()) {
      // Whoever resumed knows by this that its position is good. It takes no credit.
      if (!std::exchange(watch.has_been_told, true)) send_events(now, watch, part, out);
      return;
    }
    watch.has_been_told = true;
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
  watch->has_been_told = true;
  --watch->credit;
  send_events(now, *watch, part, out);
}

}  // namespace jack

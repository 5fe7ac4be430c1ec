#include "apps/work/until_empty.h"

#include <algorithm>
#include <utility>

#include "apps/engine_position.h"
#include "apps/work/pause.h"

namespace jack::app {
namespace {

// How long one call goes on, and so how soon it is noticed that nobody wants to know any more.
constexpr Duration kCallTime{1000};

ClientOptions with_little_patience(ClientOptions options) {
  options.patience = kCallTime;
  return options;
}

}  // namespace

EmptinessWatch::EmptinessWatch(const ClientOptions& engine, std::vector<std::string> queues,
                               std::function<void()> on_empty)
    : engine_(with_little_patience(engine)),
      queues_(std::move(queues)),
      on_empty_(std::move(on_empty)),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

EmptinessWatch::~EmptinessWatch() = default;

void EmptinessWatch::run(const std::stop_token& stop) {
  Result<Client> client = Client::connect(engine_);
  if (!client) return;  // the worker has heard the same
  std::optional<Position> after;
  while (!stop.stop_requested()) {
    const Result<bool> empty = look(*client, after, stop);
    if (empty && *empty) return on_empty_();
    if (empty) continue;
    // Nothing is known of the history behind the old position after an absence.
    after.reset();
    pause_before_asking_again(stop);
  }
}

// One look at the queues and, unless they are empty, a wait for what may change that.
Result<bool> EmptinessWatch::look(Client& client, std::optional<Position>& after,
                                  const std::stop_token& stop) {
  if (!after) {
    // Before the queues are looked at: what happens between the two is in the events behind it.
    const Result<Position> now = position_now(client);
    if (!now) return now.error();
    after = *now;
  }
  Result<bool> empty = is_empty(client);
  if (!empty || *empty) return empty;
  if (const Result<void> waited = wait_for_change(client, *after, stop); !waited) {
    return waited.error();
  }
  return false;
}

Result<bool> EmptinessWatch::is_empty(Client& client) {
  const Result<std::vector<QueueStatus>> all = client.queues();
  if (!all) return all.error();
  return std::ranges::none_of(*all, [this](const QueueStatus& queue) {
    return std::ranges::count(queues_, queue.name) > 0 && (queue.queued > 0 || queue.running > 0);
  });
}

// Returns without error when there was an event by which a queue may have become empty, or when it
// is to stop.
Result<void> EmptinessWatch::wait_for_change(Client& client, Position& after,
                                             const std::stop_token& stop) {
  bool changed = false;
  while (!changed && !stop.stop_requested()) {
    WatchOptions options;
    options.after = after;
    if (queues_.size() == 1) options.queue = queues_.front();
    const auto take = [&](const Event& event) {
      after = event.position;
      changed = may_empty(event);
      return !changed && !stop.stop_requested();
    };
    Result<void> watched = client.watch(options, take, kCallTime);
    const bool later = !watched && (watched.error().code == Code::timed_out ||
                                    watched.error().code == Code::unavailable);
    if (!watched && !later) return watched;
  }
  return {};
}

bool EmptinessWatch::may_empty(const Event& event) const {
  switch (event.kind) {
    case EventKind::attempt_failed:
    case EventKind::succeeded:
    case EventKind::failed:
    case EventKind::cancelled:
    case EventKind::expired:
    case EventKind::released: return std::ranges::count(queues_, event.queue) > 0;
    case EventKind::submitted:
    case EventKind::queued:
    case EventKind::started:
    case EventKind::progressed:
    case EventKind::output:
    case EventKind::retried:
    case EventKind::queue_paused:
    case EventKind::queue_resumed:
    case EventKind::annotated:
    case EventKind::removed: return false;
  }
  return false;
}

}  // namespace jack::app

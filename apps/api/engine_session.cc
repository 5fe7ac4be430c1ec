#include "apps/api/engine_session.h"

#include <utility>
#include <variant>
#include <vector>

#include "engine/runtime/attach.h"

namespace jack::api {
namespace {

using std::chrono::milliseconds;

// Well below the shortest lease, so that the session's subscriptions never look silent.
constexpr std::chrono::seconds kPingEvery{3};

const Error kStopped{Code::stopped, "the engine is stopping; try again when it is back"};
const Error kForgotten{Code::unavailable,
                       "the engine lost sight of this request, whose fate is unknown: repeat it"};
const Error kTooSlow{Code::unavailable,
                     "the engine has not answered in time, so the fate of this request is unknown"};

}  // namespace

Result<std::unique_ptr<EngineSession>> EngineSession::open(Engine& engine, std::string name,
                                                           std::string key, std::string answers) {
  Result<Link> link = Attach::link(engine, std::move(name), std::move(key), std::move(answers));
  if (!link) return std::move(link).error();
  return std::unique_ptr<EngineSession>(new EngineSession(*std::move(link)));
}

void EngineSession::send(wire::Correlation correlation, std::string frame, OnReply on_reply,
                         Terms terms) {
  const auto until =
      terms.patience.count() == 0 ? Clock::time_point::max() : Clock::now() + terms.patience;
  if (!greeted_) {
    before_greeting_.push_back(std::move(frame));
  } else if (!stopped_) {
    link_.send(std::move(frame));  // where it cannot be, on_time() or the engine's end tells
  }
  pending_.emplace(correlation, Pending{std::move(on_reply), until, terms.is_watch});
  want_poll();
}

// What was sent may already be answered when the descriptor is looked at, which tells only of
// changes.
void EngineSession::want_poll() {
  if (!std::exchange(poll_wanted_, true) && wants_poll) wants_poll();
}

void EngineSession::poll() {
  poll_wanted_ = false;
  if (refused_) return;  // what comes behind it would begin the session anew
  for (;;) {
    switch (link_.wait(milliseconds{0})) {
      case Link::News::nothing: return;
      case Link::News::reply: on_reply(); break;
      case Link::News::renewed:
        if (!std::exchange(greeted_, true)) {
          for (std::string& frame : std::exchange(before_greeting_, {})) {
            link_.send(std::move(frame));
          }
          break;
        }
        fail_all(kForgotten);
        if (on_renewed) on_renewed();
        break;
      case Link::News::refused:
        refused_ = true;
        fail_all(link_.refusal());
        if (on_refused) on_refused();
        return;
      case Link::News::closed:
        stopped_ = true;
        fail_all(kStopped);
        return;
      case Link::News::lost:
      case Link::News::woken: break;
    }
  }
}

void EngineSession::on_reply() {
  wire::Reply& reply = link_.reply();
  if (const auto* deliver = std::get_if<wire::Deliver>(&reply)) {
    if (on_deliver) on_deliver(*deliver);
    return;
  }
  if (const auto* ended = std::get_if<wire::Ended>(&reply)) {
    if (on_ended) on_ended(*ended);
    return;
  }
  const auto found = pending_.find(correlation_of(reply));
  if (found == pending_.end()) return;
  if (const auto* refused = std::get_if<wire::Refused>(&reply)) {
    fail(found->first, {refused->code, std::string(refused->message)});
    return;
  }
  if (found->second.is_watch) {
    // It may end itself by what it does with them.
    const OnReply on_events = found->second.on_reply;
    on_events(std::move(reply));
    return;
  }
  const OnReply on_reply = std::move(found->second.on_reply);
  pending_.erase(found);
  on_reply(std::move(reply));
}

void EngineSession::on_time() {
  const Clock::time_point now = Clock::now();
  if (now - pinged_ >= kPingEvery) {
    pinged_ = now;
    say(wire::Ping{});
  }
  std::vector<wire::Correlation> late;
  for (const auto& [correlation, pending] : pending_) {
    if (pending.until <= now) late.push_back(correlation);
  }
  for (const wire::Correlation correlation : late)
    fail(correlation, stopped_ ? kStopped : kTooSlow);
  if (stopped_) fail_all(kStopped);
}

void EngineSession::end(wire::Correlation correlation) {
  if (pending_.erase(correlation) > 0) say(wire::Unwatch{0, correlation});
}

void EngineSession::fail(wire::Correlation correlation, const Error& error) {
  const auto found = pending_.find(correlation);
  if (found == pending_.end()) return;
  const OnReply on_reply = std::move(found->second.on_reply);
  pending_.erase(found);
  on_reply(error);
}

void EngineSession::refuse_all(const Error& error) {
  for (auto& [correlation, pending] : std::exchange(pending_, {})) {
    if (pending.is_watch) say(wire::Unwatch{0, correlation});
    pending.on_reply(error);
  }
}

void EngineSession::fail_all(const Error& error) {
  for (auto& [correlation, pending] : std::exchange(pending_, {})) pending.on_reply(error);
}

}  // namespace jack::api

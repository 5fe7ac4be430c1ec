// Client::watch(): events in order, over reconnects.
#include <algorithm>
#include <charconv>
#include <utility>
#include <variant>

#include "engine/format/status.h"
#include "engine/runtime/client_impl.h"
#include "engine/runtime/replies.h"

namespace jack {
namespace {

using std::chrono::milliseconds;

// Messages of events that an engine may send before it hears from the watcher again.
constexpr std::uint32_t kWatchCredit = 16;

}  // namespace

// A watch in progress: keeps other calls out, and tells the engine when it is over.
class Client::Impl::Watching {
 public:
  Watching(Impl& impl, const WatchOptions& options) : impl_(impl), options_(options) {
    impl_.watching_ = true;
  }
  ~Watching() {
    if (impl_.link_.ready()) impl_.link_.say(wire::Unwatch{0, watch_});
    impl_.watching_ = false;
  }
  Watching(const Watching&) = delete;
  Watching& operator=(const Watching&) = delete;

  // Asks for events: the first time, and behind what has been seen after a reconnect.
  bool ask() {
    Link& link = impl_.link_;
    watch_ = link.next_correlation();
    if (!options_.after) {
      // Where the journal stands, so that a reconnect before the first event leaves no gap.
      info_ = link.next_correlation();
      if (!link.say(wire::Info{info_})) return false;
    }
    wire::Watch request;
    request.correlation = watch_;
    request.task = options_.task;
    request.queue = options_.queue;
    request.after = options_.after;
    request.credit = kWatchCredit;
    return link.say(request);
  }

  // A refusal that names no request could be of this one.
  bool is_mine(const wire::Reply& reply) const {
    const wire::Correlation of = correlation_of(reply);
    return of == watch_ || (of == 0 && std::holds_alternative<wire::Refused>(reply));
  }

  void take_note_of(const wire::Reply& reply) {
    const auto* info = std::get_if<wire::EngineInfo>(&reply);
    if (info == nullptr || info->correlation != info_) return;
    for (const auto& [name, value] : info->facts) {
      std::uint64_t entry = 0;
      if (name != "entry" || options_.after) continue;
      if (std::from_chars(value.data(), value.data() + value.size(), entry).ec == std::errc()) {
        options_.after = Position{entry, UINT32_MAX};
      }
    }
  }

  // The events of one message, as their own copies. Makes room for another message.
  Result<std::vector<Event>> take(const wire::Events& message) {
    Result<std::vector<Event>> events = to_events(message);
    if (!events) return events;
    options_.after = message.last;
    impl_.link_.say(wire::Grant{0, watch_, 1});
    return events;
  }

 private:
  Impl& impl_;
  WatchOptions options_;  // `after` moves on
  wire::Correlation watch_ = 0;
  wire::Correlation info_ = 0;
};

Result<void> Client::Impl::watch(const WatchOptions& options,
                                 const std::function<bool(const Event&)>& on_event,
                                 Duration idle_timeout) {
  if (watching_) return Error{Code::failed_precondition, "this client is watching already"};
  Watching watching(*this, options);
  Patience patience(patience_, SteadyClock::now());
  const bool for_ever = idle_timeout <= Duration{0};
  idle_timeout = std::min(idle_timeout, kClientWaitMax);
  SteadyClock::time_point idle_end = SteadyClock::now() + idle_timeout;
  SteadyClock::time_point next_try{};
  bool asked = false;
  for (;;) {
    SteadyClock::time_point now = SteadyClock::now();
    if (!asked && link_.ready() && now >= next_try) asked = watching.ask();
    const auto idle_left = std::chrono::ceil<milliseconds>(idle_end - now);
    const milliseconds most = asked ? milliseconds::max() : milliseconds{100};
    const Link::News news =
        link_.wait(patience.pause(now, for_ever ? most : std::min(most, idle_left)));
    now = SteadyClock::now();
    if (news == Link::News::closed) return Error{Code::stopped, "the engine has been stopped"};
    if (news == Link::News::lost || news == Link::News::renewed) asked = false;
    if (news == Link::News::lost) patience.renew(now);
    if (news == Link::News::refused && !passes(link_.refusal().code)) return link_.refusal();
    if (news == Link::News::reply) {
      const wire::Reply& reply = link_.reply();
      const auto* refused = std::get_if<wire::Refused>(&reply);
      if (refused == nullptr || !passes(refused->code)) patience.renew(now);
      watching.take_note_of(reply);
      if (!watching.is_mine(reply)) continue;
      if (refused != nullptr) {
        if (link_.in_process() || !passes(refused->code)) return to_error(*refused);
        asked = false;
        next_try = now + some_time();
      } else if (const auto* message = std::get_if<wire::Events>(&reply)) {
        Result<std::vector<Event>> events = watching.take(*message);
        if (!events) return std::move(events).error();
        for (const Event& event : *events) {
          if (!on_event(event)) return {};
        }
        if (!events->empty()) idle_end = SteadyClock::now() + idle_timeout;
        patience.renew(SteadyClock::now());  // the callback may have taken its time
      }
      continue;
    }
    if (!for_ever && now >= idle_end) {
      return Error{Code::timed_out,
                   "nothing happened for " + std::to_string(idle_timeout.count()) + " ms"};
    }
    if (patience.over(now)) return link_.unreachable();
    if (patience.ping_is_due(now)) patience.pinged(now, say_ping());
  }
}

}  // namespace jack

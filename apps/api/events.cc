// Server-sent events: what happens, as it happens
// (https://html.spec.whatwg.org/#server-sent-events).
#include <string>
#include <utility>

#include "apps/api/api.h"
#include "apps/api/event_stream.h"
#include "apps/api/task_input.h"
#include "apps/cli/values.h"
#include "apps/tasks/task_json.h"
#include "engine/runtime/replies.h"

namespace jack::api {
namespace {

// Messages of events under way for one stream, of some 64 KiB each in the engine's form.
constexpr std::uint32_t kCredit = 2;

}  // namespace

std::string to_sse(const Event& event) {
  std::string text = "id: " + app::text_of(event.position) + "\nevent: ";
  text += name_of(event.kind);
  text += "\ndata: " + app::json_of(event).line() + "\n\n";
  return text;
}

// The watch's credit is given back when its events are in the socket's hands, so a reader that is
// slow makes the engine wait, not this process grow.
void EventStream::start(const wire::Watch& watch) {
  watch_ = engine_.watch(watch, [self = shared_from_this()](Result<wire::Reply> reply) {
    self->on_reply(std::move(reply));
  });
  to_.on_closed([self = shared_from_this()] { self->stop(); });
  to_.on_stopping([self = shared_from_this()] { self->finish("the server stops"); });
}

void EventStream::on_reply(Result<wire::Reply> reply) {
  const Result<wire::Events> message = expect<wire::Events>(std::move(reply));
  Result<std::vector<Event>> events =
      message ? to_events(*message) : Result<std::vector<Event>>(message.error());
  if (!events) {
    if (!begun_) {
      stop();
      return refuse(to_, events.error());
    }
    return finish(events.error().message);
  }
  if (!std::exchange(begun_, true)) {
    // An id alone is no event, but where to resume if nothing comes before the stream breaks.
    http::Response head{200, {}, ":\nid: " + app::text_of(message->last) + "\n\n"};
    head.set("Content-Type", "text/event-stream");
    to_.begin(std::move(head));
    moved_at_ = Clock::now();
  }
  if (events->empty()) return;  // it takes no credit
  std::string text;
  for (const Event& event : *events) text += to_sse(event);
  waiting_.push_back(std::move(text));
  if (!stalled_) send_waiting();
}

// In the order in which they came. What has been taken gives its credit back.
void EventStream::send_waiting() {
  while (!waiting_.empty()) {
    switch (to_.write(waiting_.front())) {
      case http::Written::taken:
        waiting_.pop_front();
        stalled_ = false;
        moved_at_ = Clock::now();
        engine_.say(wire::Grant{0, watch_, 1});
        break;
      case http::Written::full:
        stalled_ = true;
        to_.on_drained([self = shared_from_this()] { self->send_waiting(); });
        return;
      case http::Written::gone: return stop();
    }
  }
}

void EventStream::on_time() {
  if (!begun_) return;
  if (!to_.wanted()) return stop();  // a HEAD has its answer
  const Clock::duration still = Clock::now() - moved_at_;
  if (stalled_ && still > kPatience) {
    return finish("the reader is too slow; resume behind the last event that came");
  }
  if (stalled_ || still < kBeatEvery) return;
  moved_at_ = Clock::now();
  static_cast<void>(to_.write(":\n\n"));
}

// Says why, so that a client can tell this end from a broken connection.
void EventStream::finish(const std::string& why) {
  if (begun_) {
    to_.end("event: end\ndata: " + app::Json::object().set("reason", why).line() + "\n\n");
  }
  stop();
}

void EventStream::stop() {
  if (watch_ != 0) engine_.end(std::exchange(watch_, 0));
}

void Api::get_events(const Request& request, Responder to) {
  wire::Watch watch;
  watch.credit = kCredit;
  for (const http::Field& field : request.query) {
    if (field.name == "queue") {
      if (const auto fault = fault_in_queue("queue", field.value)) return refuse(to, *fault);
      watch.queue = field.value;
    } else if (field.name == "task") {
      if (!app::read_value(field.value, watch.task)) {
        return refuse(to, wrong_input("task", kTaskIdRule));
      }
    }
  }
  const std::string* after = request.header("last-event-id");
  if (after == nullptr) after = request.query_value("after");
  if (after != nullptr) {
    Position position;
    if (!app::read_value(*after, position)) {
      return refuse(to, wrong_input("Last-Event-ID", "must be the id of an event"));
    }
    watch.after = position;
  }
  const auto stream = std::make_shared<EventStream>(engine_, std::move(to));
  stream->start(watch);
  streams_.push_back(stream);
}

}  // namespace jack::api

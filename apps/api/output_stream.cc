#include "apps/api/output_stream.h"

#include <string>

#include "apps/api/api.h"
#include "apps/cli/values.h"
#include "engine/runtime/replies.h"

namespace jack::api {
namespace {

constexpr std::uint64_t kPartBytes = 64 * 1024;
constexpr std::uint64_t kAnswerBytes = 4 << 20;  // what one answer that is no stream holds

// What a client may ask of output.
struct OutputQuery {
  std::uint64_t offset = 0;
  bool follow = false;
};

Input<OutputQuery> read_query(const Request& request) {
  OutputQuery query;
  for (const http::Field& field : request.query) {
    if (field.name == "offset") {
      if (!app::read_value(field.value, query.offset)) {
        return wrong_input("offset", "must be a number of bytes");
      }
    } else if (field.name == "follow") {
      if (field.value != "true" && field.value != "false") {
        return wrong_input("follow", "must be true or false");
      }
      query.follow = field.value == "true";
    }
  }
  return query;
}

Response output_head(std::string bytes) {
  Response head{200, {}, std::move(bytes)};
  head.set("Content-Type", "application/octet-stream").set("Content-Security-Policy", "sandbox");
  return head;
}

}  // namespace

// The watch comes first: what is written after the first read is news.
void OutputStream::start() {
  wire::Watch watch;
  watch.task = task_;
  watch.credit = 4;
  watch_ = engine_.watch(watch, [self = shared_from_this()](Result<wire::Reply> reply) {
    self->on_events(std::move(reply));
  });
  to_.on_closed([self = shared_from_this()] { self->stop(); });
  to_.on_stopping([self = shared_from_this()] { self->fail({Code::stopped, "the server stops"}); });
}

void OutputStream::on_events(Result<wire::Reply> reply) {
  const Result<wire::Events> message = expect<wire::Events>(std::move(reply));
  if (!message) return fail(message.error());
  if (!message->events.empty()) engine_.say(wire::Grant{0, watch_, 1});
  has_news_ = true;
  if (!busy_) read();
}

void OutputStream::read() {
  busy_ = true;
  has_news_ = false;
  engine_.ask(wire::ReadOutput{0, task_, offset_, kPartBytes},
              [self = shared_from_this()](Result<wire::Reply> reply) {
                self->on_output(std::move(reply));
              });
}

void OutputStream::on_output(Result<wire::Reply> reply) {
  const Result<wire::OutputBytes> output = expect<wire::OutputBytes>(std::move(reply));
  if (!output) return fail(output.error());
  offset_ += output->bytes.size();
  behind_ = !output->bytes.empty() && offset_ < output->total;
  ended_ = output->terminal;
  if (!std::exchange(begun_, true)) to_.begin(output_head({}));
  write(std::string(output->bytes));
}

void OutputStream::write(std::string bytes) {
  if (bytes.empty()) return go_on();
  switch (to_.write(bytes)) {
    case http::Written::taken: return go_on();
    case http::Written::gone: return stop();
    case http::Written::full:
      to_.on_drained([self = shared_from_this(), bytes = std::move(bytes)]() mutable {
        self->write(std::move(bytes));
      });
      return;
  }
}

void OutputStream::go_on() {
  busy_ = false;
  if (!to_.wanted()) return stop();  // a HEAD has its answer
  if (behind_ || (has_news_ && !ended_)) return read();
  if (!ended_) return;
  to_.end();
  stop();
}

// Where the answer has begun, the client sees by its broken end that it is not whole.
void OutputStream::fail(const Error& error) {
  begun_ ? to_.cut() : refuse(to_, error);
  stop();
}

void OutputStream::stop() {
  if (watch_ != 0) engine_.end(std::exchange(watch_, 0));
}

void Api::get_output(const Request& request, Responder to) {
  const std::optional<TaskId> id = task_of(request, to);
  if (!id) return;
  Input<OutputQuery> query = read_query(request);
  if (!query) return refuse(to, query.error());
  if (query->follow) {
    std::make_shared<OutputStream>(engine_, *id, query->offset, std::move(to))->start();
    return;
  }
  engine_.ask(
      wire::ReadOutput{0, *id, query->offset, kAnswerBytes}, [to](Result<wire::Reply> reply) {
        const Result<wire::OutputBytes> output = expect<wire::OutputBytes>(std::move(reply));
        if (!output) return refuse(to, output.error());
        Response response = output_head(std::string(output->bytes));
        response.set("Jack-Output-Bytes", std::to_string(output->total))
            .set("Jack-Output-Complete", output->terminal ? "true" : "false");
        Responder(to).send(std::move(response));
      });
}

}  // namespace jack::api

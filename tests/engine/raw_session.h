// A client or worker that speaks jack/1 by hand, for what the Harness has no word for.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <jack_engine/testing/harness.h>

#include "engine/format/spec.h"
#include "engine/wire/messages.h"
#include "transports/testing/harness_impl.h"

namespace jack::testing {

class RawSession {
 public:
  explicit RawSession(Harness& harness, bool in_process = false, bool greets = true)
      : impl_(harness.impl()), id_(impl_.rig().mail().connect(in_process, {})) {
    if (!greets) return;
    say(wire::Hello{1, wire::kVersion, "raw"});
    impl_.rig().run();
    next();
  }

  // Acts for a key: that of its connection, or, in the engine's process, the one it names.
  struct ByKey {
    std::string key;
    bool in_process = false;
    bool greets = true;
    std::string answers{};  // as in wire::Hello
  };
  RawSession(Harness& harness, const ByKey& by)
      : impl_(harness.impl()),
        id_(impl_.rig().mail().connect(by.in_process, by.in_process ? std::string() : by.key)) {
    if (!by.greets) return;
    say(wire::Hello{1, wire::kVersion, "raw", by.in_process ? by.key : std::string_view(),
                    by.answers});
    expect<wire::Welcome>();
  }

  SessionId id() const { return id_; }

  template <typename Message>
  void say(const Message& message) {
    impl_.rig().mail().send_to_engine(id_, wire::encode(message));
  }
  void say_bytes(std::string frame) { impl_.rig().mail().send_to_engine(id_, std::move(frame)); }
  void vanish() { impl_.rig().mail().disconnect(id_); }

  // The oldest message that has come; null where there is none. Valid until the next one.
  const wire::Reply* next() {
    impl_.rig().run();
    std::optional<std::string> frame = impl_.rig().mail().take(id_);
    if (!frame) return nullptr;
    answer_ = std::make_unique<Answer>();
    answer_->frame = *std::move(frame);
    answer_->reply = wire::decode_reply(answer_->unpacker, answer_->frame).value();
    return &answer_->reply;
  }
  // The same, which must be a message of this kind: throws where it is not.
  template <typename Message>
  const Message& expect() {
    const wire::Reply* reply = next();
    if (reply == nullptr) throw std::runtime_error("no message has come");
    return std::get<Message>(*reply);
  }
  // The code of the only item of the next `done`, or of the next `refused`.
  Code expect_code() {
    const wire::Reply* reply = next();
    if (reply == nullptr) throw std::runtime_error("no message has come");
    if (const auto* refused = std::get_if<wire::Refused>(reply)) return refused->code;
    return std::get<wire::Done>(*reply).items.at(0).code;
  }

  Code work(std::uint32_t subscription, std::int64_t credit,
            const std::vector<std::string_view>& queues, Duration lease = {}) {
    say(wire::Work{7, subscription, credit, lease, queues});
    return expect_code();
  }

  struct Delivered {
    std::uint32_t subscription = 0;
    LeaseToken token;
    std::uint32_t attempt = 0;
    TaskSpec spec;
  };
  // Everything that has been delivered; other messages are thrown away.
  std::vector<Delivered> take_deliveries() {
    std::vector<Delivered> all;
    while (const wire::Reply* reply = next()) {
      const auto* deliver = std::get_if<wire::Deliver>(reply);
      if (deliver == nullptr) continue;
      for (const wire::Deliver::Item& item : deliver->items) {
        Unpacker unpacker;
        all.push_back({deliver->subscription, item.token, item.attempt,
                       to_spec(decode_spec(unpacker, item.spec).value())});
      }
    }
    return all;
  }

  void settle(const Delivered& task, bool again, Outcome outcome = Outcome::succeeded) {
    wire::Settle::Item item;
    item.task = task.spec.id;
    item.token = task.token;
    item.outcome = outcome;
    item.again = again;
    say(wire::Settle{9, {item}});
  }

 private:
  Harness::Impl& impl_;
  SessionId id_ = 0;
  std::unique_ptr<Answer> answer_;
};

inline std::string encoded(const TaskSpec& spec) {
  std::string bytes;
  encode(spec, bytes);
  return bytes;
}

// A queue's number as `jack queues` shows it.
inline std::uint64_t workers_of(Harness& harness, std::string_view queue) {
  RawSession session(harness);
  session.say(wire::Queues{1});
  for (const wire::QueueItem& item : session.expect<wire::QueueList>().queues) {
    if (item.name == queue) return item.workers;
  }
  return 0;
}

}  // namespace jack::testing

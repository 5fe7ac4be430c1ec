// Inside a Harness: its rig, its sessions, its handlers.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/testing/harness.h>

#include "engine/wire/messages.h"
#include "transports/testing/rig.h"

namespace jack::testing {

// A frame and what it says.
struct Answer {
  std::string frame;
  Unpacker unpacker;
  wire::Reply reply;
};

class Harness::Impl {
 public:
  explicit Impl(const HarnessOptions& options);
  ~Impl();

  Rig& rig() { return *rig_; }

  // A session that has said hello.
  SessionId greet(const std::string& name, bool in_process);
  SessionId client();

  // Sends a request and returns what answers it; says hello first where the engine asks who this
  // is. Nothing where there is no answer without time passing.
  using Encode = std::function<std::string(wire::Correlation)>;
  std::unique_ptr<Answer> exchange(SessionId session, const Encode& encode);
  template <typename Message>
  std::unique_ptr<Answer> ask(SessionId session, Message message) {
    return exchange(session, [&](wire::Correlation correlation) {
      message.correlation = correlation;
      return wire::encode(message);
    });
  }
  // The code of a request with one item.
  template <typename Message>
  Code ask_code(SessionId session, Message message) {
    return code_of(ask(session, std::move(message)).get());
  }
  Code code_of(const Answer* answer);

  // Turns, and handlers, until nothing happens any more.
  void run();
  void advance(Duration by);
  bool advance_to_next(Duration limit);
  bool has_scheduled();
  bool has_handlers() const;
  void reopen();

  // The oldest unread message to a session that answers nothing asked for here.
  std::unique_ptr<Answer> take(SessionId session);

  TaskId fresh_id();
  std::string encode_spec(TaskSpec& spec);

  struct Worker {
    std::string queue;
    std::string name;
    Duration lease{0};
    bool in_process = false;
    Handler handler;  // empty: the test works by hand
  };
  void subscribe(SessionId session, const Worker& worker, std::int64_t credit);
  SessionId add_worker(Worker worker);
  std::map<SessionId, Worker>& workers() { return workers_; }
  std::vector<Lease>& leases() { return leases_; }
  std::map<LeaseToken, Outcome>& ended() { return ended_; }
  std::string why;

 private:
  void read_mail(SessionId session);
  void on_deliver(SessionId session, const wire::Deliver& deliver);
  bool run_handlers();
  void keep_handlers_alive();
  void run_handler(const Lease& lease, const Handler& handler);
  void greet(SessionId session, const std::string& name);

  HarnessOptions options_;
  std::string temporary_folder_;
  std::unique_ptr<Rig> rig_;
  SessionId client_ = 0;
  std::uint64_t made_ids_ = 0;
  wire::Correlation last_correlation_ = 0;
  SteadyTime alive_at_;  // when the handlers last said that they are
  Unpacker unpacker_;

  std::map<SessionId, Worker> workers_;
  std::map<SessionId, std::string> names_;
  std::map<SessionId, std::vector<std::unique_ptr<Answer>>> unread_;
  std::vector<Lease> leases_;     // delivered to workers by hand, in order
  std::vector<Lease> to_handle_;  // delivered to handlers
  std::map<LeaseToken, Outcome> ended_;
};

}  // namespace jack::testing

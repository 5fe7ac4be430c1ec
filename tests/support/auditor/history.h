// What clients saw, in the order in which they saw it. Whoever drives a test writes each operation
// down before it is sent, and once more when its answer has come; the auditor knows nothing else.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <jack_engine/id.h>
#include <jack_engine/task.h>

namespace jack::test {

// A place in the history: steps count everything that is written down, from 1.
using Step = std::uint64_t;

// What is known of an operation. `refused` means that surely nothing was changed; an operation that
// was answered with anything less certain stays unknown.
enum class Answer : std::uint8_t { unknown, ok, repeated, lease_lost, refused };

inline bool is_ok(Answer answer) { return answer == Answer::ok || answer == Answer::repeated; }

struct Operation {
  Step asked = 0;
  Step answered = 0;  // 0: never
  Answer answer = Answer::unknown;
  std::string engine;  // whom it was sent to
  TaskId task;
};

struct SubmitOp : Operation {
  std::string queue;
  std::uint64_t content = 0;  // a digest of the spec
  std::int64_t at_ms = 0;     // when it was asked
  std::int64_t delay_ms = 0;
  std::uint32_t max_attempts = 0;
  bool expires = false;
  bool recorded = false;  // submitted together with its result
};

struct SettleOp : Operation {
  LeaseToken token;
  Outcome outcome = Outcome::succeeded;
  bool retry = true;          // of a failure
  std::uint64_t content = 0;  // a digest of the result or error
  std::vector<TaskId> follow_ups;

  // Whether it says the same as another one: then it is a repeat.
  bool repeats(const SettleOp& other) const {
    return token == other.token && outcome == other.outcome && content == other.content &&
           retry == other.retry;
  }
};

// Extend, output, progress, resume: what is done under a lease and does not end it.
struct LeaseOp : Operation {
  LeaseToken token;
};

struct OrderOp : Operation {
  enum class Kind : std::uint8_t { cancel, retry, remove, take };
  Kind kind = Kind::cancel;
};

struct LookOp : Operation {
  std::optional<TaskState> state;  // nothing: it was not found
  std::uint64_t content = 0;       // of a success: a digest of the result
};

struct Delivery {
  Step step = 0;
  TaskId task;
  LeaseToken token;
  std::uint32_t attempt = 0;
  std::uint64_t content = 0;  // as in SubmitOp
  std::int64_t at_ms = 0;     // when it came
};

struct SeenEvent {
  Position position;
  EventKind kind = EventKind::submitted;
  TaskId task;  // empty: of a queue
  std::string queue;
  std::uint32_t attempt = 0;
  std::uint32_t cycle = 0;

  friend bool operator==(const SeenEvent&, const SeenEvent&) = default;
};

// Somebody who follows what happens, over any number of interruptions.
struct Watcher {
  TaskId task;                    // empty: all tasks
  std::string queue;              // empty: all queues
  std::optional<Position> after;  // nothing: from its first event on
  bool to_the_end = false;        // it has had the time to see everything
  std::vector<SeenEvent> events;
};

// A task as it is in the end, when everything has come to rest.
struct FinalTask {
  TaskId task;
  std::string queue;
  std::uint64_t content = 0;  // as in SubmitOp
  TaskState state = TaskState::queued;
  Priority priority = Priority::normal;
  std::uint32_t attempt = 0;
  std::uint32_t cycle = 1;
  LeaseToken token;
  TaskId parent;
  std::uint64_t result = 0;  // of a success: as SettleOp::content

  friend bool operator==(const FinalTask&, const FinalTask&) = default;
};

// References that the functions give are valid for the life of the history.
class History {
 public:
  SubmitOp& ask(SubmitOp operation) { return asked(submits, std::move(operation)); }
  SettleOp& ask(SettleOp operation) { return asked(settles, std::move(operation)); }
  LeaseOp& ask(LeaseOp operation) { return asked(lease_ops, std::move(operation)); }
  OrderOp& ask(OrderOp operation) { return asked(orders, std::move(operation)); }
  LookOp& ask(LookOp operation) { return asked(looks, std::move(operation)); }
  void answer(Operation& operation, Answer answer) {
    operation.answered = ++steps;
    operation.answer = answer;
  }
  void deliver(Delivery delivery) {
    delivery.step = ++steps;
    deliveries.push_back(std::move(delivery));
  }

  Step steps = 0;
  std::deque<SubmitOp> submits;
  std::deque<SettleOp> settles;
  std::deque<LeaseOp> lease_ops;
  std::deque<OrderOp> orders;
  std::deque<LookOp> looks;
  std::vector<Delivery> deliveries;
  std::deque<Watcher> watchers;

  // What a last look at everything shows.
  std::vector<FinalTask> tasks;
  std::vector<SeenEvent> events;  // from the beginning; empty where they were not read

 private:
  template <typename Op>
  Op& asked(std::deque<Op>& all, Op operation) {
    operation.asked = ++steps;
    all.push_back(std::move(operation));
    return all.back();
  }
};

}  // namespace jack::test

// What clients and workers see of an engine: sessions with credit, leases kept alive by signs of
// life, waits for results, watches of what happens. It turns messages into commands, and outcomes
// of applied entries into answers.
//
// Nothing is told before its entry has been applied. Pure: no clock, thread, socket or file; the
// same inputs give the same outputs. What it wants done is data (Output), for the loop to carry
// out.
//
// Not thread-safe. The loop owns it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/limits.h>

#include "engine/front/access.h"
#include "engine/front/batch.h"
#include "engine/front/deadlines.h"
#include "engine/front/event_log.h"
#include "engine/front/leases.h"
#include "engine/front/output.h"
#include "engine/front/pools.h"
#include "engine/front/queue_rates.h"
#include "engine/front/rights_table.h"
#include "engine/front/sessions.h"
#include "engine/front/waits.h"
#include "engine/front/watches.h"
#include "engine/state/state.h"

namespace jack {

// Finds the specs of tasks that are handed out, wherever they are.
class Specs {
 public:
  virtual ~Specs() = default;
  // The view is valid until deliver() returns.
  // Errors: whatever reading the store gives; not_found where it has none, which is corruption
  virtual Result<std::string_view> spec(const TaskId& task) = 0;
};

class Front {
 public:
  // `state`, `events` and `queues` outlive the front. The commands of one request must fit in one
  // entry, which has room for `commands_bytes_max`.
  Front(const State& state, const EventLog& events, TaskQueues& queues, const SessionLimits& limits,
        std::size_t commands_bytes_max)
      : state_(state),
        events_(events),
        limits_(limits),
        commands_bytes_max_(commands_bytes_max),
        access_(state, queues, limits.batch_tasks_max) {}

  // Who this engine is, once it is joined. Without it nothing is handed out.
  void on_joined(const Id128& engine, const Id128& incarnation);

  // The engine is to join again, as a new incarnation, because the journal holds the last one for
  // gone. `unanswered` are the batches that were not applied; they lose what belonged to the old
  // pools. `out.commands` gets what opens the pools again and resumes the leases of remote workers.
  void rejoin(std::vector<Batch*> unanswered, Output& out);

  // The engine is about to leave: from now on nobody is given a task. What was handed out and not
  // delivered is given back without blame, now and while entries that are under way still assign.
  void leave(Output& out);

  // What is taken at the moment. Refused messages are answered with the error.
  //   all       everything
  //   settles   no submits, retries and output: the disk is full
  //   nothing   no changes at all; reads go on
  enum class Taking : std::uint8_t { all, settles, nothing };
  void take(Taking taking, Error refusal);

  // What makes more for the store to keep (submits, retries, output, progress) is to wait:
  // on_message() leaves it untaken.
  void hold_growth(bool hold) { holds_growth_ = hold; }

  // Whether this engine may be sure that its leases stand (on_message: pong). While it may not,
  // the loop does not call deliver().
  void set_current(bool current) { current_ = current; }

  // What keys allow, from the next message on; called before messages are given, as often as there
  // may be something new. Nobody with a key is let in before. Sessions whose key is gone, or allows
  // something else, end here; whoever has a key that is still good is asked who it is.
  void set_rights(const Now& now, std::shared_ptr<const RightsTable> rights, Output& out);

  // Whether any session acts for a key.
  bool acts_for_keys() const { return !keyed_.empty(); }
  bool knows(SessionId session) const { return sessions_.find(session) != nullptr; }

  // One message. False: it is to be given again when nothing needs to wait.
  bool on_message(const Now& now, const Inbound& message, Output& out);

  // A message that cannot even wait.
  void on_overload(const Inbound& message, Output& out);

  void on_gone(const Now& now, SessionId session, Output& out);

  // Nothing was heard of anybody for this long, because the engine itself was not running. It
  // counts for nobody's silence.
  void on_deaf(std::chrono::nanoseconds gap) { deaf_ = deaf_ + gap; }

  // An entry has been applied. `own` is its batch where it is this incarnation's.
  void on_outcomes(const Now& now, const Outcomes& outcomes, const Batch* own, Output& out);

  // These requests were taken out of their batch.
  void on_refused(const std::vector<Pending>& requests, const Error& error, Output& out);

  // Silence, grace and waits whose time is up. All that had arrived by `heard_until` was given to
  // on_message(): silence is judged as of then, so that nobody is taken for silent whose message
  // lies there.
  void on_time(const Now& now, SteadyTime heard_until, Output& out);

  // When on_time() has something to do.
  SteadyTime next_deadline() const;

  // Tells workers of the tasks that were handed out to them and still are theirs.
  // Errors: of `specs`; the engine must stop
  Result<void> deliver(const Now& now, Specs& specs, Output& out);

  // Tells watchers what they have not seen, as far as they have credit.
  void serve_watches(const Now& now, Output& out);

  // A ReadResult whose task is in memory again.
  void on_wait_again(const Now& now, const Read& read, Output& out);

  // The answer to ReadEvents: blobs from the store, in order; or why there are none.
  void on_stored_events(const Now& now, SessionId session, wire::Correlation watch,
                        const Result<std::vector<std::string>>& blobs, Output& out);

  bool is_in_process(SessionId session) const;

  // The name of the worker that holds a lease; empty where this engine does not know.
  std::string_view holder_name(LeaseToken token) const;

  std::size_t sessions() const { return sessions_.size(); }
  std::size_t leases() const { return leases_.size(); }
  std::size_t waits() const { return waits_.size(); }
  std::size_t watches() const { return watches_.size(); }
  // Frames that were no message of this protocol. Since the start.
  std::uint64_t malformed() const { return malformed_; }
  // Messages, and items of them, that were refused for want of rights. Since the start.
  std::uint64_t denied() const { return denied_; }

 private:
  using Correlation = wire::Correlation;

  struct Assigned {
    LeaseToken token;
    SessionId session = 0;
  };
  struct SessionTimer {
    SessionId session = 0;
  };

  // front.cc: sessions and what is common
  void dispatch(const Now& now, Session& session, const wire::Request& request, Output& out);
  void hello(const Now& now, const Inbound& message, const wire::Hello& hello, Output& out);
  void refuse_hello(const Inbound& message, const wire::Hello& hello, const Error& error,
                    Output& out);
  void end_session(const Now& now, Session& session, std::optional<Duration> grace,
                   std::string_view why, Output& out);
  bool refuse(SessionId session, Correlation correlation, const Error& error, Output& out);
  bool refuse_change(Session& session, Correlation correlation, Taking needed, Output& out);
  bool refuse_batch(Session& session, Correlation correlation, std::size_t items, Output& out);
  // Ends the request that is open: it waits for its entry, or is answered at once. Refused where
  // its commands are more than one entry takes.
  void finish_request(SessionId session, Output& out);
  SteadyTime hearing(const Now& now) const { return now.steady + -deaf_; }
  void look_at(Session& session, SteadyTime at);
  void judge_silence(const Now& now, Session& session, Output& out);
  SteadyTime silence_end(const Session& session) const;

  // keys.cc: what keys allow
  Result<KeyRights> key_of(const Now& now, const Inbound& message, const wire::Hello& hello) const;
  bool refuse_other_key(Session& session, const wire::Hello& message, Output& out);
  bool refuse_keyless(const Now& now, const Inbound& message, Output& out);
  bool judge(Session& session, const wire::Request& request, Output& out);
  // True where the next item of the request that is open has been refused by judge().
  bool refuse_denied(Output& out);
  // By what a session may read; null: all.
  static std::shared_ptr<const Rights> reader_of(const Session& session);
  void judge_key(const Now& now, Session& session, Output& out);
  void end_without_key(const Now& now, Session& session, Output& out);

  // tasks.cc: submit, cancel, retry, pause, queues, reads, waits
  void on(const Now& now, Session& session, const wire::Submit& message, Output& out);
  void on(const Now& now, Session& session, const wire::Cancel& message, Output& out);
  void on(const Now& now, Session& session, const wire::Retry& message, Output& out);
  void on(const Now& now, Session& session, const wire::Pause& message, Output& out);
  void on(const Now& now, Session& session, const wire::Queues& message, Output& out);
  void on(const Now& now, Session& session, const wire::Get& message, Output& out);
  void on(const Now& now, Session& session, const wire::List& message, Output& out);
  void on(const Now& now, Session& session, const wire::ReadOutput& message, Output& out);
  void on(const Now& now, Session& session, const wire::Info& message, Output& out);
  void on(const Now& now, Session& session, const wire::Ping& message, Output& out);
  void on(const Now& now, Session& session, const wire::Hello& message, Output& out);
  void on(const Now& now, Session& session, const wire::Bye& message, Output& out);
  void on(const Now& now, Session& session, const wire::Wait& message, Output& out);
  void on(const Now& now, Session& session, const wire::Annotate& message, Output& out);
  void on(const Now& now, Session& session, const wire::Remove& message, Output& out);
  Result<SubmitCommand> submit_command(const Now& now, const wire::NewTask& task);
  void tell_waiting(const Outcomes& outcomes, Output& out);
  bool send_result(SessionId session, Correlation correlation, const TaskId& task, Output& out);

  // work.cc: work, settle, extend, resume, output, progress
  void on(const Now& now, Session& session, const wire::Work& message, Output& out);
  void on(const Now& now, Session& session, const wire::Settle& message, Output& out);
  void on(const Now& now, Session& session, const wire::Extend& message, Output& out);
  void on(const Now& now, Session& session, const wire::Output& message, Output& out);
  void on(const Now& now, Session& session, const wire::Progress& message, Output& out);
  void on(const Now& now, Session& session, const wire::Resume& message, Output& out);
  void on(const Now& now, Session& session, const wire::Take& message, Output& out);
  void on(const Now& now, Session& session, const wire::Unwork& message, Output& out);
  void refuse_without_subscription(Session& session, Correlation correlation, std::uint32_t number,
                                   Output& out);
  Result<Subscription*> subscribe(Session& session, const wire::Work& message, Output& out);
  Result<SettleCommand> settle_command(const Now& now, const wire::Settle::Item& item);
  bool take_again(Session& session, const wire::Settle::Item& item, PoolNumber& pool);
  Duration clamp_lease(Duration lease) const;

  // handout.cc: what outcomes do to leases
  void answer(const Now& now, const Outcomes& outcomes, const Batch& own, Output& out);
  void answer_pool(const Now& now, const Pending& request,
                   std::span<const CommandOutcome> outcomes);
  void abandon(const Now& now, WorkerPool& pool);
  void on_settled(const LeaseRef& ref, const CommandOutcome& outcome, Output& out);
  void on_resumed(const Now& now, const Pending& request, const LeaseRef& ref,
                  const CommandOutcome& outcome, Output& out);
  void on_assigned(const Assignment& assignment, Output& out);
  Subscription* receiver_of(const Assignment& assignment, WorkerPool& pool);
  void on_lease_end(const LeaseEnd& end, Output& out);
  void end_lease(HeldLease& lease, Outcome outcome, std::string reason, Output& out);
  void lose(HeldLease& lease, std::string_view reason, Output& out);
  void let_go(const Now& now, HeldLease& lease, Duration grace);
  void renew(const Now& now, HeldLease& lease);
  void hear(const Now& now, const TaskId& task, LeaseToken token);
  void end_at(HeldLease& lease, SteadyTime at);
  void part_from_session(const Now& now, HeldLease& lease, Duration grace);
  void release(const TaskId& task, LeaseToken token, PoolNumber pool, Output& out);
  void close_if_unused(WorkerPool* pool, Output& out);
  void hold(const Now& now, HeldLease& lease, Subscription& subscription);
  void send_ended(Output& out);
  void resume_leases(const Subscription& subscription, Output& out);
  static OpenPoolCommand open_command(const WorkerPool& pool);

  // watches.cc
  void on(const Now& now, Session& session, const wire::Watch& message, Output& out);
  void on(const Now& now, Session& session, const wire::Grant& message, Output& out);
  void on(const Now& now, Session& session, const wire::Unwatch& message, Output& out);
  void drop_watch(Session& session, Correlation correlation);
  void note_events(const Now& now, const std::vector<EventView>& events);
  void serve(const Now& now, Watch& watch, Output& out);
  void send_events(const Now& now, Watch& watch, const EventPart& part, Output& out);

  const State& state_;
  const EventLog& events_;
  const SessionLimits limits_;
  const std::size_t commands_bytes_max_;

  Id128 engine_{};
  Id128 incarnation_{};
  Taking taking_ = Taking::all;
  Error taking_refusal_;
  bool holds_growth_ = false;
  bool current_ = true;
  bool leaving_ = false;
  std::chrono::nanoseconds deaf_{0};

  std::shared_ptr<const RightsTable> rights_;
  Access access_;
  Access::Verdict verdict_;  // of the message that is being carried out
  std::uint64_t denied_ = 0;

  SessionTable sessions_;
  std::set<SessionId> keyed_;              // those that act for a key
  WallTime keys_until_ = WallTime::max();  // when the first of their keys expires
  WorkerPools pools_;
  Leases leases_;
  Waits waits_;
  Watches watches_;
  QueueRates rates_;
  Deadlines<SessionTimer> silences_;  // on the clock of hearing
  Deadlines<LeaseToken> ends_;        // of leases that end by themselves

  std::vector<Assigned> assigned_;  // since the last deliver()
  struct Taken {
    SessionId session = 0;
    LeaseRef lease;
  };
  std::vector<Taken> taken_;  // by the entry whose outcomes are being told
  struct Told {
    SessionId session = 0;
    wire::Ended::Item item;
    std::string reason;
  };
  std::vector<Told> ended_;  // since the last send_ended()
  std::uint64_t malformed_ = 0;
  Unpacker message_unpacker_;
  Unpacker spec_unpacker_;
  wire::Done done_;
};

}  // namespace jack

// Sessions: how they come, are heard, fall silent and go; and what all messages share.
#include "engine/front/front.h"

#include <algorithm>

#include "engine/assert.h"

namespace jack {
namespace {

// A session that only asks questions may be silent for long; after this much it is forgotten, if it
// waits for nothing. Its next message is answered with `who`.
constexpr Duration kIdleSession = std::chrono::minutes{10};

wire::Correlation correlation_of(const wire::Request& request) {
  return std::visit([](const auto& message) { return message.correlation; }, request);
}

// Whether a request makes more for the store to keep, and can wait until it has kept up.
bool grows(const wire::Request& request) {
  return std::holds_alternative<wire::Submit>(request) ||
         std::holds_alternative<wire::Retry>(request) ||
         std::holds_alternative<wire::Annotate>(request) ||
         std::holds_alternative<wire::Output>(request) ||
         std::holds_alternative<wire::Progress>(request);
}

std::string seconds(Duration duration) {
  return std::to_string((duration.count() + 500) / 1000) + " s";
}

}  // namespace

void Front::on_joined(const Id128& engine, const Id128& incarnation) {
  engine_ = engine;
  incarnation_ = incarnation;
}

void Front::take(Taking taking, Error refusal) {
  taking_ = taking;
  taking_refusal_ = std::move(refusal);
}

bool Front::on_message(const Now& now, const Inbound& message, Output& out) {
  Session* session = sessions_.find(message.session);
  if (session != nullptr) session->heard = hearing(now);
  if (session == nullptr && refuse_keyless(now, message, out)) return true;

  const Result<wire::Request> request = wire::decode_request(message_unpacker_, message.frame);
  if (!request) {
    ++malformed_;
    refuse(message.session, wire::correlation_of(message_unpacker_, message.frame), request.error(),
           out);
    return true;
  }
  if (const auto* greeting = std::get_if<wire::Hello>(&*request); greeting && session == nullptr) {
    hello(now, message, *greeting, out);
    return true;
  }
  if (session == nullptr) {
    if (!std::holds_alternative<wire::Bye>(*request)) {
      out.send(message.session, wire::Who{correlation_of(*request)});
    }
    return true;
  }
  if (holds_growth_ && taking_ == Taking::all && grows(*request)) return false;
  dispatch(now, *session, *request, out);
  return true;
}

void Front::dispatch(const Now& now, Session& session, const wire::Request& request, Output& out) {
  if (judge(session, request, out)) return;
  std::visit([&](const auto& message) { on(now, session, message, out); }, request);
}

void Front::on_overload(const Inbound& message, Output& out) {
  refuse(message.session, wire::correlation_of(message_unpacker_, message.frame),
         {Code::unavailable,
          "the engine is behind with writing, and nothing of this was taken; try again later"},
         out);
}

void Front::refuse_hello(const Inbound& message, const wire::Hello& hello, const Error& error,
                         Output& out) {
  refuse(message.session, hello.correlation, error, out);
  out.forgotten.push_back(message.session);
}

void Front::hello(const Now& now, const Inbound& message, const wire::Hello& hello, Output& out) {
  if (hello.version != wire::kVersion) {
    return refuse_hello(
        message, hello,
        {Code::unsupported, "this engine speaks version " + std::to_string(wire::kVersion) +
                                " of the protocol, not " + std::to_string(hello.version)},
        out);
  }
  if (sessions_.size() >= limits_.sessions_max) {
    return refuse_hello(
        message, hello,
        {Code::rate_limited, "this engine has " + std::to_string(limits_.sessions_max) +
                                 " sessions, which is its limit; try again later"},
        out);
  }
  if (hello.name.size() > kShortTextBytesMax || !is_plain_text(hello.name)) {
    return refuse_hello(message, hello,
                        {Code::invalid_argument, "a session's name must be at most " +
                                                     std::to_string(kShortTextBytesMax) +
                                                     " bytes of UTF-8 without control characters"},
                        out);
  }
  const Result<KeyRights> key = key_of(now, message, hello);
  if (!key) {
    ++denied_;
    return refuse_hello(message, hello, key.error(), out);
  }
  Session& session = sessions_.add(message.session);
  session.in_process = message.in_process;
  session.user = hello.key.empty() ? message.user : hello.key;
  if (key->rights != nullptr) {
    session.rights = key->rights;
    session.key_ends = key->ends;
    keyed_.insert(session.id);
    keys_until_ = std::min(keys_until_, key->ends);
  }
  session.answers = hello.answers;
  session.name = hello.name;
  session.heard = hearing(now);
  session.look_at = kNoDeadline;
  look_at(session, silence_end(session));
  on(now, session, hello, out);
}

void Front::on(const Now&, Session& session, const wire::Hello& message, Output& out) {
  if (refuse_other_key(session, message, out)) return;
  const auto view = [](const Id128& id) {
    return std::string_view(reinterpret_cast<const char*>(id.data()), id.size());
  };
  out.send(session.id, wire::Welcome{.correlation = message.correlation,
                                     .engine = view(engine_),
                                     .incarnation = view(incarnation_),
                                     .lease_default = limits_.lease_default,
                                     .payload_bytes_max = state_.limits().payload_bytes_max,
                                     .result_bytes_max = state_.limits().result_bytes_max});
}

void Front::on(const Now&, Session& session, const wire::Ping& message, Output& out) {
  out.send(session.id, wire::Pong{message.correlation, !current_});
}

void Front::on(const Now& now, Session& session, const wire::Bye&, Output& out) {
  out.forgotten.push_back(session.id);
  end_session(now, session, std::nullopt, "its worker went away", out);
}

void Front::on_gone(const Now& now, SessionId id, Output& out) {
  Session* session = sessions_.find(id);
  if (session == nullptr) return;
  const auto grace = session->in_process ? std::nullopt : std::optional(limits_.resume_grace);
  end_session(now, *session, grace, "its worker's connection broke", out);
}

// Without a grace its leases are lost at once; with one, those that nobody resumes in time.
void Front::end_session(const Now& now, Session& session, std::optional<Duration> grace,
                        std::string_view why, Output& out) {
  while (session.leases != nullptr) {
    HeldLease& lease = *session.leases;
    if (lease.stage == HeldLease::Stage::assigned) {
      release(lease.task, lease.token, lease.pool->number, out);
      leases_.erase(lease);
    } else if (lease.ends_by_itself()) {
      // Its worker is somebody else, who may live.
      part_from_session(now, lease, Duration::max());
    } else if (lease.stage == HeldLease::Stage::held && !grace) {
      lose(lease, why, out);
      Leases::give(lease, nullptr);
    } else {
      part_from_session(now, lease, grace.value_or(Duration{0}));
    }
  }
  for (const auto& subscription : session.subscriptions) {
    WorkerPool* const pool = subscription->pool;
    if (subscription->credit > 0) {
      const auto credit = static_cast<std::int64_t>(subscription->credit);
      out.commands.add_own(Pending::Kind::pool, WantCommand{pool->number, -credit});
    }
    WorkerPools::leave(*subscription);
    close_if_unused(pool, out);
  }
  waits_.drop_session(session);
  while (!session.watches.empty()) drop_watch(session, session.watches.begin()->first);
  keyed_.erase(session.id);
  sessions_.erase(session.id);
}

bool Front::is_in_process(SessionId id) const {
  const Session* session = sessions_.find(id);
  return session != nullptr && session->in_process;
}

bool Front::refuse(SessionId session, Correlation correlation, const Error& error, Output& out) {
  out.refuse(session, correlation, error);
  return true;
}

// True where the message has been refused. `needed` is the least that must be taken for it.
bool Front::refuse_change(Session& session, Correlation correlation, Taking needed, Output& out) {
  if (taking_ == Taking::all || taking_ == needed) return false;
  return refuse(session.id, correlation, taking_refusal_, out);
}

bool Front::refuse_batch(Session& session, Correlation correlation, std::size_t items,
                         Output& out) {
  if (items <= limits_.batch_tasks_max) return false;
  return refuse(
      session.id, correlation,
      {Code::invalid_argument, "a message may have " + std::to_string(limits_.batch_tasks_max) +
                                   " items, this one has " + std::to_string(items)},
      out);
}

void Front::finish_request(SessionId session, Output& out) {
  const std::size_t bytes = out.commands.request_bytes();
  if (bytes <= commands_bytes_max_) {
    if (!out.commands.end(done_)) out.send(session, done_);
    return;
  }
  const Correlation correlation = out.commands.pending().back().correlation;
  out.commands.undo();
  refuse(
      session, correlation,
      {Code::payload_too_large, "the message asks for " + std::to_string(bytes) +
                                    " bytes of changes, one entry of the journal takes " +
                                    std::to_string(commands_bytes_max_) + "; send fewer at a time"},
      out);
}

void Front::on_refused(const std::vector<Pending>& requests, const Error& error, Output& out) {
  for (const Pending& request : requests) {
    if (request.session != 0) refuse(request.session, request.correlation, error, out);
  }
}

void Front::on_time(const Now& now, SteadyTime heard_until, Output& out) {
  Now heard = now;
  heard.steady = heard_until;
  while (silences_.next() <= hearing(heard)) {
    const auto timer = silences_.take();
    Session* session = sessions_.find(timer.key.session);
    if (session == nullptr || session->look_at != timer.at) continue;
    judge_silence(heard, *session, out);
  }
  while (ends_.next() <= hearing(heard)) {
    const auto timer = ends_.take();
    HeldLease* lease = leases_.find(timer.key);
    if (lease == nullptr || !lease->ends_by_itself() || lease->until != timer.at) continue;
    lose(*lease,
         lease->session == nullptr ? "its worker did not come back"
                                   : "its worker was silent for " + seconds(lease->lease),
         out);
  }
  waits_.expire(now.steady, [&](const Wait& wait) {
    out.send(wait.session->id, wire::Refused{wait.correlation, Code::timed_out,
                                             "the task has not ended in the time given"});
  });
}

SteadyTime Front::next_deadline() const {
  const SteadyTime silent = std::min(silences_.next(), ends_.next());
  return std::min(silent == kNoDeadline ? silent : silent + deaf_, waits_.next_deadline());
}

void Front::look_at(Session& session, SteadyTime at) {
  if (at >= session.look_at) return;
  session.look_at = at;
  silences_.sweep(sessions_.size(), [this](const auto& entry) {
    const Session* session_of = sessions_.find(entry.key.session);
    return session_of != nullptr && session_of->look_at == entry.at;
  });
  silences_.add(at, {session.id});
}

// When a session that says nothing more is taken for gone.
SteadyTime Front::silence_end(const Session& session) const {
  Duration longest{0};
  for (const auto& subscription : session.subscriptions) {
    longest = std::max(longest, subscription->pool->lease);
  }
  return session.heard + (session.subscriptions.empty() ? kIdleSession : longest);
}

// Ends what its silence has lasted too long for, and sets the time of the next look.
void Front::judge_silence(const Now& now, Session& session, Output& out) {
  const SteadyTime present = hearing(now);
  SteadyTime next = kNoDeadline;
  for (HeldLease* lease = session.leases; lease != nullptr; lease = lease->next) {
    if (lease->stage != HeldLease::Stage::held || lease->ends_by_itself()) continue;
    const SteadyTime end = std::max(session.heard, lease->since) + lease->lease;
    if (end <= present) {
      lose(*lease, "its worker was silent for " + seconds(lease->lease), out);
    } else {
      next = std::min(next, end);
    }
  }
  const SteadyTime end = silence_end(session);
  const bool waits =
      session.subscriptions.empty() && (session.wait_count > 0 || !session.watches.empty());
  if (end <= present && !waits) {
    // Leases that were extended beyond go on until their own time.
    out.forgotten.push_back(session.id);
    end_session(now, session, Duration::max(), {}, out);
    return;
  }
  session.look_at = kNoDeadline;
  look_at(session, std::min(next, end > present ? end : present + kIdleSession));
}

}  // namespace jack

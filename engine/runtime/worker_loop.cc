#include "engine/runtime/worker_loop.h"

#include <algorithm>
#include <utility>
#include <variant>

#include <jack_engine/limits.h>

namespace jack {
namespace {

using std::chrono::milliseconds;

constexpr std::uint32_t kSubscription = 1;  // a worker has one
constexpr std::uint64_t kCreditMax = 1000;  // what an engine gives at most by default
constexpr milliseconds kWorkAgainAfter{1000};
constexpr milliseconds kPauseMax{60'000};
constexpr milliseconds kGraceMax = std::chrono::hours{24 * 365};

}  // namespace

WorkerLoop::WorkerLoop(Link link, const WorkerOptions& options, Crew& crew, wire::Wake& wake)
    : link_(std::move(link)),
      options_(options),
      capacity_(std::min(kCreditMax, std::uint64_t{options.threads} + options.prefetch)),
      crew_(crew),
      wake_(wake),
      now_(SteadyClock::now()) {}

Result<void> WorkerLoop::run() {
  while (!is_over()) {
    const Link::News news = link_.wait(pause(), &wake_);
    now_ = SteadyClock::now();
    on_news(news);
    take_from_crew();
    follow_stop();
    repeat_later();
    speak();
    settle();
    top_up();
    heartbeat();
  }
  for (auto& [token, held] : held_) held.job->request_stop();
  say(wire::Bye{});
  return outcome_;
}

bool WorkerLoop::is_over() const {
  if (failed_) return true;
  if (!stopping_) return false;
  return (held_.empty() && works_.empty()) || (give_up_ && now_ >= *give_up_);
}

// --- What came ---------------------------------------------------------------------------------

void WorkerLoop::on_news(Link::News news) {
  switch (news) {
    case Link::News::reply: on_reply(link_.reply()); break;
    case Link::News::renewed: on_renewed(); break;
    case Link::News::refused: on_refused_session(link_.refusal()); break;
    case Link::News::closed:
      on_refused_session({Code::invalid_argument, {}});
      outcome_ = Error{Code::stopped, "the engine has been stopped"};
      break;
    case Link::News::nothing:
    case Link::News::lost:
    case Link::News::woken: break;
  }
}

// The engine knows nothing of this session: neither its subscription nor its leases.
void WorkerLoop::on_renewed() {
  settles_.clear();
  outputs_.clear();
  resumes_.clear();
  works_.clear();
  for (auto& [token, held] : held_) {
    // The credit of this `work` counts it already; or its lease is of no subscription any more.
    if (!held.occupies || held.ended) held.no_again = true;
  }
  credit_ = stopping_ ? 0 : wanted();
  wire::Work work;
  work.correlation = works_.emplace_back(link_.next_correlation());
  work.subscription = kSubscription;
  work.credit = static_cast<std::int64_t>(credit_);
  work.lease = options_.lease;
  work.queues.assign(options_.queues.begin(), options_.queues.end());
  say(work);
  resume_all();
}

// Settles wait for the answer: a lease must have been resumed before it can end by this session.
void WorkerLoop::resume_all() {
  resume_again_.reset();
  std::vector<Token> tokens;
  const auto send = [&] {
    wire::Resume resume;
    resume.correlation = link_.next_correlation();
    resume.subscription = kSubscription;
    for (const Token token : tokens) resume.items.push_back({held_.at(token).job->id(), {token}});
    say(resume);
    resumes_.emplace(resume.correlation, std::exchange(tokens, {}));
  };
  for (const auto& [token, held] : held_) {
    if (held.ended) continue;
    tokens.push_back(token);
    if (tokens.size() == kBatchItemsMax) send();
  }
  if (!tokens.empty()) send();
  if (resumes_.empty()) repeat_unanswered();
}

void WorkerLoop::repeat_unanswered() {
  to_settle_.clear();
  later_.clear();
  for (auto& [token, held] : held_) {
    held.output_sent = 0;
    held.settling = false;
    if (!held.output.empty() && !std::exchange(held.speaking, true)) speaking_.push_back(token);
    if (held.settlement) settle_when_said(token, held);
  }
}

void WorkerLoop::on_reply(const wire::Reply& reply) {
  if (const auto* deliver = std::get_if<wire::Deliver>(&reply)) on_deliver(*deliver);
  if (const auto* ended = std::get_if<wire::Ended>(&reply)) on_ended(*ended);
  if (const auto* done = std::get_if<wire::Done>(&reply)) on_done(*done);
  if (const auto* refused = std::get_if<wire::Refused>(&reply)) on_refused(*refused);
}

void WorkerLoop::on_deliver(const wire::Deliver& deliver) {
  for (const wire::Deliver::Item& item : deliver.items) {
    Result<Fields> spec = unpacker_.unpack(item.spec);
    const TaskId task = spec ? spec->id() : TaskId{};
    const auto [place, fresh] = held_.try_emplace(item.token.value);
    if (!fresh) continue;
    Held& held = place->second;
    held.job = std::make_shared<Job>(crew_, Job::Lease{task, item.token, item.attempt}, item.spec);
    credit_ -= std::min<std::uint64_t>(credit_, 1);
    ++working_;
    ++occupied_;
    if (lease_ == Duration{0} || item.lease < lease_) lease_ = item.lease;
    if (stopping_) {
      give_back(item.token.value, held);
    } else {
      jobs_.push_back(held.job);
    }
  }
  crew_.give(jobs_);
}

void WorkerLoop::on_ended(const wire::Ended& ended) {
  for (const wire::Ended::Item& item : ended.items) {
    const auto found = held_.find(item.token.value);
    if (found == held_.end()) continue;
    found->second.ended = true;
    found->second.job->request_stop();
  }
}

void WorkerLoop::on_done(const wire::Done& done) {
  const auto answer = [&](std::size_t i) {
    return i < done.items.size() ? done.items[i]
                                 : wire::Done::Item{Code::internal, false, "no answer"};
  };
  if (const auto sent = settles_.extract(done.correlation)) {
    const std::vector<Token>& tokens = sent.mapped().tokens;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      on_settle_answer(tokens[i], answer(i).code, answer(i).message);
    }
  } else if (const auto output = outputs_.extract(done.correlation)) {
    on_output_answer(output.mapped(), answer(0).code);
  } else if (const auto resume = resumes_.extract(done.correlation)) {
    const std::vector<Token>& tokens = resume.mapped();
    for (std::size_t i = 0; i < tokens.size(); ++i) on_resume_answer(tokens[i], answer(i).code);
    if (resumes_.empty()) repeat_unanswered();
  } else if (std::find(works_.begin(), works_.end(), done.correlation) != works_.end()) {
    on_work_answer(done.correlation, answer(0).code, answer(0).message);
  }
}

// A whole request was refused: the same for each of its items.
void WorkerLoop::on_refused(const wire::Refused& refused) {
  // The engine could not read a request so far that it knew which one it was.
  if (refused.correlation == 0) {
    on_refused_session({refused.code, std::string(refused.message)});
    return;
  }
  if (on_work_answer(refused.correlation, refused.code, refused.message)) return;
  if (const auto sent = settles_.extract(refused.correlation)) {
    credit_ -= std::min<std::uint64_t>(credit_, sent.mapped().agains);
    for (const Token token : sent.mapped().tokens) {
      on_settle_answer(token, refused.code, refused.message);
    }
  } else if (const auto output = outputs_.extract(refused.correlation)) {
    on_output_answer(output.mapped(), refused.code);
  } else if (const auto resume = resumes_.extract(refused.correlation)) {
    for (const Token token : resume.mapped()) on_resume_answer(token, refused.code);
    if (resumes_.empty()) repeat_unanswered();
  }
}

void WorkerLoop::on_refused_session(const Error& error) {
  if (passes(error.code)) return;  // the link goes on trying
  outcome_ = error;
  failed_ = true;
}

bool WorkerLoop::on_work_answer(Correlation correlation, Code code, std::string_view message) {
  if (std::erase(works_, correlation) == 0) return false;
  if (code == Code::ok) return true;
  if (!passes(code) && code != Code::internal) {
    on_refused_session({code, std::string(message)});
    return true;
  }
  credit_ = 0;
  next_top_up_ = now_ + kWorkAgainAfter;
  return true;
}

void WorkerLoop::on_resume_answer(Token token, Code code) {
  const auto found = held_.find(token);
  if (found == held_.end() || code == Code::ok) return;
  if (passes(code)) resume_again_ = now_ + kWorkAgainAfter;
  // A settle of before the reconnect is still repeated: it may have been accepted then.
  if (!is_over_for(code)) return;
  found->second.no_again = true;  // it is of no subscription
  if (!found->second.working) return;
  found->second.ended = true;
  found->second.job->request_stop();
}

// --- What follows ------------------------------------------------------------------------------

// How many tasks the engine should be ready to hand out.
std::uint64_t WorkerLoop::wanted() const {
  std::uint64_t wanted = capacity_ - std::min(capacity_, occupied_);
  if (options_.tasks_max == 0) return wanted;
  // Each that is held may be one of them. One whose lease was lost is not, so another is asked for.
  const std::uint64_t settled_or_held = settled_ + held_.size();
  return std::min(wanted, options_.tasks_max - std::min(options_.tasks_max, settled_or_held));
}

// Once work is under way, the `again` of settles keeps the credit up and this does nothing.
void WorkerLoop::top_up() {
  if (stopping_ || !may_send() || now_ < next_top_up_ || credit_ >= wanted()) return;
  wire::Work work;
  work.correlation = link_.next_correlation();
  work.subscription = kSubscription;
  work.credit = static_cast<std::int64_t>(wanted() - credit_);
  work.lease = options_.lease;
  work.queues.assign(options_.queues.begin(), options_.queues.end());
  if (!say(work)) return;
  credit_ = wanted();
  works_.push_back(work.correlation);
}

void WorkerLoop::heartbeat() {
  if (!link_.ready()) return;
  if (now_ >= last_said_ + silence_max() / 3) say(wire::Ping{});
}

// How long the engine hears nothing before it takes this worker for gone. Until it has said so with
// a delivery: what was asked for, as the engine bounds it.
Duration WorkerLoop::silence_max() const {
  if (lease_ != Duration{0}) return lease_;
  if (options_.lease <= Duration{0}) return link_.facts().lease_default;
  return std::clamp(options_.lease, SessionLimits{}.lease_min, SessionLimits{}.lease_max);
}

// --- The end -----------------------------------------------------------------------------------

void WorkerLoop::follow_stop() {
  const bool had_enough = options_.tasks_max != 0 && settled_ >= options_.tasks_max;
  if (!stopping_ && (stop_requested_ || had_enough)) begin_stop();
  if (!stopping_) return;
  if (now_ >= grace_end_ && working_ != 0) {
    for (auto& [token, held] : held_) {
      if (!held.working) continue;
      held.job->request_stop();
      give_back(token, held);
    }
  }
  if (working_ == 0 && !give_up_) give_up_ = now_ + std::min(options_.engine.patience, kGraceMax);
}

void WorkerLoop::begin_stop() {
  stopping_ = true;
  grace_end_ = now_ + std::min(options_.grace, kGraceMax);
  for (const std::shared_ptr<Job>& job : crew_.take_unstarted()) {
    const auto found = held_.find(job->token().value);
    if (found != held_.end()) give_back(found->first, found->second);
  }
  withdraw();
}

// Its answer comes behind the last task that was handed out before it.
void WorkerLoop::withdraw() {
  if (credit_ == 0 || !link_.ready()) return;
  wire::Work work;
  work.correlation = link_.next_correlation();
  work.subscription = kSubscription;
  work.credit = -static_cast<std::int64_t>(credit_);
  work.lease = options_.lease;
  work.queues.assign(options_.queues.begin(), options_.queues.end());
  if (say(work)) works_.push_back(work.correlation);
  credit_ = 0;
}

milliseconds WorkerLoop::pause() const {
  TimePoint next = now_ + kPauseMax;
  const auto by = [&](TimePoint at) { next = std::min(next, at); };
  if (link_.ready()) {
    by(last_said_ + silence_max() / 3);
    if (resumes_.empty()) {
      for (const Token token : speaking_) {
        const auto found = held_.find(token);
        if (found != held_.end() && found->second.output_sent == 0) by(found->second.quiet_until);
      }
      if (resume_again_) by(std::max(*resume_again_, blocked_until_));
      if (!to_settle_.empty()) by(blocked_until_);
      if (!stopping_ && credit_ < wanted()) by(std::max(next_top_up_, blocked_until_));
    }
  }
  for (const Later& later : later_) by(later.at);
  if (stopping_) by(working_ != 0 ? grace_end_ : give_up_.value_or(next));
  return std::clamp(std::chrono::ceil<milliseconds>(next - now_), milliseconds{0}, kPauseMax);
}

}  // namespace jack

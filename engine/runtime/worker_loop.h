// A worker's conversation with its engine: takes tasks for the crew, keeps their leases alive,
// passes on what handlers say, settles, and sets all of it up again after a reconnect.
//
// What has to hold over reconnects is kept by lease token: `held_` is what this worker is
// responsible for, from a task's delivery until the answer to its settle.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include <jack_engine/worker.h>

#include "engine/runtime/crew.h"
#include "engine/runtime/link.h"

namespace jack {

// One thread, that of run(), unless said otherwise.
class WorkerLoop {
 public:
  WorkerLoop(Link link, const WorkerOptions& options, Crew& crew, wire::Wake& wake);

  // Returns when everything is settled or given back after a stop, or when the engine refuses the
  // worker for good.
  Result<void> run();

  // Takes no more tasks, and lets run() return after the grace time at the latest. Any thread.
  void request_stop() {
    stop_requested_ = true;
    wake_.set();
  }

  // Attempts whose settle the engine has accepted. Any thread.
  std::uint64_t settled() const { return settled_; }

 private:
  using SteadyClock = std::chrono::steady_clock;
  using TimePoint = SteadyClock::time_point;
  using Correlation = wire::Correlation;
  using Token = std::uint64_t;  // a LeaseToken's value

  static constexpr std::size_t kBatchItemsMax = 1000;
  static constexpr std::chrono::milliseconds kBlockedFor{20};

  struct Held {
    std::shared_ptr<Job> job;
    bool ended = false;           // the engine says that the lease is over
    bool working = true;          // its handler has not returned, or not begun
    bool occupies = true;         // a place in this worker, until its settle is ready to be sent
    bool speaking = false;        // in speaking_
    bool settling = false;        // in to_settle_, settles_ or later_
    bool no_again = false;        // its `again` has been said already
    TimePoint quiet_until{};      // the next output or progress goes out then
    std::string output;           // not known to be kept by the engine
    Correlation output_sent = 0;  // 0: none under way
    std::size_t output_sent_bytes = 0;
    std::uint32_t output_tries = 0;  // refused for now, since something was taken
    std::optional<Settlement> settlement;
    std::optional<Duration> took;         // by its handler
    std::vector<std::string> follow_ups;  // encoded, so that a repeat has the same ids
    bool replaced = false;  // the settlement is ours, after the engine refused the handler's
    std::uint32_t settle_tries = 0;
  };
  struct SentSettle {
    std::vector<Token> tokens;
    std::uint32_t agains = 0;
  };
  struct Later {
    TimePoint at;
    Token token = 0;
  };

  // worker_loop.cc: the session with the engine
  void on_news(Link::News news);
  void on_renewed();
  void resume_all();
  void repeat_unanswered();
  void on_reply(const wire::Reply& reply);
  void on_deliver(const wire::Deliver& deliver);
  void on_ended(const wire::Ended& ended);
  void on_done(const wire::Done& done);
  void on_refused(const wire::Refused& refused);
  void on_refused_session(const Error& error);
  bool on_work_answer(Correlation correlation, Code code, std::string_view message);
  void on_resume_answer(Token token, Code code);
  std::uint64_t wanted() const;
  void top_up();
  void heartbeat();
  void follow_stop();
  void begin_stop();
  void withdraw();
  bool is_over() const;
  Duration silence_max() const;
  std::chrono::milliseconds pause() const;

  // worker_settle.cc: what handlers say and return
  void take_from_crew();
  void on_finished(Finished finished);
  void settle_when_said(Token token, Held& held);
  void give_back(Token token, Held& held);
  void speak();
  bool speak_of(Token token, Held& held);
  bool send_output(Token token, Held& held);
  void on_output_answer(Token token, Code code);
  void settle();
  bool send_settles();
  wire::Settle::Item settle_item(Held& held);
  void check_size(Held& held);
  void replace(Held& held, const Error& error);
  void on_settle_answer(Token token, Code code, std::string_view message);
  void report(const Held& held, Code answer);
  void repeat_later();
  std::chrono::milliseconds back_off(std::uint32_t tries);

  // Passes by itself, so the same may be asked again later.
  static bool passes(Code code) {
    return code == Code::unavailable || code == Code::stopped || code == Code::queue_full ||
           code == Code::storage_full || code == Code::rate_limited || code == Code::timed_out;
  }
  // The task is no longer this worker's affair.
  static bool is_over_for(Code code) {
    return code == Code::lease_lost || code == Code::not_found || code == Code::failed_precondition;
  }

  bool may_send() const { return link_.ready() && resumes_.empty() && now_ >= blocked_until_; }
  template <typename Message>
  bool say(const Message& message) {
    last_said_ = now_;
    if (link_.say(message)) return true;
    if (link_.ready()) blocked_until_ = now_ + kBlockedFor;
    return false;
  }

  Link link_;
  const WorkerOptions options_;
  const std::uint64_t capacity_;  // tasks held at a time
  Crew& crew_;
  wire::Wake& wake_;
  std::minstd_rand random_{std::random_device{}()};
  std::atomic<bool> stop_requested_{false};
  std::atomic<std::uint64_t> settled_{0};

  TimePoint now_;
  TimePoint last_said_{};
  TimePoint blocked_until_{};              // the socket's queue was full
  std::optional<TimePoint> resume_again_;  // after the engine could not take one
  TimePoint next_top_up_{};                // after the engine could not take one
  Duration lease_{0};                      // the shortest delivered so far; 0: none yet
  std::uint64_t credit_ = 0;               // tasks that the engine may still hand out
  std::uint64_t working_ = 0;              // of those held
  std::uint64_t occupied_ = 0;             // by those held

  std::unordered_map<Token, Held> held_;
  std::vector<Token> speaking_;  // with output or progress to pass on
  std::vector<Token> to_settle_;
  std::vector<Later> later_;                             // settles that the engine could not take
  std::unordered_map<Correlation, SentSettle> settles_;  // under way
  std::unordered_map<Correlation, Token> outputs_;       // under way
  std::unordered_map<Correlation, std::vector<Token>> resumes_;  // under way
  std::vector<Correlation> works_;                               // under way

  std::vector<std::shared_ptr<Job>> jobs_;  // on their way to the crew
  Crew::Returned returned_;
  Unpacker unpacker_;

  bool stopping_ = false;
  TimePoint grace_end_{};
  std::optional<TimePoint> give_up_;  // of waiting for answers, once no handler runs
  Result<void> outcome_;
  bool failed_ = false;
};

}  // namespace jack

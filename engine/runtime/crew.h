// The threads of a worker that run its handlers, and what passes between them and the thread that
// talks to the engine.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <jack_engine/worker.h>

#include "engine/guarded_by.h"
#include "engine/wire/wake.h"

namespace jack {

class Crew;

// One attempt on its way through a worker. Its handler uses it as an Attempt; the rest is for the
// link's thread.
class Job final : public Attempt {
 public:
  struct Lease {
    TaskId task;
    LeaseToken token;
    std::uint32_t attempt = 0;
  };

  Job(Crew& crew, const Lease& lease, std::string_view spec)
      : crew_(crew), lease_(lease), encoded_(spec) {}

  const TaskSpec& task() const override { return spec_; }
  std::uint32_t number() const override { return lease_.attempt; }
  LeaseToken token() const override { return lease_.token; }
  std::stop_token stop_token() const override;
  void progress(double fraction, std::string_view note) override;
  // Waits while as much is unsent as may be, until there is room or the lease has ended.
  void output(std::string_view bytes) override;

  const TaskId& id() const { return lease_.task; }
  std::string_view encoded_spec() const { return encoded_; }
  void request_stop();

  // What the handler has said and nobody has been told yet.
  struct Said {
    std::string output;
    std::optional<std::uint32_t> progress_permille;
    std::string note;
    bool more = false;  // output beyond what was asked for
  };
  std::size_t unsaid_bytes() const;
  Said take(std::size_t output_bytes_max);

  // On a thread of the crew: runs the handler, whatever it throws.
  Settlement run(const Handler& handler);

 private:
  Crew& crew_;
  const Lease lease_;
  const std::string encoded_;
  TaskSpec spec_;  // decoded by run()

  // The handler, and any thread it starts, speaks and asks; the link listens and tells.
  mutable std::mutex mutex_;
  std::condition_variable room_;  // for more output, or the lease has ended
  Said said_ JACK_GUARDED_BY(mutex_);
  bool speaking_ JACK_GUARDED_BY(mutex_) = false;  // the link has been told to listen
  bool stopped_ JACK_GUARDED_BY(mutex_) = false;
  // Made once a handler asks for it: most never do.
  mutable std::stop_source stop_ JACK_GUARDED_BY(mutex_){std::nostopstate};
};

struct Finished {
  std::shared_ptr<Job> job;
  Settlement settlement;
  Duration took{0};
};

// give(), take() and the like from the link's thread; `wake` is set when there is something to
// take.
class Crew {
 public:
  Crew(Handler handler, wire::Wake& wake) : handler_(std::move(handler)), wake_(wake) {}
  ~Crew() { finish_all(); }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  void start(std::uint32_t threads);
  void give(std::vector<std::shared_ptr<Job>>& jobs);  // leaves `jobs` empty

  struct Returned {
    std::vector<Finished> finished;
    std::vector<LeaseToken> speaking;  // those whose handlers have something to say
  };
  void take(Returned& returned);

  // Those that no handler has begun.
  std::deque<std::shared_ptr<Job>> take_unstarted();

  // Begins nothing any more, and waits for the handlers that run.
  void finish_all();

  // Whether the calling thread is one of this crew.
  bool is_here() const;

 private:
  friend class Job;

  void run();
  std::shared_ptr<Job> next();
  void finish(Finished finished);
  void speak(Job& job);

  const Handler handler_;
  wire::Wake& wake_;
  std::vector<std::thread> threads_;

  // Handed from the link to the handlers.
  std::mutex jobs_mutex_;
  std::condition_variable some_jobs_;
  std::deque<std::shared_ptr<Job>> jobs_ JACK_GUARDED_BY(jobs_mutex_);
  bool closed_ JACK_GUARDED_BY(jobs_mutex_) = false;

  // Handed from the handlers to the link.
  std::mutex returned_mutex_;
  Returned returned_ JACK_GUARDED_BY(returned_mutex_);
  bool woken_ JACK_GUARDED_BY(returned_mutex_) = false;
};

}  // namespace jack

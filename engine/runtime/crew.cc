#include "engine/runtime/crew.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <utility>

#include "engine/format/spec.h"
#include "engine/thread_name.h"

namespace jack {
namespace {

// Output that waits in a worker, of one attempt. As much as an engine keeps of a task by default.
constexpr std::size_t kUnsaidBytesMax = 1 << 20;

// Whose crew a thread belongs to.
thread_local const Crew* crew_of_thread = nullptr;

std::uint32_t to_permille(double fraction) {
  if (!(fraction > 0)) return 0;  // and so NaN
  return static_cast<std::uint32_t>(std::lround(std::min(fraction, 1.0) * 1000));
}

}  // namespace

std::stop_token Job::stop_token() const {
  const std::lock_guard lock(mutex_);
  if (!stop_.stop_possible()) {
    stop_ = std::stop_source();
    if (stopped_) stop_.request_stop();
  }
  return stop_.get_token();
}

void Job::request_stop() {
  std::stop_source stop(std::nostopstate);
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    stop = stop_;
    room_.notify_all();
  }
  stop.request_stop();  // runs the handler's callbacks, which may ask this job anything
}

void Job::progress(double fraction, std::string_view note) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    said_.progress_permille = to_permille(fraction);
    said_.note = note;
    first = !std::exchange(speaking_, true);
  }
  if (first) crew_.speak(*this);
}

void Job::output(std::string_view bytes) {
  while (!bytes.empty()) {
    bool first = false;
    {
      std::unique_lock lock(mutex_);
      room_.wait(lock, [this] { return stopped_ || said_.output.size() < kUnsaidBytesMax; });
      if (stopped_) return;  // nobody would hear it
      const std::string_view part = bytes.substr(0, kUnsaidBytesMax - said_.output.size());
      said_.output += part;
      bytes.remove_prefix(part.size());
      first = !std::exchange(speaking_, true);
    }
    if (first) crew_.speak(*this);
  }
}

std::size_t Job::unsaid_bytes() const {
  const std::lock_guard lock(mutex_);
  return said_.output.size();
}

Job::Said Job::take(std::size_t output_bytes_max) {
  const std::lock_guard lock(mutex_);
  Said said = std::exchange(said_, {});
  if (said.output.size() > output_bytes_max) {
    said_.output = said.output.substr(output_bytes_max);
    said.output.resize(output_bytes_max);
    said.more = true;
  }
  speaking_ = said.more;
  room_.notify_all();
  return said;
}

Settlement Job::run(const Handler& handler) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return Settlement::release();
  }
  Unpacker unpacker;
  Result<SpecView> spec = decode_spec(unpacker, encoded_);
  if (!spec)
    return Settlement::fail("this worker cannot read the task: " + to_string(spec.error()));
  spec_ = to_spec(*spec);
  try {
    return handler(*this);
  } catch (const std::exception& error) {
    return Settlement::fail(error.what());
  } catch (...) {
    return Settlement::fail("the handler threw something that is no std::exception");
  }
}

void Crew::start(std::uint32_t threads) {
  threads_.reserve(threads);
  for (std::uint32_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

void Crew::give(std::vector<std::shared_ptr<Job>>& jobs) {
  if (jobs.empty()) return;
  {
    const std::lock_guard lock(jobs_mutex_);
    for (std::shared_ptr<Job>& job : jobs) jobs_.push_back(std::move(job));
  }
  if (jobs.size() == 1) {
    some_jobs_.notify_one();
  } else {
    some_jobs_.notify_all();
  }
  jobs.clear();
}

void Crew::take(Returned& returned) {
  const std::lock_guard lock(returned_mutex_);
  std::swap(returned, returned_);
  woken_ = false;
}

std::deque<std::shared_ptr<Job>> Crew::take_unstarted() {
  const std::lock_guard lock(jobs_mutex_);
  return std::exchange(jobs_, {});
}

void Crew::finish_all() {
  {
    const std::lock_guard lock(jobs_mutex_);
    closed_ = true;
  }
  some_jobs_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

bool Crew::is_here() const { return crew_of_thread == this; }

void Crew::run() {
  name_thread("jack-handler");
  crew_of_thread = this;
  while (std::shared_ptr<Job> job = next()) {
    const auto begun = std::chrono::steady_clock::now();
    Settlement settlement = job->run(handler_);
    const auto took = std::chrono::floor<Duration>(std::chrono::steady_clock::now() - begun);
    finish({std::move(job), std::move(settlement), took});
  }
}

std::shared_ptr<Job> Crew::next() {
  std::unique_lock lock(jobs_mutex_);
  some_jobs_.wait(lock, [this] { return closed_ || !jobs_.empty(); });
  if (closed_) return nullptr;
  std::shared_ptr<Job> job = std::move(jobs_.front());
  jobs_.pop_front();
  return job;
}

void Crew::finish(Finished finished) {
  bool wake = false;
  {
    const std::lock_guard lock(returned_mutex_);
    returned_.finished.push_back(std::move(finished));
    wake = !std::exchange(woken_, true);
  }
  if (wake) wake_.set();
}

void Crew::speak(Job& job) {
  bool wake = false;
  {
    const std::lock_guard lock(returned_mutex_);
    returned_.speaking.push_back(job.token());
    wake = !std::exchange(woken_, true);
  }
  if (wake) wake_.set();
}

}  // namespace jack

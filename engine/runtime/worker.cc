#include <utility>

#include <jack_engine/worker.h>

#include "engine/format/spec.h"
#include "engine/runtime/attach.h"
#include "engine/runtime/worker_impl.h"
#include "engine/thread_name.h"

namespace jack {
namespace {

constexpr std::uint32_t kThreadsMax = 1000;

Result<void> check(const WorkerOptions& options, const Handler& handler) {
  if (options.queues.empty() || options.queues.size() > kQueuesPerWorkerMax) {
    return Error{Code::invalid_argument,
                 "a worker has 1–" + std::to_string(kQueuesPerWorkerMax) + " queues"};
  }
  for (const std::string& queue : options.queues) {
    if (is_queue_name(queue)) continue;
    return Error{Code::invalid_argument,
                 "\"" + queue + "\" is no queue name: 1–128 characters of A–Z a–z 0–9 . _ -"};
  }
  if (options.threads < 1 || options.threads > kThreadsMax) {
    return Error{Code::invalid_argument,
                 "a worker has 1–" + std::to_string(kThreadsMax) + " threads"};
  }
  if (!handler) return Error{Code::invalid_argument, "a worker needs a handler"};
  return {};
}

}  // namespace

Settlement Settlement::succeed(std::string result, std::string content_type) {
  Settlement settlement(std::move(result));
  settlement.content_type_ = std::move(content_type);
  return settlement;
}

Settlement Settlement::fail(std::string error, std::optional<Duration> delay) {
  Settlement settlement;
  settlement.outcome_ = Outcome::failed;
  settlement.error_ = std::move(error);
  settlement.delay_ = delay;
  return settlement;
}

Settlement Settlement::fail_for_good(std::string error) {
  Settlement settlement = fail(std::move(error));
  settlement.retry_ = false;
  return settlement;
}

Settlement Settlement::release(Duration delay) {
  Settlement settlement;
  settlement.outcome_ = Outcome::released;
  if (delay != Duration{0}) settlement.delay_ = delay;
  return settlement;
}

Settlement& Settlement::then(TaskSpec follow_up) & {
  follow_ups_.push_back(std::move(follow_up));
  return *this;
}

Settlement&& Settlement::then(TaskSpec follow_up) && {
  follow_ups_.push_back(std::move(follow_up));
  return std::move(*this);
}

Result<std::unique_ptr<Worker::Impl>> Worker::Impl::start(wire::Route route,
                                                          const WorkerOptions& options,
                                                          Handler handler) {
  if (Result<void> ok = check(options, handler); !ok) return ok.error();
  Result<wire::Wake> wake = wire::Wake::open();
  if (!wake) return std::move(wake).error();
  Result<Link> link = Link::open(std::move(route), options.engine.name);
  if (!link) return std::move(link).error();
  return std::unique_ptr<Impl>(
      new Impl(*std::move(link), options, std::move(handler), *std::move(wake)));
}

Worker::Impl::Impl(Link link, const WorkerOptions& options, Handler handler, wire::Wake wake)
    : wake_(std::move(wake)),
      crew_(std::move(handler), wake_),
      loop_(std::move(link), options, crew_, wake_) {
  crew_.start(options.threads);
  thread_ = std::thread([this] {
    name_thread("jack-worker");
    Result<void> outcome = loop_.run();
    crew_.finish_all();
    const std::lock_guard lock(mutex_);
    outcome_ = std::move(outcome);
    ended_.notify_all();
  });
}

Worker::Impl::~Impl() {
  stop();
  thread_.join();
}

void Worker::Impl::stop() {
  loop_.request_stop();
  if (crew_.is_here()) return;  // a handler cannot wait for its own end
  static_cast<void>(wait().has_value());
}

Result<void> Worker::Impl::wait() {
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [this] { return outcome_.has_value(); });
  return *outcome_;
}

Worker::Worker(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Worker::Worker(Worker&&) noexcept = default;
Worker& Worker::operator=(Worker&&) noexcept = default;
Worker::~Worker() = default;

Result<Worker> Worker::start(const WorkerOptions& options, Handler handler) {
  Result<wire::Route> route = wire::route_of(options.engine);
  if (!route) return std::move(route).error();
  Result<std::unique_ptr<Impl>> impl = Impl::start(*std::move(route), options, std::move(handler));
  if (!impl) return std::move(impl).error();
  return Worker(*std::move(impl));
}

Result<Worker> Attach::worker(zmq::context_t& context, const std::string& endpoint,
                              const WorkerOptions& options, Handler handler) {
  Result<std::unique_ptr<Worker::Impl>> impl =
      Worker::Impl::start(wire::route_within(context, endpoint), options, std::move(handler));
  if (!impl) return std::move(impl).error();
  return Worker(*std::move(impl));
}

void Worker::stop() { impl_->stop(); }
Result<void> Worker::wait() { return impl_->wait(); }
std::uint64_t Worker::settled() const { return impl_->settled(); }

}  // namespace jack

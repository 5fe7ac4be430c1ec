#include "transports/testing/harness_impl.h"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "engine/runtime/link.h"

namespace jack::testing {
namespace {

// Handlers and claims have one subscription in their session.
constexpr std::uint32_t kSubscription = 1;

// A handler never falls silent, so its session must not be taken for gone over a long weekend.
constexpr Duration kHandlerLease = std::chrono::hours{12};

std::string make_folder() {
  std::string path = std::filesystem::temp_directory_path() / "jack-harness-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("no temporary folder can be made");
  return path;
}

RigOptions rig_options(const HarnessOptions& options) {
  RigOptions rig;
  rig.transport = options.transport;
  rig.data_dir = options.data_dir;
  rig.limits = options.limits;
  rig.sessions = options.sessions;
  rig.start = options.start;
  return rig;
}

// An attempt as its handler sees it: what it says goes to the engine as messages.
class HarnessAttempt final : public Attempt {
 public:
  HarnessAttempt(Rig& rig, const Lease& lease) : rig_(rig), lease_(lease) {}

  const TaskSpec& task() const override { return lease_.spec; }
  std::uint32_t number() const override { return lease_.attempt; }
  LeaseToken token() const override { return lease_.token; }
  std::stop_token stop_token() const override { return stop_.get_token(); }
  void progress(double fraction, std::string_view note) override {
    wire::Progress message;
    message.items.push_back(
        {lease_.task, lease_.token, static_cast<std::uint32_t>(fraction * 1000), note});
    rig_.mail().send_to_engine(lease_.session, wire::encode(message));
  }
  void output(std::string_view bytes) override {
    wire::Output message;
    message.items.push_back({lease_.task, lease_.token, bytes});
    rig_.mail().send_to_engine(lease_.session, wire::encode(message));
  }

 private:
  Rig& rig_;
  const Lease& lease_;
  std::stop_source stop_;
};

Settlement call(const Handler& handler, Attempt& attempt) {
  try {
    return handler(attempt);
  } catch (const std::exception& thrown) {
    return Settlement::fail(thrown.what());
  } catch (...) {
    return Settlement::fail("the handler threw something that is no std::exception");
  }
}

}  // namespace

Harness::Impl::Impl(const HarnessOptions& options) : options_(options) {
  if (options_.transport == "local" && options_.data_dir.empty()) {
    options_.data_dir = temporary_folder_ = make_folder();
  }
  rig_ = std::make_unique<Rig>(rig_options(options_));
  if (Result<void> opened = rig_->open(); !opened) {
    throw std::runtime_error(to_string(opened.error()));
  }
}

Harness::Impl::~Impl() {
  rig_.reset();
  std::error_code ignored;  // a temporary folder that stays is not worth failing a test for
  if (!temporary_folder_.empty()) std::filesystem::remove_all(temporary_folder_, ignored);
}

SessionId Harness::Impl::greet(const std::string& name, bool in_process) {
  const SessionId session = rig_->mail().connect(in_process, {});
  greet(session, name);
  return session;
}

void Harness::Impl::greet(SessionId session, const std::string& name) {
  names_[session] = name;
  wire::Hello hello;
  hello.correlation = ++last_correlation_;
  hello.name = name;
  rig_->mail().send_to_engine(session, wire::encode(hello));
}

SessionId Harness::Impl::client() {
  if (client_ == 0) client_ = greet("test", false);
  return client_;
}

std::unique_ptr<Answer> Harness::Impl::exchange(SessionId session, const Encode& encode) {
  for (int tries = 0; tries < 2; ++tries) {
    const wire::Correlation correlation = ++last_correlation_;
    rig_->mail().send_to_engine(session, encode(correlation));
    run();
    std::vector<std::unique_ptr<Answer>>& unread = unread_[session];
    for (auto answer = unread.begin(); answer != unread.end(); ++answer) {
      if (correlation_of((*answer)->reply) != correlation) continue;
      std::unique_ptr<Answer> found = std::move(*answer);
      unread.erase(answer);
      if (!std::holds_alternative<wire::Who>(found->reply)) return found;
      break;
    }
    if (rig_->transport().is_holding()) return nullptr;
    greet(session, names_[session]);
  }
  return nullptr;
}

Code Harness::Impl::code_of(const Answer* answer) {
  why = "there is no answer yet";
  if (answer == nullptr) return Code::unavailable;
  if (const auto* refused = std::get_if<wire::Refused>(&answer->reply)) {
    why = refused->message;
    return refused->code;
  }
  const auto& done = std::get<wire::Done>(answer->reply);
  why = done.items.at(0).message;
  return done.items[0].code;
}

void Harness::Impl::run() {
  do {
    rig_->run();
    for (const auto& [session, name] : names_) read_mail(session);
  } while (run_handlers());
}

void Harness::Impl::advance(Duration by) {
  run();
  const SteadyTime end = rig_->clock().now() + by;
  while (rig_->clock().now() < end) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - rig_->clock().now());
    // An engine gives up a handler that it does not hear of, like any silent worker.
    const Duration step = has_handlers() ? std::min<Duration>(left, kHandlerLease / 2) : left;
    keep_handlers_alive();
    if (!rig_->advance_to_next(step)) rig_->advance(step);
    run();
  }
}

bool Harness::Impl::has_handlers() const {
  return std::any_of(workers_.begin(), workers_.end(),
                     [](const auto& each) { return each.second.handler != nullptr; });
}

bool Harness::Impl::advance_to_next(Duration limit) {
  const Duration step = std::min(limit, kHandlerLease / 2);
  keep_handlers_alive();
  bool moved = rig_->advance_to_next(step);
  if (!moved && step < limit) {
    rig_->advance(step);
    moved = true;
  }
  run();
  return moved;
}

void Harness::Impl::keep_handlers_alive() {
  const SteadyTime now = rig_->clock().now();
  if (now < alive_at_ + kHandlerLease / 4) return;
  alive_at_ = now;
  for (const auto& [session, worker] : workers_) {
    if (worker.handler) rig_->mail().send_to_engine(session, wire::encode(wire::Ping{}));
  }
}

bool Harness::Impl::has_scheduled() {
  for (const QueueView& queue : rig_->loop().state().queues()) {
    if (queue.counts.scheduled > 0) return true;
  }
  return false;
}

void Harness::Impl::reopen() {
  if (Result<void> opened = rig_->open(); !opened) {
    throw std::runtime_error(to_string(opened.error()));
  }
  // Their sessions are unknown to it; what answers them says so, and they begin anew.
  unread_.clear();
  to_handle_.clear();
  for (const auto& [session, worker] : workers_) {
    if (!worker.handler) continue;
    greet(session, names_[session]);
    subscribe(session, worker, 1);
  }
  run();
}

void Harness::Impl::read_mail(SessionId session) {
  while (std::optional<std::string> frame = rig_->mail().take(session)) {
    auto answer = std::make_unique<Answer>();
    answer->frame = *std::move(frame);
    Result<wire::Reply> reply = wire::decode_reply(answer->unpacker, answer->frame);
    if (!reply) throw std::runtime_error(to_string(reply.error()));
    answer->reply = *std::move(reply);
    if (const auto* deliver = std::get_if<wire::Deliver>(&answer->reply)) {
      on_deliver(session, *deliver);
    } else if (const auto* ended = std::get_if<wire::Ended>(&answer->reply)) {
      for (const wire::Ended::Item& item : ended->items) ended_[item.token] = item.outcome;
    } else if (correlation_of(answer->reply) != 0 &&
               !std::holds_alternative<wire::Welcome>(answer->reply)) {
      unread_[session].push_back(std::move(answer));
    }
  }
}

std::unique_ptr<Answer> Harness::Impl::take(SessionId session) {
  run();
  std::vector<std::unique_ptr<Answer>>& unread = unread_[session];
  if (unread.empty()) return nullptr;
  std::unique_ptr<Answer> oldest = std::move(unread.front());
  unread.erase(unread.begin());
  return oldest;
}

void Harness::Impl::on_deliver(SessionId session, const wire::Deliver& deliver) {
  const auto worker = workers_.find(session);
  if (worker == workers_.end()) return;
  for (const wire::Deliver::Item& item : deliver.items) {
    const Result<SpecView> spec = decode_spec(unpacker_, item.spec);
    Lease lease{item.token, spec.value().id, item.attempt, session, to_spec(*spec)};
    (worker->second.handler ? to_handle_ : leases_).push_back(std::move(lease));
  }
}

bool Harness::Impl::run_handlers() {
  if (to_handle_.empty()) return false;
  for (const Lease& lease : std::exchange(to_handle_, {})) {
    // A copy: the handler may well call on() and so move what is in the map.
    const Handler handler = workers_.at(lease.session).handler;
    run_handler(lease, handler);
  }
  return true;
}

void Harness::Impl::run_handler(const Lease& lease, const Handler& handler) {
  HarnessAttempt attempt(*rig_, lease);
  const Settlement settlement = call(handler, attempt);
  std::vector<std::string> specs;
  for (TaskSpec spec : settlement.follow_ups()) {
    if (spec.parent.empty()) spec.parent = lease.task;
    specs.push_back(encode_spec(spec));
  }
  wire::Settle::Item item;
  item.task = lease.task;
  item.token = lease.token;
  item.outcome = settlement.outcome();
  item.again = true;
  item.result = settlement.result();
  item.content_type = settlement.content_type();
  item.error = settlement.error();
  item.retry = settlement.retry();
  item.delay = settlement.delay();
  item.follow_ups.assign(specs.begin(), specs.end());
  rig_->mail().send_to_engine(lease.session, wire::encode(wire::Settle{0, {item}}));
}

TaskId Harness::Impl::fresh_id() {
  // Ids made within one virtual millisecond grow by the 12 bits behind the time.
  ++made_ids_;
  return TaskId::from(rig_->clock().wall_now(), made_ids_ & 0x0fff,
                      options_.seed * 0x9e3779b97f4a7c15u + made_ids_);
}

std::string Harness::Impl::encode_spec(TaskSpec& spec) {
  if (spec.id.empty()) spec.id = fresh_id();
  std::string encoded;
  encode(spec, encoded);
  return encoded;
}

void Harness::Impl::subscribe(SessionId session, const Worker& worker, std::int64_t credit) {
  wire::Work work;
  work.correlation = ++last_correlation_;
  work.subscription = kSubscription;
  work.credit = credit;
  work.lease = worker.handler ? kHandlerLease : worker.lease;
  work.queues = {worker.queue};
  rig_->mail().send_to_engine(session, wire::encode(work));
}

SessionId Harness::Impl::add_worker(Worker worker) {
  const SessionId session = greet(worker.name, worker.in_process || worker.handler);
  subscribe(session, worker, 1);
  workers_[session] = std::move(worker);
  run();
  return session;
}

}  // namespace jack::testing

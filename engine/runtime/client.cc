#include <algorithm>
#include <utility>
#include <variant>

#include <jack_engine/client.h>

#include "engine/format/spec.h"
#include "engine/format/status.h"
#include "engine/runtime/attach.h"
#include "engine/runtime/client_impl.h"
#include "engine/runtime/replies.h"
#include "engine/wire/socket.h"

namespace jack {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kOutputBytesMax = 1 << 20;  // of one read_output()

}  // namespace

Result<std::unique_ptr<Client::Impl>> Client::Impl::open(wire::Route route,
                                                         const ClientOptions& options) {
  Result<Link> link = Link::open(std::move(route), options.name);
  if (!link) return std::move(link).error();
  return std::unique_ptr<Impl>(new Impl(*std::move(link), options.patience));
}

template <typename Encode>
Result<wire::Reply> Client::Impl::call(Encode encode) {
  return exchange(std::move(encode), false);
}

template <typename Encode>
Result<wire::Reply> Client::Impl::call_over_restarts(Encode encode) {
  return exchange(std::move(encode), !link_.in_process());
}

bool Client::Impl::send(std::string frame) {
  if (!link_.send(std::move(frame))) return false;
  ++sends_;
  return true;
}

template <typename Encode>
Result<wire::Reply> Client::Impl::exchange(Encode encode, bool over_restarts) {
  if (watching_) {
    return Error{Code::failed_precondition, "this client is watching; use another one meanwhile"};
  }
  const wire::Correlation correlation = link_.next_correlation();
  std::string frame = encode(correlation);
  if (frame.size() > wire::kRequestBytesMax) {
    return Error{Code::payload_too_large, "one request may have " +
                                              std::to_string(wire::kRequestBytesMax) +
                                              " bytes; send it in parts"};
  }
  SteadyClock::time_point now = SteadyClock::now();
  Patience patience(patience_, now);
  Patience until_it_passes = patience;  // counted from the first refusal
  std::optional<Error> passing;
  SteadyClock::time_point next_try{};  // after such a refusal
  sends_ = 0;
  bool sent = link_.ready() && send(std::move(frame));
  for (;;) {
    const auto rest = std::chrono::ceil<milliseconds>(next_try - now);
    const Link::News news =
        link_.wait(patience.pause(now, sent || !passing ? milliseconds::max() : rest));
    now = SteadyClock::now();
    if (news == Link::News::closed) return Error{Code::stopped, "the engine has been stopped"};
    if (news == Link::News::lost) {
      sent = false;
      patience.renew(now);
    }
    if (news == Link::News::renewed) sent = send(encode(correlation));
    if (news == Link::News::refused) {
      if (!over_restarts || !passes(link_.refusal().code)) return link_.refusal();
    }
    if (news == Link::News::reply) {
      patience.renew(now);
      const auto* refused = std::get_if<wire::Refused>(&link_.reply());
      // The engine could not read a request so far that it knew which one it was.
      if (refused != nullptr && refused->correlation == 0) return to_error(*refused);
      if (correlation_of(link_.reply()) != correlation) continue;
      if (refused == nullptr) return std::move(link_.reply());
      if (!over_restarts || !passes(refused->code)) return to_error(*refused);
      if (!passing) until_it_passes.renew(now);
      passing = to_error(*refused);
      next_try = now + some_time();
      sent = false;
    }
    if (passing && until_it_passes.over(now)) return *passing;
    if (patience.over(now)) return link_.unreachable();
    if (patience.ping_is_due(now)) patience.pinged(now, say_ping());
    if (!sent && link_.ready() && now >= next_try) {
      sent = send(encode(correlation));
    }
  }
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Result<Client> Client::connect(const ClientOptions& options) {
  Result<wire::Route> route = wire::route_of(options);
  if (!route) return std::move(route).error();
  Result<std::unique_ptr<Impl>> impl = Impl::open(*std::move(route), options);
  if (!impl) return std::move(impl).error();
  return Client(*std::move(impl));
}

Result<Client> Attach::client(zmq::context_t& context, const std::string& endpoint,
                              const ClientOptions& options) {
  Result<std::unique_ptr<Client::Impl>> impl =
      Client::Impl::open(wire::route_within(context, endpoint), options);
  if (!impl) return std::move(impl).error();
  return Client(*std::move(impl));
}

Result<TaskId> Client::submit(TaskSpec spec) {
  if (spec.id.empty()) spec.id = new_task_id();
  std::string encoded;
  encode(spec, encoded);
  Result<void> done = expect_done(impl_->call([&](wire::Correlation correlation) {
    return wire::encode(wire::Submit{correlation, {encoded}});
  }));
  if (!done) return std::move(done).error();
  return spec.id;
}

namespace {

// Tasks on their way into one request: their specs encoded one behind the other.
class NewTasks {
 public:
  void add(const TaskSpec& spec, const RecordedTask* recorded) {
    ids_.push_back(spec.id.empty() ? new_task_id() : spec.id);
    if (spec.id.empty()) {
      TaskSpec named = spec;
      named.id = ids_.back();
      encode(named, encoded_);
    } else {
      encode(spec, encoded_);
    }
    ends_.push_back(encoded_.size());
    recorded_.push_back(recorded);
  }

  std::string request(wire::Correlation correlation) const {
    wire::Submit submit;
    submit.correlation = correlation;
    std::size_t begin = 0;
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      wire::NewTask task(std::string_view(encoded_).substr(begin, ends_[i] - begin));
      if (recorded_[i] != nullptr && recorded_[i]->result) {
        task.result = *recorded_[i]->result;
        task.content_type = recorded_[i]->content_type;
      }
      submit.tasks.push_back(std::move(task));
      begin = ends_[i];
    }
    return wire::encode(submit);
  }

  Result<std::vector<Result<Submitted>>> outcomes(const Result<wire::Done>& done) const {
    if (!done) return done.error();
    if (done->items.size() != ids_.size()) return unexpected_answer();
    std::vector<Result<Submitted>> results;
    results.reserve(ids_.size());
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      const wire::Done::Item& item = done->items[i];
      if (item.code == Code::ok) {
        results.emplace_back(Submitted{ids_[i], item.repeated});
      } else {
        results.emplace_back(Error{item.code, std::string(item.message)});
      }
    }
    return results;
  }

 private:
  std::string encoded_;
  std::vector<TaskId> ids_;
  std::vector<std::size_t> ends_;
  std::vector<const RecordedTask*> recorded_;
};

}  // namespace

Result<std::vector<Result<Submitted>>> Client::submit(std::span<const TaskSpec> specs) {
  NewTasks tasks;
  for (const TaskSpec& spec : specs) tasks.add(spec, nullptr);
  return tasks.outcomes(expect<wire::Done>(
      impl_->call([&](wire::Correlation correlation) { return tasks.request(correlation); })));
}

Result<std::vector<Result<Submitted>>> Client::record(std::span<const RecordedTask> recorded) {
  NewTasks tasks;
  for (const RecordedTask& task : recorded) tasks.add(task.spec, &task);
  return tasks.outcomes(expect<wire::Done>(
      impl_->call([&](wire::Correlation correlation) { return tasks.request(correlation); })));
}

Result<TaskResult> Client::wait(const TaskId& task, Duration timeout) {
  const auto end = std::chrono::steady_clock::now() + std::min(timeout, kClientWaitMax);
  const auto left = [end] {
    const auto rest = std::chrono::ceil<milliseconds>(end - std::chrono::steady_clock::now());
    return std::max(rest, milliseconds{0});
  };
  Result<wire::ResultMessage> message = unexpected_answer();
  do {  // an engine waits less long than a caller may
    message =
        expect<wire::ResultMessage>(impl_->call_over_restarts([&](wire::Correlation correlation) {
          return wire::encode(wire::Wait{correlation, task, left()});
        }));
  } while (!message && message.error().code == Code::timed_out && left() > milliseconds{0});
  if (!message) return std::move(message).error();
  TaskResult result;
  result.task = message->task;
  result.state = message->state;
  result.result = message->result;
  result.content_type = message->content_type;
  result.error = message->error;
  return result;
}

Result<Task> Client::get(const TaskId& task, bool with_payload) {
  Result<wire::TaskMessage> message =
      expect<wire::TaskMessage>(impl_->call([&](wire::Correlation correlation) {
        return wire::encode(wire::Get{correlation, task, with_payload});
      }));
  if (!message) return std::move(message).error();
  return to_task(message->spec, message->status, message->wall_offset);
}

Result<TaskPage> Client::list(const ListFilter& filter) {
  Result<wire::Page> page = expect<wire::Page>(impl_->call([&](wire::Correlation correlation) {
    wire::List request;
    request.correlation = correlation;
    request.queue = filter.queue;
    request.state = filter.state;
    request.before = filter.before;
    request.count = filter.count_max;
    request.finished_too = filter.finished_too;
    request.type = filter.type;
    request.parent = filter.parent;
    return wire::encode(request);
  }));
  if (!page) return std::move(page).error();
  TaskPage result;
  result.next = page->next;
  result.tasks.reserve(page->tasks.size());
  for (const wire::Page::Item& item : page->tasks) {
    Result<Task> task = to_task(item.spec, item.status, page->wall_offset);
    if (!task) return std::move(task).error();
    result.tasks.push_back(*std::move(task));
  }
  return result;
}

Result<std::vector<QueueStatus>> Client::queues() {
  Result<wire::QueueList> list = expect<wire::QueueList>(impl_->call(
      [](wire::Correlation correlation) { return wire::encode(wire::Queues{correlation}); }));
  if (!list) return std::move(list).error();
  std::vector<QueueStatus> queues;
  queues.reserve(list->queues.size());
  for (const wire::QueueItem& item : list->queues) queues.push_back(to_status(item));
  return queues;
}

Result<OutputPart> Client::read_output(const TaskId& task, std::uint64_t offset) {
  Result<wire::OutputBytes> message =
      expect<wire::OutputBytes>(impl_->call([&](wire::Correlation correlation) {
        return wire::encode(wire::ReadOutput{correlation, task, offset, kOutputBytesMax});
      }));
  if (!message) return std::move(message).error();
  return OutputPart{std::string(message->bytes), message->total, message->terminal};
}

Result<void> Client::cancel(const TaskId& task, std::string_view reason) {
  return expect_done(impl_->call([&](wire::Correlation correlation) {
    return wire::encode(wire::Cancel{correlation, {task}, reason});
  }));
}

namespace {

wire::Settle::Item success_without_lease(const TaskId& task, std::string_view result,
                                         std::string_view content_type) {
  wire::Settle::Item item;
  item.task = task;
  item.token = kNoLease;
  item.outcome = Outcome::succeeded;
  item.result = result;
  item.content_type = content_type;
  return item;
}

}  // namespace

Result<void> Client::complete(const TaskId& task, std::string_view result,
                              std::string_view content_type) {
  return expect_done(impl_->call([&](wire::Correlation correlation) {
    return wire::encode(
        wire::Settle{correlation, {success_without_lease(task, result, content_type)}});
  }));
}

Result<std::vector<Result<Completed>>> Client::complete(std::span<const Completion> completions) {
  const Result<wire::Done> done =
      expect<wire::Done>(impl_->call([&](wire::Correlation correlation) {
        wire::Settle settle{correlation, {}};
        for (const Completion& each : completions) {
          settle.items.push_back(success_without_lease(each.task, each.result, each.content_type));
        }
        return wire::encode(settle);
      }));
  if (!done) return done.error();
  if (done->items.size() != completions.size()) return unexpected_answer();
  std::vector<Result<Completed>> outcomes;
  outcomes.reserve(done->items.size());
  for (const wire::Done::Item& item : done->items) {
    if (item.code == Code::ok) {
      outcomes.emplace_back(Completed{item.repeated});
    } else {
      outcomes.emplace_back(Error{item.code, std::string(item.message)});
    }
  }
  return outcomes;
}

Result<void> Client::retry(const TaskId& task) {
  const Result<Task> before = get(task);
  if (!before) return before.error();
  Result<void> done = expect_done(impl_->call([&](wire::Correlation correlation) {
    return wire::encode(wire::Retry{correlation, {task}});
  }));
  if (done || done.error().code != Code::failed_precondition || !impl_->repeated()) return done;
  // Perhaps the first one did it, and its answer was lost: then the task is in a later cycle.
  const Result<Task> now = get(task);
  if (now && now->status.cycle > before->status.cycle) return {};
  return done;
}

Result<void> Client::annotate(const TaskId& task,
                              const std::map<std::string, std::optional<std::string>>& changes) {
  return expect_done(impl_->call([&](wire::Correlation correlation) {
    wire::Annotate::Item item;
    item.task = task;
    for (const auto& [name, value] : changes) item.changes.push_back({name, value});
    return wire::encode(wire::Annotate{correlation, {std::move(item)}});
  }));
}

Result<void> Client::remove(const TaskId& task) {
  Result<void> done = expect_done(impl_->call([&](wire::Correlation correlation) {
    return wire::encode(wire::Remove{correlation, {task}});
  }));
  // Perhaps the first one did it, and its answer was lost.
  if (!done && done.error().code == Code::not_found && impl_->repeated()) return {};
  return done;
}

Result<void> Client::pause(std::string_view queue) {
  return expect_done(impl_->call([&](wire::Correlation correlation) {
    return wire::encode(wire::Pause{correlation, queue, true});
  }));
}

Result<void> Client::resume(std::string_view queue) {
  return expect_done(impl_->call([&](wire::Correlation correlation) {
    return wire::encode(wire::Pause{correlation, queue, false});
  }));
}

Result<void> Client::watch(const WatchOptions& options,
                           const std::function<bool(const Event&)>& on_event,
                           Duration idle_timeout) {
  return impl_->watch(options, on_event, idle_timeout);
}

Result<std::map<std::string, std::string>> Client::info() {
  Result<wire::EngineInfo> message = expect<wire::EngineInfo>(impl_->call(
      [](wire::Correlation correlation) { return wire::encode(wire::Info{correlation}); }));
  if (!message) return std::move(message).error();
  std::map<std::string, std::string> facts;
  for (const auto& [name, value] : message->facts) facts.emplace(name, value);
  return facts;
}

}  // namespace jack

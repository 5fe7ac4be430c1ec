#include <algorithm>
#include <stdexcept>
#include <utility>

#include <jack_engine/testing/harness.h>

#include "transports/testing/harness_impl.h"

namespace jack::testing {
namespace {

[[noreturn]] void fail_test(const Error& error) { throw std::runtime_error(to_string(error)); }

Error to_error(const wire::Refused& refused) {
  return {refused.code, std::string(refused.message)};
}

// The answer as a message, or the refusal as an error.
template <typename Message>
Result<const Message*> answer_as(const std::unique_ptr<Answer>& answer) {
  if (answer == nullptr) return Error{Code::unavailable, "there is no answer yet"};
  if (const auto* refused = std::get_if<wire::Refused>(&answer->reply)) return to_error(*refused);
  return &std::get<Message>(answer->reply);
}

Task decode_task(std::string_view spec, std::string_view status) {
  Unpacker unpacker;
  Task task;
  task.spec = to_spec(decode_spec(unpacker, spec).value());
  task.status = decode_status(unpacker, status).value();
  return task;
}

wire::Settle::Item item_of(const Lease& lease, Outcome outcome) {
  wire::Settle::Item item;
  item.task = lease.task;
  item.token = lease.token;
  item.outcome = outcome;
  return item;
}

}  // namespace

Harness::Harness(Options options) : impl_(std::make_unique<Impl>(options)) {}
Harness::Harness(Harness&&) noexcept = default;
Harness& Harness::operator=(Harness&&) noexcept = default;
Harness::~Harness() = default;

// --- Tasks ---

TaskId Harness::submit(std::string_view queue, std::string_view payload) {
  TaskSpec spec;
  spec.queue = queue;
  spec.payload = payload;
  return submit(std::move(spec));
}

TaskId Harness::submit(TaskSpec spec) {
  Result<TaskId> task = try_submit(std::move(spec));
  if (!task) fail_test(task.error());
  return *task;
}

Result<TaskId> Harness::try_submit(TaskSpec spec) { return submit_all({&spec, 1}).front(); }

std::vector<Result<TaskId>> Harness::submit_all(std::span<const TaskSpec> specs) {
  std::vector<std::string> encoded;
  std::vector<Result<TaskId>> results;
  for (TaskSpec spec : specs) {
    encoded.push_back(impl_->encode_spec(spec));
    results.push_back(spec.id);
  }
  const auto answer =
      impl_->ask(impl_->client(), wire::Submit{0, {encoded.begin(), encoded.end()}});
  const Result<const wire::Done*> done = answer_as<wire::Done>(answer);
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!done) {
      results[i] = done.error();
    } else if (const auto& item = (*done)->items.at(i); item.code != Code::ok) {
      results[i] = Error{item.code, std::string(item.message)};
    }
  }
  return results;
}

Code Harness::cancel(const TaskId& task, std::string_view reason) {
  return impl_->ask_code(impl_->client(), wire::Cancel{0, {task}, reason});
}

Code Harness::retry(const TaskId& task) {
  return impl_->ask_code(impl_->client(), wire::Retry{0, {task}});
}

Code Harness::pause(std::string_view queue) {
  return impl_->ask_code(impl_->client(), wire::Pause{0, queue, true});
}

Code Harness::resume(std::string_view queue) {
  return impl_->ask_code(impl_->client(), wire::Pause{0, queue, false});
}

// --- What has become of them ---

Result<Task> Harness::get(const TaskId& task) {
  const auto answer = impl_->ask(impl_->client(), wire::Get{0, task, true});
  const Result<const wire::TaskMessage*> message = answer_as<wire::TaskMessage>(answer);
  if (!message) return message.error();
  return decode_task((*message)->spec, (*message)->status);
}

Task Harness::task(const TaskId& task) {
  Result<Task> found = get(task);
  if (!found) fail_test(found.error());
  return *std::move(found);
}

TaskState Harness::state(const TaskId& id) { return task(id).status.state; }

std::string Harness::error(const TaskId& id) { return task(id).status.error; }

std::string Harness::result(const TaskId& id) {
  const Result<TaskResult> outcome = wait(id, Duration{0});
  if (!outcome) fail_test(outcome.error());
  if (outcome->state != TaskState::succeeded) {
    fail_test({Code::failed_precondition, "task " + to_string(id) + " has " +
                                              std::string(name_of(outcome->state)) + ": " +
                                              outcome->error});
  }
  return outcome->result;
}

std::string Harness::output(const TaskId& id) {
  std::string bytes;
  for (;;) {
    const auto answer = impl_->ask(impl_->client(), wire::ReadOutput{0, id, bytes.size(), 1 << 20});
    const Result<const wire::OutputBytes*> part = answer_as<wire::OutputBytes>(answer);
    if (!part) fail_test(part.error());
    bytes += (*part)->bytes;
    if ((*part)->bytes.empty() || bytes.size() >= (*part)->total) return bytes;
  }
}

std::vector<Event> Harness::history(const TaskId& id) {
  std::vector<Event> events;
  const SessionId session = impl_->greet("history", true);
  wire::Watch watch;
  watch.correlation = 1;
  watch.task = id;
  watch.after = Position{};
  watch.credit = 1000;
  impl_->rig().mail().send_to_engine(session, wire::encode(watch));
  Unpacker unpacker;
  while (const auto answer = impl_->take(session)) {
    const Result<const wire::Events*> message = answer_as<wire::Events>(answer);
    if (!message) fail_test(message.error());
    for (const std::string_view event : (*message)->events) {
      events.push_back(to_event(decode_event(unpacker, event).value()));
    }
  }
  impl_->rig().mail().send_to_engine(session, wire::encode(wire::Bye{}));
  impl_->run();
  return events;
}

std::string Harness::story(const TaskId& id) {
  std::string words;
  for (const Event& event : history(id)) {
    if (!words.empty()) words += ' ';
    words += name_of(event.kind);
  }
  return words;
}

std::vector<Task> Harness::submitted(std::string_view queue) {
  std::vector<Task> tasks;
  wire::List list;
  list.queue = queue;
  do {
    const auto answer = impl_->ask(impl_->client(), list);
    const Result<const wire::Page*> page = answer_as<wire::Page>(answer);
    if (!page) fail_test(page.error());
    for (const wire::Page::Item& item : (*page)->tasks) {
      tasks.push_back(decode_task(item.spec, item.status));
    }
    list.before = (*page)->next;
  } while (!list.before.empty());
  for (Task& listed : tasks) listed.spec = task(listed.spec.id).spec;
  std::sort(tasks.begin(), tasks.end(),
            [](const Task& a, const Task& b) { return a.status.serial < b.status.serial; });
  return tasks;
}

Lease Harness::holder(std::string_view queue) {
  const State& engine_state = impl_->rig().loop().state();
  for (auto lease = impl_->leases().rbegin(); lease != impl_->leases().rend(); ++lease) {
    const std::optional<TaskView> view = engine_state.find(lease->task);
    const bool holds =
        view && view->status.state == TaskState::running && view->status.token == lease->token;
    if (holds && lease->spec.queue == queue) return *lease;
  }
  return {};
}

Result<TaskResult> Harness::wait(const TaskId& id, Duration timeout) {
  const SessionId session = impl_->greet("wait", true);
  impl_->rig().mail().send_to_engine(session, wire::encode(wire::Wait{1, id, timeout}));
  std::unique_ptr<Answer> answer = impl_->take(session);
  while (answer == nullptr && impl_->advance_to_next(timeout)) answer = impl_->take(session);
  impl_->rig().mail().send_to_engine(session, wire::encode(wire::Bye{}));
  impl_->run();
  const Result<const wire::ResultMessage*> message = answer_as<wire::ResultMessage>(answer);
  if (!message) return message.error();
  return TaskResult{(*message)->task, (*message)->state, std::string((*message)->result),
                    std::string((*message)->content_type), std::string((*message)->error)};
}

// --- Work by hand ---

Lease Harness::claim(std::string_view queue, const ClaimOptions& options) {
  const std::size_t before = impl_->leases().size();
  Impl::Worker worker;
  worker.queue = queue;
  worker.name = options.worker;
  worker.lease = options.lease;
  worker.in_process = options.in_process;
  const SessionId session = impl_->add_worker(std::move(worker));
  if (impl_->leases().size() > before) return impl_->leases().back();
  // There is none: it does not wait for one.
  impl_->rig().mail().send_to_engine(session, wire::encode(wire::Bye{}));
  impl_->run();
  return {};
}

Code Harness::succeed(const Lease& lease, std::string_view result,
                      std::span<const TaskSpec> follow_ups) {
  std::vector<std::string> specs;
  for (TaskSpec spec : follow_ups) specs.push_back(impl_->encode_spec(spec));
  wire::Settle::Item item = item_of(lease, Outcome::succeeded);
  item.result = result;
  item.follow_ups.assign(specs.begin(), specs.end());
  return impl_->ask_code(lease.session, wire::Settle{0, {item}});
}

Code Harness::fail(const Lease& lease, std::string_view error, const FailOptions& options) {
  wire::Settle::Item item = item_of(lease, Outcome::failed);
  item.error = error;
  item.retry = options.retry;
  item.delay = options.delay;
  return impl_->ask_code(lease.session, wire::Settle{0, {item}});
}

Code Harness::release(const Lease& lease, std::optional<Duration> delay) {
  wire::Settle::Item item = item_of(lease, Outcome::released);
  item.delay = delay;
  return impl_->ask_code(lease.session, wire::Settle{0, {item}});
}

Code Harness::extend(const Lease& lease, Duration silence) {
  return impl_->ask_code(lease.session, wire::Extend{0, {{lease.task, lease.token, silence}}});
}

Code Harness::progress(const Lease& lease, double fraction, std::string_view note) {
  const auto permille = static_cast<std::uint32_t>(fraction * 1000);
  return impl_->ask_code(lease.session,
                         wire::Progress{0, {{lease.task, lease.token, permille, note}}});
}

Code Harness::output(const Lease& lease, std::string_view bytes) {
  return impl_->ask_code(lease.session, wire::Output{0, {{lease.task, lease.token, bytes}}});
}

bool Harness::heartbeat(const Lease& lease) {
  const auto answer = impl_->ask(lease.session, wire::Ping{});
  const Result<const wire::Pong*> pong = answer_as<wire::Pong>(answer);
  if (!pong) fail_test(pong.error());
  return !(*pong)->uncertain;
}

Code Harness::resume(Lease& lease) {
  Impl::Worker worker = impl_->workers().at(lease.session);
  const SessionId session = impl_->greet(worker.name, worker.in_process);
  impl_->subscribe(session, worker, 0);
  impl_->workers()[session] = std::move(worker);
  lease.session = session;
  return impl_->ask_code(session, wire::Resume{0, 1, {{lease.task, lease.token}}});
}

std::optional<Outcome> Harness::ended(const Lease& lease) {
  impl_->run();
  const auto found = impl_->ended().find(lease.token);
  return found == impl_->ended().end() ? std::nullopt : std::optional(found->second);
}

const std::string& Harness::why() const { return impl_->why; }

// --- Work by handlers ---

void Harness::on(std::string_view queue, Handler handler) {
  Impl::Worker worker;
  worker.queue = queue;
  worker.name = queue;
  worker.handler = std::move(handler);
  impl_->add_worker(std::move(worker));
}

// --- Time ---

void Harness::advance(Duration by) { impl_->advance(by); }

Duration Harness::run_until_idle(Duration at_most) {
  const SteadyTime begin = impl_->rig().clock().now();
  impl_->run();
  while (impl_->has_scheduled()) {
    const auto passed = impl_->rig().clock().now() - begin;
    const auto left = std::chrono::duration_cast<Duration>(at_most - passed);
    if (!impl_->advance_to_next(left)) {
      fail_test({Code::timed_out,
                 "tasks are still scheduled after " + std::to_string(at_most.count()) + " ms"});
    }
  }
  return std::chrono::duration_cast<Duration>(impl_->rig().clock().now() - begin);
}

void Harness::jump_wall_clock(Duration by) { impl_->rig().clock().jump_wall(by); }
WallTime Harness::wall_now() const { return impl_->rig().clock().wall_now(); }
Instant Harness::now() const { return impl_->rig().loop().state().now(); }

// --- Faults ---

void Harness::lose_worker(const Lease& lease) {
  impl_->rig().mail().disconnect(lease.session);
  impl_->run();
}

void Harness::fail_next_append(Error error, bool certain, bool written) {
  impl_->rig().transport().fail_next({std::move(error), certain, written});
}

void Harness::hold_appends() { impl_->rig().transport().hold(); }

void Harness::release_appends() {
  impl_->rig().transport().release();
  impl_->run();
}

void Harness::fail_next_flush(Error error) {
  impl_->rig().store().fail_next_flush(std::move(error));
}

void Harness::set_room_bytes(std::optional<std::uint64_t> bytes) {
  impl_->rig().store().set_room_bytes(bytes);
}

void Harness::freeze(Duration by) { impl_->rig().freeze(by); }

void Harness::restart() {
  impl_->rig().crash();
  impl_->reopen();
}

void Harness::stop_and_restart() {
  if (Result<void> stopped = impl_->rig().stop(); !stopped) fail_test(stopped.error());
  impl_->reopen();
}

// --- The engine itself ---

std::uint64_t Harness::hash() {
  impl_->run();
  return impl_->rig().loop().state().hash();
}

std::uint64_t Harness::replay_hash(std::size_t flush_every) {
  impl_->run();
  const Result<std::uint64_t> hash = impl_->rig().replay(flush_every);
  if (!hash) fail_test(hash.error());
  return *hash;
}

std::string Harness::fact(std::string_view name) {
  const auto answer = impl_->ask(impl_->client(), wire::Info{});
  const Result<const wire::EngineInfo*> info = answer_as<wire::EngineInfo>(answer);
  if (!info) fail_test(info.error());
  for (const auto& [fact_name, value] : (*info)->facts) {
    if (fact_name == name) return std::string(value);
  }
  fail_test({Code::not_found, "the engine says nothing of " + std::string(name)});
}

const std::vector<std::string>& Harness::log() const { return impl_->rig().log(); }

}  // namespace jack::testing

#include "tests/simulation/actors.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>

#include "engine/format/spec.h"

namespace jack::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kSubscription = 1;
constexpr std::string_view kPoison = "poison ";

// An engine takes only so many questions of one session at a time.
constexpr std::size_t kResultsAtOnce = 100;

// What one message's answer says of each of its items.
struct Said {
  Code code = Code::ok;
  bool repeated = false;
};
std::vector<Said> said(const wire::Reply& reply, std::size_t items) {
  std::vector<Said> all;
  if (const auto* refused = std::get_if<wire::Refused>(&reply)) {
    all.assign(items, {refused->code, false});
    return all;
  }
  for (const wire::Done::Item& item : std::get<wire::Done>(reply).items) {
    all.push_back({item.code, item.repeated});
  }
  return all;
}

std::string encoded(const TaskSpec& spec) {
  std::string bytes;
  encode(spec, bytes);
  return bytes;
}

}  // namespace

// --- Submitter ---

Submitter::Submitter(Network& network, Scene& scene, std::string name)
    : Peer(network, std::move(name)), scene_(scene) {
  later(1ms, [this] { go_on(); });
}

void Submitter::go_on() {
  if (scene_.calm) return;
  std::vector<Task> tasks;
  for (std::int64_t count = dice().pick({1, 1, 1, 2, 4}); count > 0; --count) {
    if (tasks.size() < scene_.plan.sessions.batch_tasks_max) tasks.push_back(new_task());
  }
  // Whoever has much without an answer waits.
  if (open_ < 5) submit(std::move(tasks));
  later(scene_.plan.submit_every / 2 + scene_.plan.submit_every * dice().below(1000) / 1000,
        [this] { go_on(); });
}

Submitter::Task Submitter::new_task() {
  const Plan& plan = scene_.plan;
  Task task;
  TaskSpec& spec = task.spec;
  spec.id = scene_.new_id(
      WallTime{Duration{1'790'000'000'000} + std::chrono::duration_cast<Duration>(now())});
  spec.queue = dice().any_of(plan.queues);
  spec.payload = name() + " " + std::to_string(scene_.ids);
  if (dice().once_in(plan.poisonous)) spec.payload = std::string(kPoison) + spec.payload;
  spec.max_attempts = static_cast<std::uint32_t>(dice().between(1, 4));
  spec.backoff = {Duration{dice().between(1, 2000)}, 2000, Duration{3000},
                  static_cast<std::uint32_t>(dice().below(500))};
  if (dice().once_in(plan.delayed)) spec.delay = Duration{dice().between(1, 10'000)};
  if (dice().once_in(plan.expiring)) spec.expires_in = Duration{dice().between(1, 20'000)};
  if (dice().once_in(plan.timed)) spec.timeout = Duration{dice().between(1, 5000)};
  if (dice().once_in(plan.replied)) spec.reply_to = dice().any_of(plan.queues);
  if (dice().once_in(plan.prioritised)) spec.priority = static_cast<Priority>(dice().below(4));
  if (dice().once_in(plan.recorded)) task.result = "recorded";
  if (dice().once_in(plan.annotated)) task.note = "noted";
  task.bytes = encoded(spec);
  scene_.tasks.push_back(spec.id);
  return task;
}

void Submitter::submit(std::vector<Task> tasks) {
  if (tasks.empty()) return;
  ++open_;
  const auto batch = std::make_shared<std::vector<Task>>(std::move(tasks));
  const auto asked = std::make_shared<std::vector<SubmitOp*>>();
  Request request;
  request.encode = [batch](wire::Correlation correlation) {
    wire::Submit submit;
    submit.correlation = correlation;
    for (const Task& task : *batch) {
      submit.tasks.emplace_back(task.bytes);
      if (task.result) submit.tasks.back().result = *task.result;
      if (!task.note.empty()) submit.tasks.back().annotations = {{"note", task.note}};
    }
    return wire::encode(submit);
  };
  request.asked = [this, batch, asked] {
    asked->clear();
    for (const Task& task : *batch) {
      SubmitOp op;
      op.engine = engine();
      op.task = task.spec.id;
      op.queue = task.spec.queue;
      op.content = digest_of(task.bytes);
      op.at_ms = now() / 1ms;
      op.delay_ms = task.spec.delay.count();
      op.max_attempts = task.spec.max_attempts;
      op.expires = task.spec.expires_in.count() != 0;
      op.recorded = task.result.has_value();
      asked->push_back(&scene_.history.ask(std::move(op)));
    }
  };
  request.answered = [this, batch, asked](const wire::Reply& reply) {
    --open_;
    const std::vector<Said> items = said(reply, batch->size());
    std::vector<Task> again;
    for (std::size_t i = 0; i < batch->size(); ++i) {
      scene_.history.answer(*asked->at(i), answer_of(items[i].code, items[i].repeated));
      if (passes(items[i].code)) again.push_back((*batch)[i]);
    }
    if (again.empty()) return;
    ++open_;
    later(std::chrono::milliseconds{dice().between(10, 2000)}, [this, again] {
      --open_;
      submit(again);
    });
  };
  ask(std::move(request));
}

// --- Worker ---

WorkerPeer::WorkerPeer(Network& network, Scene& scene, std::string name,
                       std::vector<std::string> queues)
    : Peer(network, std::move(name)),
      scene_(scene),
      queues_(std::move(queues)),
      capacity_(dice().pick({1, 1, 2, 5})),
      lease_(Duration{dice().pick({1000, 3000, 10'000})}) {
  heartbeat();
}

Peer::Request WorkerPeer::work_for(std::int64_t credit) {
  Request work;
  work.once = true;
  work.encode = [this, credit](wire::Correlation correlation) {
    wire::Work message;
    message.correlation = correlation;
    message.subscription = kSubscription;
    message.credit = credit;
    message.lease = lease_;
    message.queues = {queues_.begin(), queues_.end()};
    return wire::encode(message);
  };
  return work;
}

void WorkerPeer::on_greeted() {
  const std::int64_t credit = capacity_ - static_cast<std::int64_t>(held_.size());
  Request work = work_for(credit);
  work.answered = [this](const wire::Reply& reply) {
    // Without a subscription it would wait for ever.
    if (passes(said(reply, 1)[0].code)) break_off(true);
  };
  ask(std::move(work));
  if (held_.empty()) return;

  const auto asked = std::make_shared<std::vector<LeaseOp*>>();
  Request resume;
  resume.once = true;
  for (auto& [token, held] : held_) {
    held.is_resumed = false;
    LeaseOp op;
    op.engine = engine();
    op.task = held.task;
    op.token = token;
    asked->push_back(&scene_.history.ask(std::move(op)));
  }
  resume.encode = [asked](wire::Correlation correlation) {
    wire::Resume message{correlation, kSubscription, {}};
    for (const LeaseOp* op : *asked) message.items.push_back({op->task, op->token});
    return wire::encode(message);
  };
  resume.answered = [this, asked](const wire::Reply& reply) {
    const std::vector<Said> items = said(reply, asked->size());
    for (std::size_t i = 0; i < asked->size(); ++i) {
      LeaseOp& op = *(*asked)[i];
      scene_.history.answer(op, answer_of(items[i].code));
      const auto held = held_.find(op.token);
      if (held == held_.end()) continue;
      if (items[i].code == Code::ok) {
        held->second.is_resumed = true;
      } else if (!held->second.is_settling && !passes(items[i].code)) {
        held_.erase(held);
        ask(work_for(1));  // its place is free again
      }
    }
  };
  ask(std::move(resume));
}

void WorkerPeer::on_message(const wire::Reply& reply) {
  if (const auto* deliver = std::get_if<wire::Deliver>(&reply)) {
    for (const wire::Deliver::Item& item : deliver->items) on_delivered(item);
  } else if (const auto* ended = std::get_if<wire::Ended>(&reply)) {
    for (const wire::Ended::Item& item : ended->items) {
      const auto held = held_.find(item.token);
      if (held == held_.end() || held->second.is_settling) continue;
      held_.erase(held);
      ask(work_for(1));
    }
  }
}

void WorkerPeer::on_delivered(const wire::Deliver::Item& item) {
  Unpacker unpacker;
  const SpecView spec = decode_spec(unpacker, item.spec).value();
  Delivery delivery;
  delivery.task = spec.id;
  delivery.token = item.token;
  delivery.attempt = item.attempt;
  delivery.content = digest_of(item.spec);
  delivery.at_ms = now() / 1ms;
  scene_.history.deliver(delivery);
  held_[item.token] = {spec.id, std::string(item.spec), true, false};
  if (spec.payload.starts_with(kPoison) && !scene_.calm) {
    crash();
    return;
  }
  if (!scene_.calm && dice().once_in(scene_.plan.silent)) freeze(2 * lease_);
  work_on(item.token);
}

void WorkerPeer::work_on(LeaseToken token) {
  const WorldTime takes = scene_.plan.work_takes * dice().below(2000) / 1000;
  if (dice().once_in(scene_.plan.talkative)) later(takes / 2, [this, token] { talk(token); });
  later(takes, [this, token] { settle(token); });
}

// As a process that dies: nobody holds its leases any more.
void WorkerPeer::crash() {
  held_.clear();
  break_off(dice().coin());
}

void WorkerPeer::talk(LeaseToken token) {
  const auto held = held_.find(token);
  if (held == held_.end() || held->second.is_settling || !held->second.is_resumed) return;
  LeaseOp op;
  op.task = held->second.task;
  op.token = token;
  const auto asked = std::make_shared<LeaseOp*>(nullptr);
  Request request;
  request.once = true;
  request.asked = [this, op, asked]() mutable {
    op.engine = engine();
    *asked = &scene_.history.ask(op);
  };
  request.encode = [op, kind = dice().below(3)](wire::Correlation correlation) {
    if (kind == 0) return wire::encode(wire::Extend{correlation, {{op.task, op.token, {}}}});
    if (kind == 1) return wire::encode(wire::Output{correlation, {{op.task, op.token, "said"}}});
    return wire::encode(wire::Progress{correlation, {{op.task, op.token, 500, "half"}}});
  };
  request.answered = [this, asked](const wire::Reply& reply) {
    if (*asked != nullptr) scene_.history.answer(**asked, answer_of(said(reply, 1)[0].code));
  };
  ask(std::move(request));
}

void WorkerPeer::settle(LeaseToken token) {
  const auto held = held_.find(token);
  if (held == held_.end() || held->second.is_settling) return;
  held->second.is_settling = true;
  const Plan& plan = scene_.plan;
  SettleOp op;
  op.task = held->second.task;
  op.token = token;
  std::string text = "result of " + to_string(op.task) + " " + std::to_string(token.value);
  std::vector<std::string> follow_ups;
  if (!scene_.calm && dice().once_in(plan.releasing)) {
    op.outcome = Outcome::released;
    text.clear();
  } else if (!scene_.calm && dice().once_in(plan.failing)) {
    op.outcome = Outcome::failed;
    op.retry = !dice().once_in(4);
  } else if (!scene_.calm && dice().once_in(plan.followed)) {
    TaskSpec spec;
    spec.id = scene_.new_id(
        WallTime{Duration{1'790'000'000'000} + std::chrono::duration_cast<Duration>(now())});
    spec.queue = dice().any_of(plan.queues);
    spec.parent = op.task;
    op.follow_ups.push_back(spec.id);
    follow_ups.push_back(encoded(spec));
  }
  op.content = op.outcome == Outcome::released ? 0 : digest_of(text);
  settle(token, std::move(op), std::move(text), std::move(follow_ups));
}

void WorkerPeer::settle(LeaseToken token, SettleOp intent, std::string text,
                        std::vector<std::string> follow_ups) {
  const auto asked = std::make_shared<SettleOp*>(nullptr);
  Request request;
  request.asked = [this, intent, asked] {
    SettleOp op = intent;
    op.engine = engine();
    *asked = &scene_.history.ask(std::move(op));
  };
  request.encode = [this, token, intent, text, follow_ups](wire::Correlation correlation) {
    const auto held = held_.find(token);
    wire::Settle::Item item;
    item.task = intent.task;
    item.token = token;
    item.outcome = intent.outcome;
    item.again = held != held_.end() && held->second.is_resumed;
    (intent.outcome == Outcome::succeeded ? item.result : item.error) = text;
    item.retry = intent.retry;
    item.follow_ups.assign(follow_ups.begin(), follow_ups.end());
    return wire::encode(wire::Settle{correlation, {item}});
  };
  request.answered = [this, token, intent, text, follow_ups, asked](const wire::Reply& reply) {
    const Said answer = said(reply, 1)[0];
    scene_.history.answer(**asked, answer_of(answer.code, answer.repeated));
    if (passes(answer.code)) {
      later(std::chrono::milliseconds{dice().between(10, 1000)},
            [this, token, intent, text, follow_ups] { settle(token, intent, text, follow_ups); });
      return;
    }
    if (answer.code != Code::ok && answer.code != Code::lease_lost && !intent.follow_ups.empty()) {
      // A follow-up is refused: the lease goes on, and the task succeeds without it.
      SettleOp without = intent;
      without.follow_ups.clear();
      settle(token, without, text, {});
      return;
    }
    held_.erase(token);
    if (dice().once_in(scene_.plan.looks)) look(intent.task);
  };
  ask(std::move(request));
}

void WorkerPeer::look(const TaskId& task) {
  const auto asked = std::make_shared<LookOp*>(nullptr);
  Request request;
  request.once = true;
  request.asked = [this, task, asked] {
    LookOp op;
    op.engine = engine();
    op.task = task;
    *asked = &scene_.history.ask(std::move(op));
  };
  request.encode = [task](wire::Correlation correlation) {
    return wire::encode(wire::Wait{correlation, task, Duration{0}});
  };
  request.answered = [this, asked](const wire::Reply& reply) {
    LookOp& op = **asked;
    if (const auto* refused = std::get_if<wire::Refused>(&reply)) {
      if (refused->code == Code::timed_out) op.state = TaskState::running;  // or before it
      const bool is_known = refused->code == Code::timed_out || refused->code == Code::not_found;
      scene_.history.answer(op, is_known ? Answer::ok : Answer::unknown);
      return;
    }
    const auto& message = std::get<wire::ResultMessage>(reply);
    op.state = message.state;
    op.content = digest_of(message.result);
    scene_.history.answer(op, Answer::ok);
  };
  ask(std::move(request));
}

void WorkerPeer::heartbeat() {
  Request ping;
  ping.once = true;
  ping.encode = [](wire::Correlation correlation) { return wire::encode(wire::Ping{correlation}); };
  ask(std::move(ping));
  later(lease_ / 4, [this] { heartbeat(); });
}

// --- Watcher ---

WatcherPeer::WatcherPeer(Network& network, Scene& scene, std::string name, std::string queue)
    : Peer(network, std::move(name)), watcher_(scene.history.watchers.emplace_back()) {
  watcher_.queue = std::move(queue);
  watcher_.after = Position{};
}

void WatcherPeer::on_greeted() {
  wire::Watch watch;
  watch.correlation = ++watch_;
  watch.queue = watcher_.queue;
  watch.after = last_;
  watch.credit = static_cast<std::uint32_t>(dice().between(1, 3));
  say(wire::encode(watch));
}

void WatcherPeer::on_message(const wire::Reply& reply) {
  if (const auto* refused = std::get_if<wire::Refused>(&reply)) {
    if (refused->correlation == watch_) break_off(true);
    return;
  }
  const auto* events = std::get_if<wire::Events>(&reply);
  if (events == nullptr || events->correlation != watch_) return;
  Unpacker unpacker;
  for (const std::string_view bytes : events->events) {
    const EventView event = decode_event(unpacker, bytes).value();
    watcher_.events.push_back({event.position, event.kind, event.task, std::string(event.queue),
                               event.attempt, event.cycle});
  }
  last_ = events->last;
  say(wire::encode(wire::Grant{0, watch_, 1}));
}

// --- Clerk ---

Clerk::Clerk(Network& network, Scene& scene, std::string name)
    : Peer(network, std::move(name)), scene_(scene) {
  later(1ms, [this] { go_on(); });
}

void Clerk::go_on() {
  if (scene_.calm) return;
  later(scene_.plan.order_every * (1 + dice().below(1000)) / 500, [this] { go_on(); });
  if (scene_.tasks.empty()) return;
  // Mostly what is young: the others have ended long since.
  const std::size_t back = dice().below(std::min<std::size_t>(scene_.tasks.size(), 30)) + 1;
  const TaskId task = scene_.tasks[scene_.tasks.size() - back];
  switch (dice().below(8)) {
    case 0:
    case 1:
    case 2: order(OrderOp::Kind::cancel, task); return;
    case 3:
    case 4: order(OrderOp::Kind::retry, task); return;
    case 5: order(OrderOp::Kind::remove, task); return;
    default:
      if (scene_.plan.pauses) pause(dice().any_of(scene_.plan.queues), dice().coin());
      return;
  }
}

void Clerk::order(OrderOp::Kind kind, const TaskId& task) {
  const auto asked = std::make_shared<OrderOp*>(nullptr);
  Request request;
  request.once = true;
  request.asked = [this, kind, task, asked] {
    OrderOp op;
    op.engine = engine();
    op.task = task;
    op.kind = kind;
    *asked = &scene_.history.ask(std::move(op));
  };
  request.encode = [kind, task](wire::Correlation correlation) {
    if (kind == OrderOp::Kind::cancel) {
      return wire::encode(wire::Cancel{correlation, {task}, "by a clerk"});
    }
    if (kind == OrderOp::Kind::retry) return wire::encode(wire::Retry{correlation, {task}});
    return wire::encode(wire::Remove{correlation, {task}});
  };
  request.answered = [this, asked](const wire::Reply& reply) {
    scene_.history.answer(**asked, answer_of(said(reply, 1)[0].code));
  };
  ask(std::move(request));
}

void Clerk::pause(const std::string& queue, bool paused) {
  ++open_;
  Request request;
  request.encode = [queue, paused](wire::Correlation correlation) {
    return wire::encode(wire::Pause{correlation, queue, paused});
  };
  request.answered = [this, queue, paused](const wire::Reply& reply) {
    --open_;
    if (!passes(said(reply, 1)[0].code) || (scene_.calm && paused)) return;
    ++open_;
    later(200ms, [this, queue, paused] {
      --open_;
      pause(queue, paused);
    });
  };
  ask(std::move(request));
}

void Clerk::resume_all() {
  for (const std::string& queue : scene_.plan.queues) pause(queue, false);
}

// --- Inspector ---

Inspector::Inspector(Network& network, Node& node, std::string name)
    : Peer(network, std::move(name)), node_(node) {}

void Inspector::on_greeted() {
  if (tasks_.empty() && !done_) ask_page({});
}

void Inspector::ask_page(const TaskId& before) {
  Request request;
  request.once = true;
  request.encode = [before](wire::Correlation correlation) {
    wire::List list;
    list.correlation = correlation;
    list.before = before;
    list.payloads = true;
    return wire::encode(list);
  };
  request.answered = [this](const wire::Reply& reply) {
    if (const auto* page = std::get_if<wire::Page>(&reply)) on_page(*page);
  };
  ask(std::move(request));
}

void Inspector::on_page(const wire::Page& page) {
  Unpacker unpacker;
  for (const wire::Page::Item& item : page.tasks) {
    const SpecView spec = decode_spec(unpacker, item.spec).value();
    FinalTask task;
    task.task = spec.id;
    task.queue = spec.queue;
    task.parent = spec.parent;
    task.priority = spec.priority;
    task.content = digest_of(item.spec);
    const TaskStatus status = decode_status(unpacker, item.status).value();
    task.state = status.state;
    task.attempt = status.attempt;
    task.cycle = status.cycle;
    task.token = status.token;
    tasks_.push_back(std::move(task));
  }
  if (!page.next.empty()) {
    ask_page(page.next);
  } else {
    ask_results();
  }
}

void Inspector::ask_results() {
  for (; next_ < tasks_.size() && results_open_ < kResultsAtOnce; ++next_) {
    FinalTask& task = tasks_[next_];
    if (task.state != TaskState::succeeded) continue;
    ++results_open_;
    Request request;
    request.encode = [id = task.task](wire::Correlation correlation) {
      return wire::encode(wire::Wait{correlation, id, Duration{0}});
    };
    request.answered = [this, &task](const wire::Reply& reply) {
      if (const auto* result = std::get_if<wire::ResultMessage>(&reply)) {
        task.result = digest_of(result->result);
      }
      --results_open_;
      ask_results();
    };
    ask(std::move(request));
  }
  done_ = results_open_ == 0;
}

}  // namespace jack::test

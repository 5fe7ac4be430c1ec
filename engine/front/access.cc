#include "engine/front/access.h"

#include <algorithm>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>
#include <variant>

#include "engine/front/pools.h"

namespace jack {
namespace {

using Scopes = std::initializer_list<Scope>;  // any of them will do
using Refused = std::optional<Error>;

// `where` follows the scopes, as in " on queue 'mail'".
Error denied(const Session& session, Scopes scopes, std::string_view where = {}) {
  std::string message = "key '" + session.user + "' has no scope ";
  bool first = true;
  for (const Scope scope : scopes) {
    message += (std::exchange(first, false) ? "'" : " or '") + std::string(name_of(scope)) + "'";
  }
  message += where;
  return {Code::permission_denied, std::move(message)};
}

// One request before its judge. There is a rule for each kind: a kind without one does not compile.
class Rules {
 public:
  Rules(const Session& session, const State& state, TaskQueues& queues, std::size_t items_max,
        Unpacker& unpacker)
      : session_(session),
        rights_(*session.rights),
        state_(state),
        queues_(queues),
        items_max_(items_max),
        unpacker_(unpacker) {}

  void rule(const wire::Hello&) {}
  void rule(const wire::Ping&) {}
  void rule(const wire::Bye&) {}
  void rule(const wire::Info&) {}
  void rule(const wire::Grant&) {}
  void rule(const wire::Unwatch&) {}
  void rule(const wire::Unwork&) {}

  void rule(const wire::Submit& message) {
    each(message.tasks, [this](const wire::NewTask& task) { return submit(task); });
  }
  void rule(const wire::Cancel& message) { each_task(message.tasks, Scope::submit); }
  void rule(const wire::Retry& message) { each_task(message.tasks, Scope::submit); }
  void rule(const wire::Remove& message) { each_task(message.tasks, Scope::admin); }
  void rule(const wire::Pause& message) { whole(on_queue({Scope::admin}, message.queue)); }
  void rule(const wire::Annotate& message) {
    each(message.items, [this](const wire::Annotate::Item& item) {
      return on_task({Scope::submit, Scope::work}, item.task, Code::not_found);
    });
  }

  void rule(const wire::Work& message) {
    // The queues of a subscription are those of its first `work`.
    if (session_.subscription(message.subscription) != nullptr) return;
    const std::size_t count = std::min(message.queues.size(), kQueuesPerWorkerMax);
    for (std::size_t i = 0; i < count; ++i) whole(on_queue({Scope::work}, message.queues[i]));
  }
  void rule(const wire::Take& message) {
    whole(on_queue({Scope::work}, {}));
    each_task(message.tasks, Scope::work);
  }
  void rule(const wire::Resume& message) {
    whole(on_queue({Scope::work}, {}));
    each_lease(message.items);
  }
  void rule(const wire::Extend& message) { each_lease(message.items); }
  void rule(const wire::Output& message) { each_lease(message.items); }
  void rule(const wire::Progress& message) { each_lease(message.items); }
  void rule(const wire::Settle& message) {
    each(message.items, [this](const wire::Settle::Item& item) { return settle(item); });
  }

  void rule(const wire::Get& message) {
    whole(message.task.empty() ? on_number(message.number) : read(message.task));
  }
  void rule(const wire::Wait& message) { whole(read(message.task)); }
  void rule(const wire::ReadOutput& message) { whole(read(message.task)); }
  void rule(const wire::List& message) { whole(on_queue({Scope::read}, message.queue)); }
  void rule(const wire::Queues&) { whole(on_queue({Scope::read}, {})); }
  void rule(const wire::Watch& message) {
    whole(on_queue({Scope::read}, message.queue));
    // One that is not there yet may be watched: what is shown of it depends on its queue.
    if (!message.task.empty()) whole(on_task({Scope::read}, message.task, Code::ok));
  }

  Access::Verdict verdict;

 private:
  bool has_any(Scopes scopes) const {
    return std::any_of(scopes.begin(), scopes.end(),
                       [this](Scope scope) { return rights_.allows(scope); });
  }

  // No queue: those on which it may, if there can be any. A name that is none is refused as such by
  // whoever carries the request out.
  Refused on_queue(Scopes scopes, std::string_view queue) const {
    const bool named = is_queue_name(queue);
    const bool may = std::any_of(scopes.begin(), scopes.end(), [&](Scope scope) {
      return named ? rights_.allows(scope, queue) : rights_.allows(scope);
    });
    if (may) return std::nullopt;
    if (!named) return denied(session_, scopes);
    return denied(session_, scopes, " on queue '" + std::string(queue) + "'");
  }

  // `missing` is what is said of a task that is not there; ok: nothing. The store is asked only
  // where the answer matters. The queue of a task is not told to who has no right to it.
  Refused on_task(Scopes scopes, const TaskId& task, Code missing) {
    if (!has_any(scopes)) return denied(session_, scopes);
    if (rights_.all_queues()) return std::nullopt;
    std::string queue(state_.queue_of(task));
    if (queue.empty()) {
      Result<std::optional<std::string>> stored = queues_.queue_of(task);
      if (!stored) return std::move(stored).error();
      if (!*stored) return not_there(task, missing);
      queue = **std::move(stored);
    }
    if (!on_queue(scopes, queue)) return std::nullopt;
    return denied(session_, scopes, " on the queue of task " + to_string(task));
  }

  static Refused not_there(const TaskId& task, Code missing) {
    if (missing == Code::ok) return std::nullopt;
    if (missing == Code::lease_lost) {
      return Error{missing, "the lease of task " + to_string(task) + " is not held here"};
    }
    return Error{missing, "there is no task " + to_string(task) + ", or its retention has ended"};
  }

  // Numbers can be counted up, so one of a queue that may not be read is as one that is not there.
  Refused on_number(std::uint64_t number) {
    if (!rights_.allows(Scope::read)) return denied(session_, {Scope::read});
    if (rights_.all_queues()) return std::nullopt;
    Result<std::optional<TaskId>> task = state_.find_number(number);
    if (!*task) task = queues_.find_number(number);
    if (!task) return std::move(task).error();
    if (*task) {
      Refused refused = read(**task);
      if (!refused) return refused;
      const bool is_hidden =
          refused->code == Code::permission_denied || refused->code == Code::not_found;
      if (!is_hidden) return refused;
    }
    return Error{Code::not_found,
                 "there is no task with the number " + std::to_string(number) + " any more"};
  }

  Refused read(const TaskId& task) { return on_task({Scope::read}, task, Code::not_found); }

  Refused submit(const wire::NewTask& task) {
    if (rights_.all_queues() && rights_.allows(Scope::submit)) return std::nullopt;
    const Result<SpecView> spec = decode_spec(unpacker_, task.spec);
    if (!spec) return on_queue({Scope::submit}, {});
    if (Refused refused = on_queue({Scope::submit}, spec->queue)) return refused;
    // Its outcome is a task there: a key could else hand in anywhere what it likes.
    if (spec->reply_to.empty()) return std::nullopt;
    Refused refused = on_queue({Scope::submit}, spec->reply_to);
    if (refused) refused->message = "reply_to is refused: " + refused->message;
    return refused;
  }

  Refused settle(const wire::Settle::Item& item) {
    const Code missing = item.token == kNoLease ? Code::not_found : Code::lease_lost;
    if (Refused refused = on_task({Scope::work}, item.task, missing)) return refused;
    const std::size_t count = std::min(item.follow_ups.size(), kFollowUpsMax);
    for (std::size_t i = 0; i < count; ++i) {
      Refused refused = submit(item.follow_ups[i]);
      if (!refused || is_answer(item.follow_ups[i])) continue;
      refused->message = "a follow-up task is refused: " + refused->message;
      return refused;
    }
    return std::nullopt;
  }

  bool is_answer(const wire::NewTask& task) {
    const Result<SpecView> spec = decode_spec(unpacker_, task.spec);
    return spec && spec->reply_to.empty() && !session_.answers.empty() &&
           spec->queue == session_.answers;
  }

  template <typename Items, typename Judge>
  void each(const Items& items, Judge judge) {
    if (verdict.whole) return;
    const std::size_t count = std::min(items.size(), items_max_);
    for (std::size_t i = 0; i < count; ++i) {
      Refused refused = judge(items[i]);
      if (!refused) continue;
      if (refused->code == Code::permission_denied) ++verdict.denied;
      verdict.items.push_back({static_cast<std::uint32_t>(i), *std::move(refused)});
    }
  }
  void each_task(const std::vector<TaskId>& tasks, Scope scope) {
    each(tasks, [&](const TaskId& task) { return on_task({scope}, task, Code::not_found); });
  }
  template <typename Items>
  void each_lease(const Items& items) {
    each(items,
         [this](const auto& item) { return on_task({Scope::work}, item.task, Code::lease_lost); });
  }

  void whole(Refused refused) {
    if (!refused || verdict.whole) return;
    if (refused->code == Code::permission_denied) ++verdict.denied;
    verdict.whole = std::move(refused);
  }

  const Session& session_;
  const Rights& rights_;
  const State& state_;
  TaskQueues& queues_;
  const std::size_t items_max_;
  Unpacker& unpacker_;
};

}  // namespace

Access::Verdict Access::judge(const Session& session, const wire::Request& request) {
  Rules rules(session, state_, queues_, items_max_, unpacker_);
  std::visit([&](const auto& message) { rules.rule(message); }, request);
  return std::move(rules.verdict);
}

}  // namespace jack

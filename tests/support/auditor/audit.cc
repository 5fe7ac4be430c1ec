#include "tests/support/auditor/audit.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

namespace jack::test {
namespace {

// All that was seen of one task, in the order of asking or seeing.
struct Story {
  std::vector<const SubmitOp*> submits;
  std::vector<const SettleOp*> settles;
  std::vector<const LeaseOp*> lease_ops;
  std::vector<const OrderOp*> orders;
  std::vector<const LookOp*> looks;
  std::vector<const Delivery*> deliveries;
  std::vector<const SeenEvent*> events;
  const FinalTask* last = nullptr;
  std::vector<const SettleOp*> parents;  // the success that this task follows from, and repeats

  bool was_asked(OrderOp::Kind kind) const {
    return std::any_of(orders.begin(), orders.end(),
                       [kind](const OrderOp* order) { return order->kind == kind; });
  }
  const SubmitOp* accepted() const {
    for (const SubmitOp* submit : submits) {
      if (is_ok(submit->answer)) return submit;
    }
    return nullptr;
  }
};

std::string text_of(LeaseToken token) { return std::to_string(token.value); }

bool ends_task(const SettleOp& settle) {
  return settle.outcome == Outcome::succeeded ||
         (settle.outcome == Outcome::failed && !settle.retry);
}

class Audit {
 public:
  Audit(const History& history, const AuditOptions& options)
      : history_(history), options_(options) {
    for (const SubmitOp& each : history.submits) stories_[each.task].submits.push_back(&each);
    for (const SettleOp& each : history.settles) {
      stories_[each.task].settles.push_back(&each);
      for (const TaskId& child : each.follow_ups) stories_[child].parents.push_back(&each);
    }
    for (const LeaseOp& each : history.lease_ops) stories_[each.task].lease_ops.push_back(&each);
    for (const OrderOp& each : history.orders) stories_[each.task].orders.push_back(&each);
    for (const LookOp& each : history.looks) stories_[each.task].looks.push_back(&each);
    for (const Delivery& each : history.deliveries) stories_[each.task].deliveries.push_back(&each);
    for (const FinalTask& each : history.tasks) stories_[each.task].last = &each;
    for (const SeenEvent& each : history.events) {
      if (!each.task.empty()) stories_[each.task].events.push_back(&each);
    }
  }

  Report run() {
    report_.deliveries = history_.deliveries.size();
    for (const auto& [id, story] : stories_) {
      id_ = id;
      check_existence(story);
      check_content(story);
      check_tokens(story);
      check_fencing(story);
      check_settles(story);
      check_end(story);
      check_looks(story);
      check_early(story);
      check_path(story);
    }
    check_order();
    for (const Watcher& watcher : history_.watchers) check_watcher(watcher);
    return std::move(report_);
  }

 private:
  void find(std::string property, const std::string& text) {
    report_.findings.push_back({std::move(property), "task " + to_string(id_) + " " + text});
  }

  // Somebody was told that it is there, and nobody has asked for its removal.
  static bool is_acknowledged(const Story& story) {
    return story.accepted() != nullptr ||
           std::any_of(story.parents.begin(), story.parents.end(),
                       [](const SettleOp* parent) { return is_ok(parent->answer); });
  }

  // Made by the engine, to tell of the end of another task.
  bool is_reply(const Story& story) const {
    if (story.last == nullptr || story.last->parent.empty()) return false;
    const auto parent = stories_.find(story.last->parent);
    return parent != stories_.end() && !parent->second.submits.empty();
  }

  // D1, D4: what was acknowledged is there, and what is there was submitted.
  void check_existence(const Story& story) {
    const bool acknowledged = is_acknowledged(story);
    report_.acknowledged += acknowledged;
    if (acknowledged && story.last == nullptr && !story.was_asked(OrderOp::Kind::remove)) {
      ++report_.lost;
      find("D1", "was acknowledged and is lost");
    }
    const bool is_there = story.last != nullptr || !story.deliveries.empty();
    if (!is_there) return;
    if (story.submits.empty() && story.parents.empty() && !is_reply(story)) {
      ++report_.unexpected;
      find("D4", "is there, and nobody submitted it");
    }
    if (!acknowledged) ++report_.recovered;
    const bool all_refused =
        !story.submits.empty() && story.parents.empty() &&
        std::all_of(story.submits.begin(), story.submits.end(),
                    [](const SubmitOp* submit) { return submit->answer == Answer::refused; });
    if (all_refused) find("D4", "is there, and its submit was refused");
    const bool parents_refused =
        !story.parents.empty() && story.submits.empty() &&
        std::all_of(story.parents.begin(), story.parents.end(), [](const SettleOp* parent) {
          return parent->answer == Answer::lease_lost || parent->answer == Answer::refused;
        });
    if (parents_refused) find("D3", "is there, and the success that it follows from was refused");
  }

  // P1: one id is one task.
  void check_content(const Story& story) {
    std::optional<std::uint64_t> content;
    for (const SubmitOp* submit : story.submits) {
      if (!is_ok(submit->answer)) continue;
      if (content && *content != submit->content) find("P1", "was accepted with two contents");
      content = submit->content;
    }
    if (!content) return;
    for (const Delivery* delivery : story.deliveries) {
      if (delivery->content != *content) find("P1", "was delivered with another content");
    }
    if (story.last != nullptr && story.last->content != *content) {
      find("P1", "is kept with another content");
    }
  }

  // L1, L3, L6: a token is one attempt, and attempts are counted.
  void check_tokens(const Story& story) {
    std::vector<const Delivery*> by_token = story.deliveries;
    std::sort(by_token.begin(), by_token.end(),
              [](const Delivery* a, const Delivery* b) { return a->token < b->token; });
    const std::uint32_t most = story.submits.empty() ? 0 : story.submits.front()->max_attempts;
    const Delivery* before = nullptr;
    for (const Delivery* delivery : by_token) {
      const std::string under = "under token " + text_of(delivery->token);
      if (before != nullptr && before->token == delivery->token) {
        find("L1", "was delivered twice " + under);
      }
      if (most > 0 && delivery->attempt > most) {
        find("L6", "was delivered for attempt " + std::to_string(delivery->attempt) + " of " +
                       std::to_string(most));
      }
      const bool may_repeat = before == nullptr || story.was_asked(OrderOp::Kind::retry) ||
                              was_released(story, before->token) ||
                              was_given_back(story, before->attempt);
      if (!may_repeat && delivery->attempt <= before->attempt) {
        find("L6", "was delivered " + under + " for attempt " + std::to_string(delivery->attempt) +
                       ", after attempt " + std::to_string(before->attempt));
      }
      before = delivery;
    }
  }

  static bool was_released(const Story& story, LeaseToken token) {
    return std::any_of(story.settles.begin(), story.settles.end(), [token](const SettleOp* settle) {
      return settle->token == token && settle->outcome == Outcome::released &&
             settle->answer != Answer::lease_lost && settle->answer != Answer::refused;
    });
  }
  // By its engine, before its worker had it: an engine that leaves does so. The event has the
  // number of the attempt before, since this one does not count.
  static bool was_given_back(const Story& story, std::uint32_t attempt) {
    return std::any_of(story.events.begin(), story.events.end(), [attempt](const SeenEvent* event) {
      return event->kind == EventKind::released && event->attempt + 1 == attempt;
    });
  }

  // L2: whoever has lost its lease changes nothing.
  void check_fencing(const Story& story) {
    for (const SettleOp* settle : story.settles) {
      if (!is_ok(settle->answer) || settle->token == kNoLease) continue;
      const Step first = first_asked(story, *settle);
      for (const Delivery* delivery : story.deliveries) {
        if (settle->token < delivery->token && delivery->step < first) {
          find("L2", "was settled under token " + text_of(settle->token) + " after token " +
                         text_of(delivery->token) + " had been delivered");
        }
      }
    }
    for (const LeaseOp* op : story.lease_ops) {
      if (!is_ok(op->answer)) continue;
      for (const Delivery* delivery : story.deliveries) {
        if (op->token < delivery->token && delivery->step < op->asked) {
          find("L2", "took a sign under token " + text_of(op->token) + " after token " +
                         text_of(delivery->token) + " had been delivered");
        }
      }
      for (const SettleOp* settle : story.settles) {
        if (settle->token == op->token && is_ok(settle->answer) && settle->answered < op->asked) {
          find("L2", "took a sign under token " + text_of(op->token) + " after it was settled");
        }
      }
    }
  }

  static Step first_asked(const Story& story, const SettleOp& settle) {
    Step first = settle.asked;
    for (const SettleOp* other : story.settles) {
      if (other->repeats(settle)) first = std::min(first, other->asked);
    }
    return first;
  }

  // S1, L2: a lease has one end, a task too.
  void check_settles(const Story& story) {
    const SettleOp* ended = nullptr;
    for (const SettleOp* settle : story.settles) {
      if (!is_ok(settle->answer)) continue;
      ++report_.settled;
      for (const SettleOp* other : story.settles) {
        if (other == settle) break;
        if (is_ok(other->answer) && other->token == settle->token && settle->token != kNoLease &&
            !other->repeats(*settle)) {
          find("L2", "was settled in two ways under token " + text_of(settle->token));
        }
      }
      if (!ends_task(*settle)) continue;
      if (ended != nullptr && !ended->repeats(*settle) && !story.was_asked(OrderOp::Kind::retry)) {
        ++report_.duplicated;
        find("S1", "ended twice, under tokens " + text_of(ended->token) + " and " +
                       text_of(settle->token));
      }
      if (ended == nullptr) ended = settle;
    }
    if (ended == nullptr || story.was_asked(OrderOp::Kind::retry)) return;
    for (const Delivery* delivery : story.deliveries) {
      if (ended->token < delivery->token && ended->token != kNoLease) {
        find("D2", "was delivered under token " + text_of(delivery->token) +
                       ", its end under token " + text_of(ended->token) + " was acknowledged");
      }
    }
    if (story.last == nullptr) return;
    const TaskState expected =
        ended->outcome == Outcome::succeeded ? TaskState::succeeded : TaskState::failed;
    if (story.last->state != expected) {
      find("D2", "is " + std::string(name_of(story.last->state)) + ", acknowledged was " +
                     std::string(name_of(expected)));
    } else if (expected == TaskState::succeeded && story.last->result != ended->content) {
      find("D2", "has another result than the one that was acknowledged");
    }
  }

  // S1: every end has a cause; when all is at rest, every task has one.
  void check_end(const Story& story) {
    if (story.last == nullptr) return;
    const FinalTask& last = *story.last;
    if (!is_terminal(last.state)) {
      if (options_.at_rest) {
        find("S1", "is " + std::string(name_of(last.state)) + " when all is at rest");
      }
      return;
    }
    const auto was_settled = [&](auto fits) {
      return std::any_of(story.settles.begin(), story.settles.end(), [&](const SettleOp* settle) {
        return settle->answer != Answer::refused && settle->answer != Answer::lease_lost &&
               fits(*settle);
      });
    };
    const auto succeeded = [&](const SettleOp& settle) {
      return settle.outcome == Outcome::succeeded && settle.content == last.result &&
             (settle.token == last.token || settle.token == kNoLease);
    };
    const auto gave_up = [](const SettleOp& settle) {
      return settle.outcome == Outcome::failed && !settle.retry;
    };
    const SubmitOp* submit = story.submits.empty() ? nullptr : story.submits.front();
    switch (last.state) {
      case TaskState::succeeded:
        if (!was_settled(succeeded) && (submit == nullptr || !submit->recorded)) {
          find("S1", "has succeeded, and nobody said so");
        }
        return;
      case TaskState::failed:
        if (!was_settled(gave_up) && submit != nullptr && last.attempt < submit->max_attempts) {
          find("S1", "has failed after attempt " + std::to_string(last.attempt) + " of " +
                         std::to_string(submit->max_attempts));
        }
        return;
      case TaskState::cancelled:
        if (!story.was_asked(OrderOp::Kind::cancel)) find("S1", "is cancelled by nobody");
        return;
      case TaskState::expired:
        if (submit != nullptr && !submit->expires) find("S1", "has expired without a date");
        return;
      case TaskState::waiting:
      case TaskState::scheduled:
      case TaskState::queued:
      case TaskState::running: return;
    }
  }

  // V1: whoever was told of something sees it, on the same engine.
  void check_looks(const Story& story) {
    const bool may_change = story.was_asked(OrderOp::Kind::retry);
    const bool may_go = story.was_asked(OrderOp::Kind::remove);
    for (const LookOp* look : story.looks) {
      if (look->answer != Answer::ok) continue;
      for (const SubmitOp* submit : story.submits) {
        if (is_ok(submit->answer) && submit->answered < look->asked &&
            submit->engine == look->engine && !look->state && !may_go) {
          find("V1", "is not found, and its submit was acknowledged");
        }
      }
      for (const SettleOp* settle : story.settles) {
        if (!is_ok(settle->answer) || !ends_task(*settle) || settle->answered > look->asked ||
            settle->engine != look->engine || may_change || may_go) {
          continue;
        }
        if (!look->state || !is_terminal(*look->state)) {
          find("V1", "is shown as it was before its end was acknowledged");
        } else if (settle->outcome == Outcome::succeeded &&
                   (look->state != TaskState::succeeded || look->content != settle->content)) {
          find("V1", "is shown with another end than the one that was acknowledged");
        }
      }
    }
  }

  // O2: nobody gets a task before its time.
  void check_early(const Story& story) {
    if (!options_.one_clock || story.submits.empty()) return;
    const SubmitOp& first = *story.submits.front();
    for (const Delivery* delivery : story.deliveries) {
      if (first.delay_ms > 0 && delivery->at_ms < first.at_ms + first.delay_ms) {
        find("O2", "was delivered " + std::to_string(delivery->at_ms - first.at_ms) +
                       " ms after its submit, its delay is " + std::to_string(first.delay_ms) +
                       " ms");
      }
    }
  }

  static bool is_recorded(const Story& story) {
    return !story.submits.empty() && story.submits.front()->recorded;
  }

  // S1, H1: the history of a task is a way that leads through its states.
  void check_path(const Story& story) {
    enum class At { nowhere, scheduled, queued, running, ended, gone };
    At at = At::nowhere;
    const SeenEvent* before = nullptr;
    for (const SeenEvent* event : story.events) {
      const At from = at;
      bool fits = true;
      switch (event->kind) {
        case EventKind::submitted:
          fits = from == At::nowhere;
          at = At::scheduled;  // or queued: the event does not tell
          break;
        case EventKind::queued:
          fits = from == At::scheduled || from == At::queued || from == At::running;
          at = At::queued;
          break;
        case EventKind::started:
          fits = from == At::scheduled || from == At::queued;
          at = At::running;
          break;
        case EventKind::progressed:
        case EventKind::output: fits = from == At::running; break;
        case EventKind::attempt_failed:
          fits = from == At::running;
          at = At::scheduled;
          break;
        case EventKind::released:
          fits = from == At::running;
          at = At::scheduled;
          break;
        case EventKind::succeeded:
          fits = from == At::running || is_recorded(story);
          at = At::ended;
          break;
        case EventKind::failed:
          fits = from == At::running || from == At::scheduled;
          at = At::ended;
          break;
        case EventKind::cancelled:
          fits = from == At::scheduled || from == At::queued || from == At::running;
          at = At::ended;
          break;
        case EventKind::expired:
          fits = from == At::scheduled || from == At::queued;
          at = At::ended;
          break;
        case EventKind::retried:
          fits = from == At::ended;
          at = At::scheduled;
          break;
        case EventKind::removed:
          fits = from == At::ended;
          at = At::gone;
          break;
        case EventKind::annotated: fits = from != At::nowhere && from != At::gone; break;
        case EventKind::queue_paused:
        case EventKind::queue_resumed: fits = false; break;
      }
      if (!fits) {
        find("S1", std::string(before == nullptr ? "begins with" : name_of(before->kind)) +
                       (before == nullptr ? " " : " is followed by ") +
                       std::string(name_of(event->kind)));
      }
      before = event;
    }
  }

  // O1: first attempts start in the order of submits, within a queue and priority.
  void check_order() {
    std::map<std::pair<std::string, Priority>, std::set<Position>> waiting;
    std::map<TaskId, Position> submitted;
    for (const SeenEvent& event : history_.events) {
      const auto story = stories_.find(event.task);
      if (event.task.empty() || story->second.last == nullptr) continue;
      id_ = event.task;
      auto& queue = waiting[{event.queue, story->second.last->priority}];
      if (event.kind == EventKind::submitted) {
        submitted[event.task] = event.position;
        if (is_in_line(story->second)) queue.insert(event.position);
        continue;
      }
      const auto place = submitted.find(event.task);
      if (place == submitted.end() || !queue.contains(place->second)) continue;
      if (event.kind == EventKind::started && *queue.begin() != place->second) {
        find("O1", "started before one that was submitted earlier");
      }
      if (event.kind != EventKind::annotated) queue.erase(place->second);
    }
  }
  // It can start as soon as it is submitted, and nobody took it out of turn.
  static bool is_in_line(const Story& story) {
    return !story.submits.empty() && story.submits.front()->delay_ms == 0 &&
           !story.submits.front()->recorded && !story.was_asked(OrderOp::Kind::take);
  }

  // H1: a watcher sees all that it asked for, once and in order.
  void check_watcher(const Watcher& watcher) {
    const auto is_later = [](const SeenEvent& a, const SeenEvent& b) {
      return a.position < b.position;
    };
    id_ = watcher.task;
    const auto unordered =
        std::adjacent_find(watcher.events.begin(), watcher.events.end(),
                           [&](const SeenEvent& a, const SeenEvent& b) { return !is_later(a, b); });
    if (unordered != watcher.events.end()) {
      find("H1", "(watcher) sees an event twice, or an earlier one after a later one");
      return;
    }
    const bool has_begin = watcher.after || !watcher.events.empty();
    if (history_.events.empty() || !has_begin) return;
    const Position from = watcher.after ? *watcher.after : watcher.events.front().position;
    const Position to = watcher.to_the_end       ? history_.events.back().position
                        : watcher.events.empty() ? from
                                                 : watcher.events.back().position;
    std::vector<SeenEvent> expected;
    for (const SeenEvent& event : history_.events) {
      const bool is_wanted = (watcher.task.empty() || event.task == watcher.task) &&
                             (watcher.queue.empty() || event.queue == watcher.queue);
      const bool is_within = watcher.after ? from < event.position : !(event.position < from);
      if (is_wanted && is_within && !(to < event.position)) expected.push_back(event);
    }
    if (expected == watcher.events) return;
    const auto differs = std::mismatch(expected.begin(), expected.end(), watcher.events.begin(),
                                       watcher.events.end());
    const Position& at = differs.first == expected.end() ? to : differs.first->position;
    find("H1", "(watcher) sees " + std::to_string(watcher.events.size()) + " events, there are " +
                   std::to_string(expected.size()) + "; they differ from entry " +
                   std::to_string(at.entry) + " on");
  }

  const History& history_;
  const AuditOptions options_;
  std::map<TaskId, Story> stories_;
  TaskId id_;  // of the task that is being looked at
  Report report_;
};

}  // namespace

std::string Report::summary() const {
  return "acknowledged " + std::to_string(acknowledged) + ", lost " + std::to_string(lost) +
         ", duplicated " + std::to_string(duplicated) + ", unexpected " +
         std::to_string(unexpected) + ", recovered " + std::to_string(recovered) + "; " +
         std::to_string(deliveries) + " deliveries, " + std::to_string(settled) + " settles";
}

Report audit(const History& history, const AuditOptions& options) {
  return Audit(history, options).run();
}

}  // namespace jack::test

#include "engine/front/waits.h"

namespace jack {

void Waits::add(const TaskId& task, Session& session, wire::Correlation correlation,
                SteadyTime deadline) {
  Wait* wait = free_;
  if (wait == nullptr) {
    wait = &waits_.emplace_back();
  } else {
    free_ = wait->next_of_task;
  }
  *wait = {.task = task, .session = &session, .correlation = correlation, .number = ++last_number_};
  wait->next_of_session = session.waits;
  if (session.waits != nullptr) session.waits->previous_of_session = wait;
  session.waits = wait;
  ++session.wait_count;
  ++count_;

  Wait*& newest = by_task_[task];
  wait->next_of_task = newest;
  newest = wait;

  deadlines_.sweep(count_, [](const auto& entry) { return holds(entry.key); });
  deadlines_.add(deadline, {wait, wait->number});
}

void Waits::drop_session(Session& session) {
  while (session.waits != nullptr) {
    Wait& wait = *session.waits;
    unlink_from_task(wait);
    release(wait);
  }
}

void Waits::drop(Session& session, wire::Correlation correlation) {
  Wait* wait = session.waits;
  while (wait != nullptr && wait->correlation != correlation) wait = wait->next_of_session;
  if (wait == nullptr) return;
  unlink_from_task(*wait);
  release(*wait);
}

Wait* Waits::oldest_first(Wait* newest) {
  Wait* reversed = nullptr;
  while (newest != nullptr) {
    Wait* const next = newest->next_of_task;
    newest->next_of_task = reversed;
    reversed = newest;
    newest = next;
  }
  return reversed;
}

void Waits::unlink_from_task(Wait& wait) {
  Wait** link = by_task_.find(wait.task);
  while (*link != &wait) link = &(*link)->next_of_task;
  *link = wait.next_of_task;
  if (Wait** first = by_task_.find(wait.task); *first == nullptr) by_task_.erase(wait.task);
}

void Waits::release(Wait& wait) {
  Session& session = *wait.session;
  (wait.previous_of_session == nullptr ? session.waits
                                       : wait.previous_of_session->next_of_session) =
      wait.next_of_session;
  if (wait.next_of_session != nullptr) {
    wait.next_of_session->previous_of_session = wait.previous_of_session;
  }
  --session.wait_count;
  --count_;
  wait.session = nullptr;
  wait.next_of_task = free_;
  free_ = &wait;
}

}  // namespace jack

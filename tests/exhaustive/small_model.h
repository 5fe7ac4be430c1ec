// What has to become of two tasks of one queue at two engines, said once more and as simply as can
// be: with numbers for leases, seconds for times, and a look at everything at every step. It shares
// no code with the engine's state but names.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/task.h>

namespace jack::test {

enum TaskName : std::size_t { kTaskA, kTaskB };

// A expires, is tried twice, and waits a second between; B's attempt has a timeout, and is the only
// one.
inline constexpr int kExpiresIn = 15;  // of A
inline constexpr int kTimeout = 5;     // of B
inline constexpr int kBackoff = 1;     // of A
inline constexpr int kTimePasses = 10;
inline constexpr std::array<int, 2> kMaxAttempts = {2, 1};

struct SmallModel {
  static constexpr int kNever = 1'000'000;
  static constexpr int kNobody = -1;

  struct Task {
    bool exists = false;
    TaskState state = TaskState::queued;
    int attempt = 0, cycle = 1;
    int lease = 0;         // the present or the last one
    int holder = kNobody;  // an engine; nobody: it went away, and its leases end at the next tick
    int expires = kNever;
    int timer = kNever;  // what it waits for, but for its expiry: due or timeout
    int settled = 0;     // the lease that was settled last, and how
    std::string settled_how;
  };
  struct Answer {
    Code code = Code::ok;
    bool repeated = false;
    friend bool operator==(const Answer&, const Answer&) = default;
  };
  struct Handed {
    std::size_t task = 0;
    int engine = 0;
    friend bool operator==(const Handed&, const Handed&) = default;
  };
  struct Ended {
    std::size_t task = 0;
    Outcome outcome = Outcome::lost;
    friend bool operator==(const Ended&, const Ended&) = default;
  };

  std::array<Task, 2> tasks;
  std::vector<std::size_t> lane;  // who is queued, the first first
  std::array<int, 2> hunger = {0, 0};
  std::vector<int> turn;  // hungry engines, who is next first
  int now = 0;
  int leases = 0;

  // Of the last step.
  std::vector<Handed> handed;
  std::vector<Ended> ended;

  void begin_step() {
    handed.clear();
    ended.clear();
  }

  Answer submit(std::size_t name) {
    Task& task = tasks[name];
    if (task.exists) return {Code::ok, true};
    task.exists = true;
    if (name == kTaskA) task.expires = now + kExpiresIn;
    queue_up(name);
    return {};
  }

  Answer want(int engine) {
    const auto at = static_cast<std::size_t>(engine);
    if (hunger[at]++ == 0) turn.push_back(engine);
    serve();
    return {};
  }

  Answer settle(std::size_t name, int lease, bool success, const std::string& text) {
    Task& task = tasks[name];
    const std::string how = (success ? "succeeded " : "failed ") + text;
    if (lease == 0 || !task.exists) return {Code::lease_lost};
    if (task.settled == lease && task.settled_how == how) return {Code::ok, true};
    if (task.state != TaskState::running || task.lease != lease) return {Code::lease_lost};
    if (success) {
      end(name, TaskState::succeeded);
    } else {
      end_attempt(name);
    }
    task.settled = lease;
    task.settled_how = how;
    return {};
  }

  Answer cancel(std::size_t name) {
    Task& task = tasks[name];
    if (!task.exists) return {Code::not_found};
    if (task.state == TaskState::cancelled) return {Code::ok, true};
    if (is_terminal(task.state)) return {Code::failed_precondition};
    if (task.state == TaskState::running) ended.push_back({name, Outcome::cancelled});
    end(name, TaskState::cancelled);
    return {};
  }

  Answer retry(std::size_t name) {
    Task& task = tasks[name];
    if (!task.exists) return {Code::not_found};
    if (!is_terminal(task.state) || task.state == TaskState::succeeded) {
      return {Code::failed_precondition};
    }
    ++task.cycle;
    task.attempt = 0;
    task.expires = kNever;
    queue_up(name);
    return {};
  }

  Answer pass_time() {
    now += kTimePasses;
    for (std::size_t name = 0; name < 2; ++name) {
      if (tasks[name].state == TaskState::running && tasks[name].holder == kNobody) {
        ended.push_back({name, Outcome::lost});
        end_attempt(name);
      }
    }
    for (std::optional<std::size_t> name = first_timer(); name; name = first_timer()) {
      Task& task = tasks[*name];
      if (task.state == TaskState::running) {
        ended.push_back({*name, Outcome::timed_out});
        end_attempt(*name);
      } else if (task.expires <= now) {
        end(*name, TaskState::expired);
      } else {
        queue_up(*name);
      }
    }
    return {};
  }

  // It asks for nothing any more, and what it held is nobody's.
  Answer restart(int engine) {
    hunger[static_cast<std::size_t>(engine)] = 0;
    std::erase(turn, engine);
    for (Task& task : tasks) {
      if (task.holder == engine) task.holder = kNobody;
    }
    return {};
  }

 private:
  void queue_up(std::size_t name) {
    tasks[name].state = TaskState::queued;
    tasks[name].timer = kNever;
    lane.push_back(name);
    serve();
  }

  void serve() {
    while (!lane.empty() && !turn.empty()) {
      const std::size_t name = lane.front();
      if (tasks[name].expires <= now) {
        end(name, TaskState::expired);
      } else {
        hand_out(name, turn.front());
      }
    }
  }

  void hand_out(std::size_t name, int engine) {
    lane.erase(lane.begin());
    turn.erase(turn.begin());
    if (--hunger[static_cast<std::size_t>(engine)] > 0) turn.push_back(engine);
    Task& task = tasks[name];
    task.state = TaskState::running;
    ++task.attempt;
    task.lease = ++leases;
    task.holder = engine;
    task.timer = name == kTaskB ? now + kTimeout : kNever;
    handed.push_back({name, engine});
  }

  void end_attempt(std::size_t name) {
    Task& task = tasks[name];
    if (task.attempt >= kMaxAttempts[name]) return end(name, TaskState::failed);
    task.state = TaskState::scheduled;
    task.timer = now + kBackoff;
  }

  void end(std::size_t name, TaskState state) {
    tasks[name].state = state;
    tasks[name].timer = kNever;
    std::erase(lane, name);
  }

  // Whose time has come, the earliest.
  std::optional<std::size_t> first_timer() const {
    std::optional<std::size_t> first;
    int earliest = now + 1;
    for (std::size_t name = 0; name < 2; ++name) {
      const Task& task = tasks[name];
      const bool waits = task.exists && !is_terminal(task.state);
      const bool expires = waits && task.state != TaskState::running;
      const int at = std::min(waits ? task.timer : kNever, expires ? task.expires : kNever);
      if (at < earliest) {
        earliest = at;
        first = name;
      }
    }
    return first;
  }
};

}  // namespace jack::test

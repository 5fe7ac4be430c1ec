// Who acts in a simulation. Each writes down what it does and what it is told.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/peer.h"
#include "tests/simulation/scene.h"

namespace jack::test {

// Submits tasks, and repeats what has no answer until it has one.
class Submitter final : public Peer {
 public:
  Submitter(Network& network, Scene& scene, std::string name);

  bool is_done() const { return open_ == 0; }

 private:
  struct Task {
    TaskSpec spec;
    std::string bytes;
    std::optional<std::string> result;
    std::string note;
  };

  void on_greeted() override {}
  void on_message(const wire::Reply&) override {}
  void go_on();
  Task new_task();
  void submit(std::vector<Task> tasks);

  Scene& scene_;
  std::uint64_t open_ = 0;  // submits without an answer, or to be repeated
};

// Takes tasks and settles them, in good and bad ways.
class WorkerPeer final : public Peer {
 public:
  WorkerPeer(Network& network, Scene& scene, std::string name, std::vector<std::string> queues);

  bool is_done() const { return held_.empty(); }

 private:
  struct Held {
    TaskId task;
    std::string spec;
    bool is_resumed = true;  // its engine knows that it is held here
    bool is_settling = false;
  };

  void on_greeted() override;
  void on_message(const wire::Reply& reply) override;
  Request work_for(std::int64_t credit);
  void on_delivered(const wire::Deliver::Item& item);
  void work_on(LeaseToken token);
  void talk(LeaseToken token);
  void settle(LeaseToken token);
  void settle(LeaseToken token, SettleOp intent, std::string text,
              std::vector<std::string> follow_ups);
  void on_settled(const SettleOp& settle, const wire::Reply& reply);
  void look(const TaskId& task);
  void heartbeat();
  void crash();

  Scene& scene_;
  const std::vector<std::string> queues_;
  const std::int64_t capacity_;
  const Duration lease_;
  std::map<LeaseToken, Held> held_;
};

// Follows what happens, from the beginning.
class WatcherPeer final : public Peer {
 public:
  // `queue`: empty for all.
  WatcherPeer(Network& network, Scene& scene, std::string name, std::string queue);

  Watcher& watcher() { return watcher_; }
  const Watcher& watcher() const { return watcher_; }

 private:
  void on_greeted() override;
  void on_message(const wire::Reply& reply) override;

  Watcher& watcher_;
  Position last_;
  wire::Correlation watch_ = 1'000'000;
};

// Cancels, retries, removes and annotates tasks, pauses queues.
class Clerk final : public Peer {
 public:
  Clerk(Network& network, Scene& scene, std::string name);

  // Every queue goes on. Told again until an engine says so.
  void resume_all();
  bool is_done() const { return open_ == 0; }

 private:
  void on_greeted() override {}
  void on_message(const wire::Reply&) override {}
  void go_on();
  void order(OrderOp::Kind kind, const TaskId& task);
  void pause(const std::string& queue, bool paused);

  Scene& scene_;
  std::uint64_t open_ = 0;
};

// Reads everything that one engine has, when all is at rest.
class Inspector final : public Peer {
 public:
  Inspector(Network& network, Node& node, std::string name);

  bool is_done() const { return done_; }
  const std::vector<FinalTask>& tasks() const { return tasks_; }

 private:
  Node* choose() override { return node_.is_up() ? &node_ : nullptr; }
  void on_greeted() override;
  void on_message(const wire::Reply&) override {}
  void ask_page(const TaskId& before);
  void on_page(const wire::Page& page);
  void ask_results();

  Node& node_;
  std::vector<FinalTask> tasks_;
  std::size_t next_ = 0;  // whose result is asked for
  std::size_t results_open_ = 0;
  bool done_ = false;
};

}  // namespace jack::test

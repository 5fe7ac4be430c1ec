// A client or worker in a simulated world, as far as it speaks jack/1: it finds an engine, greets
// it, asks, and asks again what has no answer after its connection broke or its engine forgot it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/format/unpack.h"
#include "engine/wire/messages.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/node.h"
#include "tests/simulation/timeline.h"

namespace jack::test {

class Network;

class Peer {
 public:
  explicit Peer(Network& network, std::string name);
  virtual ~Peer() = default;
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  const std::string& name() const { return name_; }
  // The engine that it talks to; it is connected.
  const std::string& engine() const;

  // --- What can be done to it ---

  void begin();
  // Its connection breaks; the engine hears of it, or not.
  void break_off(bool engine_hears);
  // Nothing reaches it or leaves it, and it does nothing.
  void freeze(WorldTime by);
  bool is_frozen() const;

 protected:
  using Answered = std::function<void(const wire::Reply&)>;
  using Encode = std::function<std::string(wire::Correlation)>;

  // Sends a message and hears its answer. `asked` is called each time it is sent. Unless it is
  // asked for `once`, it is sent again when the engine may not have got it; after a break, to any
  // engine.
  struct Request {
    Encode encode;
    Answered answered;
    std::function<void()> asked;
    bool once = false;
    std::uint64_t greeting = 0;  // after which it was sent last
  };
  wire::Correlation ask(Request request);
  // Without an answer.
  void say(std::string frame);

  // The engine to connect to; null where none is up.
  virtual Node* choose();
  // The engine has greeted it: for the first time, or again, having forgotten all of it.
  virtual void on_greeted() = 0;
  // A message that answers no request.
  virtual void on_message(const wire::Reply& reply) = 0;

  // Later, if it is not frozen; as soon as it no longer is.
  void later(WorldTime pause, std::function<void()> action);

  Network& network();
  Dice& dice() { return dice_; }
  WorldTime now() const;

 private:
  friend class Network;

  void connect();
  void greet();
  void receive(const std::string& frame);
  void on_broken();
  void send(std::string frame);
  void send(wire::Correlation correlation);

  Network& network_;
  const std::string name_;
  Dice dice_;
  Node* node_ = nullptr;
  SessionId session_ = 0;
  std::uint64_t connection_ = 0;
  bool greeted_ = false;
  std::uint64_t greetings_ = 0;
  WorldTime frozen_until_{0};
  WorldTime sent_until_{0};      // when what was sent last arrives
  WorldTime received_until_{0};  // when what was sent to it last arrives
  wire::Correlation last_ = 0;
  std::map<wire::Correlation, Request> open_;
  Unpacker unpacker_;
};

// Carries frames between peers and engines, in order, with delays.
class Network {
 public:
  Network(Timeline& timeline, Dice dice) : timeline_(timeline), dice_(dice) {}

  // One frame in so many takes hundreds of times longer; 0: none.
  std::uint64_t slow = 0;
  std::vector<Node*> nodes;

  void deliver(Node& node, SessionId session, std::string frame);
  void died(Node& node);

 private:
  friend class Peer;

  WorldTime latency();
  Node* any_node();

  Timeline& timeline_;
  Dice dice_;
  std::map<std::pair<Node*, SessionId>, Peer*> peers_;
};

}  // namespace jack::test

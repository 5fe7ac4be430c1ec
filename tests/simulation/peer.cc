#include "tests/simulation/peer.h"

#include <algorithm>
#include <stdexcept>
#include <variant>
#include <vector>

#include "engine/runtime/link.h"

namespace jack::test {
namespace {

using namespace std::chrono_literals;

// Without an answer for this long, a peer tries another engine.
constexpr WorldTime kPatience = 15s;

}  // namespace

// --- Network ---

WorldTime Network::latency() {
  const WorldTime usual = std::chrono::microseconds{dice_.between(20, 500)};
  return dice_.once_in(slow) ? 500 * usual : usual;
}

// One that is up, if there is any.
Node* Network::any_node() {
  std::vector<Node*> up;
  std::copy_if(nodes.begin(), nodes.end(), std::back_inserter(up),
               [](const Node* node) { return node->is_up(); });
  return up.empty() ? nullptr : dice_.any_of(up);
}

void Network::deliver(Node& node, SessionId session, std::string frame) {
  const auto found = peers_.find({&node, session});
  if (found == peers_.end()) return;
  Peer* const peer = found->second;
  peer->received_until_ = std::max(peer->received_until_, timeline_.now() + latency());
  timeline_.at(peer->received_until_,
               [peer, connection = peer->connection_, frame = std::move(frame)] {
                 if (connection == peer->connection_) peer->receive(frame);
               });
}

void Network::died(Node& node) {
  for (auto each = peers_.begin(); each != peers_.end();) {
    Peer* const peer = each->second;
    const bool is_of_node = each->first.first == &node;
    each = is_of_node ? peers_.erase(each) : std::next(each);
    if (!is_of_node) continue;
    timeline_.in(latency(), [peer, connection = peer->connection_] {
      if (connection == peer->connection_) peer->on_broken();
    });
  }
}

// --- Peer ---

Peer::Peer(Network& network, std::string name)
    : network_(network), name_(std::move(name)), dice_(network.dice_.split()) {}

const std::string& Peer::engine() const { return node_->name(); }

Network& Peer::network() { return network_; }

WorldTime Peer::now() const { return network_.timeline_.now(); }

bool Peer::is_frozen() const { return now() < frozen_until_; }

void Peer::freeze(WorldTime by) { frozen_until_ = now() + by; }

void Peer::begin() { connect(); }

void Peer::later(WorldTime pause, std::function<void()> action) {
  network_.timeline_.in(pause, [this, action = std::move(action)] {
    if (is_frozen()) {
      later(frozen_until_ - now(), action);
    } else {
      action();
    }
  });
}

Node* Peer::choose() { return network_.any_node(); }

void Peer::connect() {
  node_ = choose();
  if (node_ == nullptr) {
    later(std::chrono::milliseconds{dice_.between(20, 500)}, [this] { connect(); });
    return;
  }
  ++connection_;
  greeted_ = false;
  sent_until_ = received_until_ = now();
  session_ = node_->connect(false);
  network_.peers_[{node_, session_}] = this;
  greet();
}

void Peer::greet() {
  greeted_ = false;
  ++greetings_;
  std::erase_if(open_, [](const auto& each) { return each.second.once; });
  wire::Hello hello;
  hello.correlation = ++last_;
  hello.name = name_;
  send(wire::encode(hello));
  later(kPatience, [this, greeting = greetings_] {
    if (greeting == greetings_ && !greeted_) break_off(true);
  });
}

void Peer::break_off(bool engine_hears) {
  if (node_ == nullptr || session_ == 0) return;
  network_.peers_.erase({node_, session_});
  if (engine_hears) {
    network_.timeline_.in(network_.latency(), [node = node_, session = session_] {
      if (node->is_up()) node->disconnect(session);
    });
  }
  on_broken();
}

void Peer::on_broken() {
  ++connection_;
  greeted_ = false;
  session_ = 0;
  later(std::chrono::milliseconds{dice_.between(1, 200)}, [this, connection = connection_] {
    if (connection == connection_) connect();
  });
}

wire::Correlation Peer::ask(Request request) {
  const wire::Correlation correlation = ++last_;
  open_[correlation] = std::move(request);
  if (greeted_) send(correlation);
  return correlation;
}

void Peer::send(wire::Correlation correlation) {
  Request& request = open_.at(correlation);
  request.greeting = greetings_;
  if (request.asked) request.asked();
  send(request.encode(correlation));
  later(kPatience, [this, correlation, connection = connection_] {
    const auto open = open_.find(correlation);
    if (connection == connection_ && open != open_.end()) break_off(dice_.coin());
  });
}

void Peer::say(std::string frame) {
  if (greeted_) send(std::move(frame));
}

void Peer::send(std::string frame) {
  sent_until_ = std::max(sent_until_, now() + network_.latency());
  network_.timeline_.at(sent_until_, [node = node_, session = session_, frame = std::move(frame)] {
    if (node->is_up()) node->arrive(session, frame);
  });
}

void Peer::receive(const std::string& frame) {
  if (is_frozen()) {
    // It lies in the socket until then.
    network_.timeline_.at(frozen_until_, [this, connection = connection_, frame] {
      if (connection == connection_) receive(frame);
    });
    return;
  }
  Result<wire::Reply> decoded = wire::decode_reply(unpacker_, frame);
  if (!decoded) throw std::runtime_error("a reply is none: " + to_string(decoded.error()));
  const wire::Reply& reply = *decoded;
  if (std::holds_alternative<wire::Who>(reply)) {
    if (greeted_) greet();
    return;
  }
  if (std::holds_alternative<wire::Welcome>(reply)) {
    greeted_ = true;
    on_greeted();
    std::vector<wire::Correlation> again;
    for (const auto& [correlation, request] : open_) again.push_back(correlation);
    for (const wire::Correlation correlation : again) {
      const auto open = open_.find(correlation);
      // What on_greeted() has just asked is on its way.
      if (open != open_.end() && open->second.greeting != greetings_) send(correlation);
    }
    return;
  }
  const auto open = open_.find(correlation_of(reply));
  if (open == open_.end()) {
    on_message(reply);
    return;
  }
  const Request request = std::move(open->second);
  open_.erase(open);
  if (request.answered) request.answered(reply);
}

}  // namespace jack::test

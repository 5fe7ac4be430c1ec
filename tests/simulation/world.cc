#include "tests/simulation/world.h"

#include <algorithm>
#include <utility>

#include <xxhash.h>

namespace jack::test {
namespace {

using namespace std::chrono_literals;

// Everything has to come to rest in this time when there are no faults any more.
constexpr WorldTime kRestWithin = 15min;

// The reference flushes now and then, so that its hash stays cheap.
constexpr std::uint64_t kFlushEvery = 64;

}  // namespace

World::World(const WorldOptions& options)
    : options_(options),
      dice_(options.seed),
      plan_(dice_.split(), options.without),
      scene_{plan_, {}, {}, false, 0},
      journal_(timeline_, dice_.split()),
      network_(timeline_, dice_.split()) {
  journal_.on_entry = [this](const JournalEntry& entry) { on_entry(entry); };
  network_.slow = plan_.slow_frames;
  add_nodes();
  add_actors();
}

void World::add_nodes() {
  for (std::size_t i = 0; i < plan_.engines; ++i) {
    NodeOptions options;
    options.number = static_cast<std::uint8_t>(i + 1);
    options.limits = plan_.limits;
    options.sessions = plan_.sessions;
    options.store = plan_.store;
    options.clock_start = std::chrono::seconds{dice_.between(1, 1'000'000)};
    options.drift_ppm = plan_.drift_ppm_max == 0 ? 0 : dice_.between(0, plan_.drift_ppm_max);
    auto slot = std::make_shared<Node*>(nullptr);
    Node::Mail mail;
    mail.deliver = [this, slot](SessionId session, std::string frame) {
      hash_ = XXH3_64bits_withSeed(frame.data(), frame.size(), hash_);
      network_.deliver(**slot, session, std::move(frame));
    };
    mail.died = [this, slot] { network_.died(**slot); };
    nodes_.push_back(std::make_unique<Node>(timeline_, journal_, dice_.split(), options, mail));
    Node& node = *nodes_.back();
    *slot = &node;
    node.on_turn = [this, &node] { check(node); };
    node.on_stopped = [this, &node](const Error& error) {
      ++faults_["stopped by itself"];
      if (error.code != Code::stopped) find("J5", node.name() + " stopped: " + to_string(error));
      timeline_.in(std::chrono::milliseconds{dice_.between(1, 3000)}, [&node] {
        node.kill();
        node.start();
      });
    };
    network_.nodes.push_back(&node);
    timeline_.in(std::chrono::milliseconds{dice_.between(0, 500)}, [&node] { node.start(); });
  }
}

void World::add_actors() {
  const auto named = [](const char* what, std::size_t number) {
    return std::string(what) + " " + std::to_string(number);
  };
  for (std::size_t i = 0; i < plan_.submitters; ++i) {
    submitters_.push_back(std::make_unique<Submitter>(network_, scene_, named("submitter", i)));
    submitters_.back()->begin();
  }
  for (std::size_t i = 0; i < plan_.workers; ++i) {
    std::vector<std::string> queues;
    for (const std::string& queue : plan_.queues) {
      if (dice_.coin()) queues.push_back(queue);
    }
    if (queues.empty()) queues.push_back(dice_.any_of(plan_.queues));
    workers_.push_back(
        std::make_unique<WorkerPeer>(network_, scene_, named("worker", i), std::move(queues)));
    workers_.back()->begin();
  }
  for (std::size_t i = 0; i < plan_.watchers; ++i) {
    const std::string queue = dice_.coin() ? dice_.any_of(plan_.queues) : std::string();
    watchers_.push_back(
        std::make_unique<WatcherPeer>(network_, scene_, named("watcher", i), queue));
    watchers_.back()->begin();
  }
  for (std::size_t i = 0; i < plan_.clerks + 1; ++i) {
    clerks_.push_back(std::make_unique<Clerk>(network_, scene_, named("clerk", i)));
    clerks_.back()->begin();
  }
}

Node* World::some_node() { return dice_.any_of(nodes_).get(); }

void World::trouble(WorldTime every, const std::string& name, std::function<void()> action) {
  if (every == WorldTime{0}) return;
  timeline_.in(every / 2 + every * dice_.below(1000) / 1000,
               [this, every, name, action = std::move(action)] {
                 if (scene_.calm) return;
                 ++faults_[name];
                 action();
                 trouble(every, name, action);
               });
}

void World::add_faults() {
  const auto for_a_while = [this] { return std::chrono::milliseconds{dice_.between(10, 20'000)}; };
  const auto soon = [this] { return std::chrono::milliseconds{dice_.between(1, 2000)}; };
  trouble(plan_.kill_every, "kills", [this, soon] {
    Node* const node = some_node();
    node->kill();
    timeline_.in(soon(), [node] { node->start(); });
  });
  trouble(plan_.stop_every, "stops", [this, for_a_while] {
    Node* const node = some_node();
    node->leave();
    timeline_.in(for_a_while(), [node] {
      if (node->is_leaving()) node->kill();
      node->start();
    });
  });
  trouble(plan_.freeze_every, "freezes", [this, for_a_while] {
    if (dice_.coin()) {
      some_node()->freeze(for_a_while());
    } else {
      dice_.any_of(workers_)->freeze(for_a_while());
    }
  });
  trouble(plan_.cut_every, "cuts", [this, for_a_while] { some_node()->cut_off(for_a_while()); });
  trouble(plan_.full_every, "full disks",
          [this, for_a_while] { some_node()->fill_disk(for_a_while()); });
  trouble(plan_.jump_every, "clock jumps",
          [this] { some_node()->clock().jump(Duration{dice_.between(-86'400'000, 86'400'000)}); });
  trouble(plan_.break_every, "broken connections", [this] {
    switch (dice_.below(3)) {
      case 0: dice_.any_of(submitters_)->break_off(dice_.coin()); return;
      case 1: dice_.any_of(workers_)->break_off(dice_.coin()); return;
      default:
        if (!watchers_.empty()) dice_.any_of(watchers_)->break_off(dice_.coin());
        return;
    }
  });
}

// --- What must hold at every step ---

void World::find(const std::string& property, const std::string& text) {
  if (findings_.size() < 20) findings_.push_back({property, text});
}

void World::on_entry(const JournalEntry& entry) {
  const Outcomes& outcomes = reference_.apply(entry.index, entry.bytes);
  for (const EventView& event : outcomes.events) {
    scene_.history.events.push_back({event.position, event.kind, event.task,
                                     std::string(event.queue), event.attempt, event.cycle});
  }
  if (!outcomes.events.empty()) last_event_ = entry.index;
  note_dues(outcomes.events);
  if (reference_.state().entries() % kFlushEvery == 0) reference_.flush();
  hashes_[entry.index] = reference_.state().hash();
  check_counts();
}

// O2: nothing starts before its time or after its end, by the journal's clock.
void World::note_dues(const std::vector<EventView>& events) {
  for (const EventView& event : events) {
    if (event.task.empty()) continue;
    Dates& dates = dates_[event.task];
    if (event.kind == EventKind::retried) dates = {};  // a new cycle has dates of its own
    const bool starts = event.kind == EventKind::started;
    if ((starts || event.kind == EventKind::queued) && dates.due && event.at < *dates.due) {
      find("O2", "task " + to_string(event.task) + " is " + std::string(name_of(event.kind)) +
                     " before it is due");
    }
    if (starts && dates.expires && *dates.expires <= event.at) {
      find("O2", "task " + to_string(event.task) + " starts after it has expired");
    }
    dates.due.reset();
  }
  for (const EventView& event : events) {
    if (event.task.empty()) continue;
    Dates& dates = dates_[event.task];
    const std::optional<TaskView> view = reference_.state().find(event.task);
    if (!view) continue;
    if (view->status.state == TaskState::scheduled) dates.due = view->status.due;
    dates.expires = view->status.expires;
  }
}

// J1: at the same place in the journal all engines are in the same state.
void World::check(Node& node) {
  State& state = node.loop().state();
  if (state.index() == 0 || node.loop().phase() == Loop::Phase::stopped) return;
  const auto expected = hashes_.find(state.index());
  if (expected == hashes_.end()) {
    find("J2", node.name() + " is at an index that the journal does not have");
  } else if (expected->second != state.hash()) {
    find("J1", node.name() + " is in another state behind entry " + std::to_string(state.index()));
  }
}

// S2, as far as the queues themselves can tell.
void World::check_counts() {
  std::uint64_t unfinished = 0;
  std::uint64_t running = 0;
  for (const QueueView& queue : reference_.state().queues()) {
    unfinished += queue.counts.unfinished();
    running += queue.counts.running;
  }
  if (unfinished != reference_.state().unfinished() || running != reference_.state().running()) {
    find("S2", "the counts of queues do not add up to those of all tasks");
  }
}

// --- The end ---

void World::calm_down() {
  scene_.calm = true;
  journal_.faults = {};
  network_.slow = 0;
  for (const auto& node : nodes_) {
    node->heal();
    node->start();
  }
  // Somebody for every queue.
  workers_.push_back(std::make_unique<WorkerPeer>(network_, scene_, "last worker", plan_.queues));
  workers_.back()->begin();
}

bool World::is_at_rest() {
  const auto is_done = [](const auto& each) { return each->is_done(); };
  return reference_.state().unfinished() == 0 &&
         std::all_of(submitters_.begin(), submitters_.end(), is_done) &&
         std::all_of(workers_.begin(), workers_.end(), is_done) &&
         std::all_of(clerks_.begin(), clerks_.end(), is_done) &&
         std::all_of(nodes_.begin(), nodes_.end(), [this](const auto& node) {
           return node->is_running() && node->loop().state().index() >= last_event_;
         });
}

// Who has not come to rest.
std::string World::unrest() const {
  std::string text = std::to_string(reference_.state().unfinished()) + " tasks";
  const auto add = [&text](const auto& all) {
    for (const auto& each : all) {
      if (!each->is_done()) text += ", " + each->name();
    }
  };
  add(submitters_);
  add(workers_);
  add(clerks_);
  for (const auto& node : nodes_) {
    if (!node->is_running()) text += ", " + node->name() + (node->is_up() ? "" : " is down");
  }
  return text;
}

bool World::is_watched() const {
  return std::all_of(watchers_.begin(), watchers_.end(), [this](const auto& each) {
    const Watcher& watcher = each->watcher();
    for (auto last = scene_.history.events.rbegin(); last != scene_.history.events.rend(); ++last) {
      if (!watcher.queue.empty() && watcher.queue != last->queue) continue;
      return !watcher.events.empty() && watcher.events.back().position == last->position;
    }
    return true;
  });
}

// What each engine shows of all tasks; they have to agree.
void World::look_at_everything() {
  std::vector<std::unique_ptr<Inspector>> inspectors;
  for (const auto& node : nodes_) {
    inspectors.push_back(
        std::make_unique<Inspector>(network_, *node, "inspector of " + node->name()));
    inspectors.back()->begin();
  }
  const WorldTime end = timeline_.now() + 60s;
  const auto is_done = [](const auto& each) { return each->is_done(); };
  while (!std::all_of(inspectors.begin(), inspectors.end(), is_done) && timeline_.now() < end &&
         timeline_.step()) {
  }
  for (std::size_t i = 0; i < inspectors.size(); ++i) {
    if (!inspectors[i]->is_done()) find("V1", nodes_[i]->name() + " does not show all tasks");
    const auto& tasks = inspectors[i]->tasks();
    const auto& first = inspectors[0]->tasks();
    const auto differs = std::mismatch(tasks.begin(), tasks.end(), first.begin(), first.end());
    if (differs.first != tasks.end() || differs.second != first.end()) {
      const TaskId task = differs.first != tasks.end() ? differs.first->task : differs.second->task;
      find("J1", nodes_[i]->name() + " shows task " + to_string(task) + " otherwise than " +
                     nodes_[0]->name());
    }
  }
  scene_.history.tasks = inspectors[0]->tasks();
  // They go, and what is on its way to them must not reach them.
  retired_ = std::move(inspectors);
}

Verdict World::run() {
  // Whoever comes new needs the first entry: all are there before anything is trimmed.
  const auto is_running = [](const auto& node) { return node->is_running(); };
  while (!std::all_of(nodes_.begin(), nodes_.end(), is_running) && timeline_.step()) {
  }
  journal_.faults = plan_.journal;
  add_faults();
  while (timeline_.steps() < options_.steps && timeline_.step()) {
  }
  calm_down();
  const WorldTime end = timeline_.now() + kRestWithin;
  WorldTime resume_at{0};
  while (!is_at_rest() && timeline_.now() < end && timeline_.step()) {
    // More than once: a pause may still be on its way, by an engine that was frozen.
    if (timeline_.now() < resume_at) continue;
    resume_at = timeline_.now() + 20s;
    clerks_.front()->resume_all();
  }
  const bool at_rest = is_at_rest();
  // Time for the watchers to see all of it.
  const WorldTime watched = timeline_.now() + 90s;
  while (at_rest && !is_watched() && timeline_.now() < watched && timeline_.step()) {
  }
  for (const auto& watcher : watchers_) watcher->watcher().to_the_end = at_rest;

  look_at_everything();
  Verdict verdict;
  verdict.report = audit(scene_.history, {.at_rest = at_rest, .one_clock = false});
  if (!at_rest) find("S1", "not all is at rest: " + unrest());
  verdict.report.findings.insert(verdict.report.findings.begin(), findings_.begin(),
                                 findings_.end());
  verdict.steps = timeline_.steps();
  verdict.hash = hash_;
  verdict.faults = faults_;
  return verdict;
}

std::string World::logs() const {
  std::string text;
  for (const auto& node : nodes_) {
    text += node->name() + ":\n";
    const auto& log = node->log();
    for (std::size_t i = log.size() > 40 ? log.size() - 40 : 0; i < log.size(); ++i) {
      text += "  " + log[i] + "\n";
    }
  }
  return text;
}

}  // namespace jack::test

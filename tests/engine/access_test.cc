// What a key allows: every kind of message, live changes of the list of keys, and what is shown of
// many queues.
#include <algorithm>
#include <array>
#include <set>

#include <jack_engine/testing/harness.h>

#include "tests/catch.hpp"
#include "tests/engine/raw_session.h"

using namespace std::chrono_literals;
using namespace jack;
using namespace jack::testing;

namespace {

Rights rights(std::string_view scopes, std::string_view queues = "*") {
  return Rights::parse(scopes, queues).value();
}

constexpr std::string_view kAllScopes = "submit,work,read,admin";

// A list of keys that a test changes while an engine runs.
class Keys {
 public:
  explicit Keys(Harness& harness) {
    harness.impl().rig().set_rights([this] {
      ++asked;
      return table_;
    });
  }
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;

  void set(const std::vector<std::pair<std::string, Rights>>& keys) {
    auto table = std::make_shared<RightsTable>();
    for (const auto& [name, rights] : keys) table->add(name, rights);
    table_ = std::move(table);
  }
  void set(RightsTable table) { table_ = std::make_shared<RightsTable>(std::move(table)); }

  int asked = 0;

 private:
  std::shared_ptr<const RightsTable> table_ = std::make_shared<RightsTable>();
};

Code code_of(const wire::Reply* reply) {
  if (reply == nullptr) return Code::ok;
  if (const auto* refused = std::get_if<wire::Refused>(reply)) return refused->code;
  if (const auto* done = std::get_if<wire::Done>(reply)) return done->items.at(0).code;
  return Code::ok;
}

template <typename Message>
Code ask(RawSession& session, const Message& message) {
  session.say(message);
  return code_of(session.next());
}

TaskSpec spec_of(std::string_view queue, std::uint64_t number, std::string_view payload = "a") {
  TaskSpec spec;
  spec.id = TaskId::from(WallTime{1'767'225'600'000ms}, number, 99);
  spec.queue = queue;
  spec.payload = payload;
  return spec;
}

// One task of queue `mail` in each state that matters.
struct Mail {
  Harness jack;
  Keys keys{jack};
  TaskId finished;
  Lease running;
  TaskId queued;

  Mail() {
    keys.set({{"full", rights(kAllScopes)},
              {"submit", rights("submit")},
              {"work", rights("work")},
              {"read", rights("read")},
              {"admin", rights("admin")},
              {"other", rights(kAllScopes, "other,others-*")},
              {"gone", rights(kAllScopes)}});
    finished = jack.submit("mail", "finished");
    jack.succeed(jack.claim("mail"), "done");
    jack.advance(2s);  // it is in the store alone
    jack.submit("mail", "running");
    running = jack.claim("mail", {.worker = {}, .lease = 1h});
    queued = jack.submit("mail", "queued");
  }
};

wire::Settle::Item success(const TaskId& task, LeaseToken token) {
  wire::Settle::Item item;
  item.task = task;
  item.token = token;
  item.outcome = Outcome::succeeded;
  return item;
}

std::string submit_with_reply(const Mail&) {
  TaskSpec spec = spec_of("mail", 7);
  spec.reply_to = "mail";
  return encode(wire::Submit{9, {encoded(spec)}});
}

std::string record(const Mail&) {
  const std::string spec = encoded(spec_of("mail", 7));
  wire::NewTask task(spec);
  task.result = "done";
  task.other_ids = {spec_of("mail", 8).id};
  return encode(wire::Submit{9, {task}});
}

std::string settle_with_follow_up(const Mail& mail) {
  const std::string next = encoded(spec_of("mail", 8));
  wire::Settle::Item item = success(mail.running.task, mail.running.token);
  item.follow_ups = {next};
  return encode(wire::Settle{9, {item}});
}

std::string annotate(const TaskId& task) {
  wire::Annotate::Item item{task, {}};
  item.changes.push_back({"note", "n"});
  return encode(wire::Annotate{9, {item}});
}

std::string watch(const TaskId& task, std::string_view queue) {
  wire::Watch message;
  message.correlation = 9;
  message.task = task;
  message.queue = queue;
  return encode(message);
}

// Who may say what: nobody in particular, then keys with all scopes, each single one, and all on
// another queue: + yes, - permission_denied, 0 not_found. The code is that of whoever may.
struct Rule {
  std::string_view what;
  std::string_view may;
  Code code;
  std::string (*frame)(const Mail& mail);
};
constexpr std::array<std::string_view, 7> kWho = {"",     "full",  "submit", "work",
                                                  "read", "admin", "other"};

const std::vector<Rule>& rules() {
  static const std::vector<Rule> kRules = {
      {"hello", "+++++++", Code::ok,
       [](const Mail&) {
         return encode(wire::Hello{9, 1, "n"});
       }},
      {"submit", "+++----", Code::ok,
       [](const Mail&) {
         return encode(wire::Submit{9, {encoded(spec_of("mail", 7))}});
       }},
      {"submit with a reply_to", "+++----", Code::ok, submit_with_reply},
      {"submit with a result and another id", "+++----", Code::ok, record},
      {"work", "++-+---", Code::ok,
       [](const Mail&) {
         return encode(wire::Work{9, 5, 0, {}, {"mail"}});
       }},
      {"settle", "++-+---", Code::ok,
       [](const Mail& mail) {
         return encode(wire::Settle{9, {success(mail.running.task, mail.running.token)}});
       }},
      {"settle without a lease", "++-+---", Code::ok,
       [](const Mail& mail) {
         return encode(wire::Settle{9, {success(mail.queued, kNoLease)}});
       }},
      {"settle of a stored task", "++-+---", Code::lease_lost,
       [](const Mail& mail) {
         return encode(wire::Settle{9, {success(mail.finished, LeaseToken{77})}});
       }},
      {"settle with a follow-up", "++-----", Code::ok, settle_with_follow_up},
      {"extend", "++-+---", Code::ok,
       [](const Mail& mail) {
         return encode(wire::Extend{9, {{mail.running.task, mail.running.token, 1min}}});
       }},
      {"output", "++-+---", Code::ok,
       [](const Mail& mail) {
         return encode(wire::Output{9, {{mail.running.task, mail.running.token, "o"}}});
       }},
      {"progress", "++-+---", Code::ok,
       [](const Mail& mail) {
         return encode(wire::Progress{9, {{mail.running.task, mail.running.token, 5, "p"}}});
       }},
      {"resume", "++-+---", Code::ok,
       [](const Mail& mail) {
         return encode(wire::Resume{9, 1, {{mail.running.task, mail.running.token}}});
       }},
      {"take", "++-+---", Code::ok,
       [](const Mail& mail) {
         return encode(wire::Take{9, 1, {mail.queued}});
       }},
      {"take of a stored task", "++-+---", Code::failed_precondition,
       [](const Mail& mail) {
         return encode(wire::Take{9, 1, {mail.finished}});
       }},
      {"unwork", "+++++++", Code::failed_precondition,
       [](const Mail&) {
         return encode(wire::Unwork{9, 77});
       }},
      {"get", "++--+--", Code::ok,
       [](const Mail& mail) {
         return encode(wire::Get{9, mail.queued, true, 0});
       }},
      {"get of a stored task", "++--+--", Code::ok,
       [](const Mail& mail) {
         return encode(wire::Get{9, mail.finished, true, 0});
       }},
      {"get by number", "++--+-0", Code::ok,
       [](const Mail&) {
         return encode(wire::Get{9, {}, true, 3});
       }},
      {"get of a stored task by number", "++--+-0", Code::ok,
       [](const Mail&) {
         return encode(wire::Get{9, {}, true, 1});
       }},
      {"wait", "++--+--", Code::ok,
       [](const Mail& mail) {
         return encode(wire::Wait{9, mail.finished, 0ms});
       }},
      {"read_output", "++--+--", Code::ok,
       [](const Mail& mail) {
         return encode(wire::ReadOutput{9, mail.running.task, 0, 9});
       }},
      {"list of a queue", "++--+--", Code::ok,
       [](const Mail&) {
         return encode(wire::List{9, "mail", {}});
       }},
      {"list", "++--+-+", Code::ok,
       [](const Mail&) {
         return encode(wire::List{9, "", {}});
       }},
      {"list by type, parent and time", "++--+-+", Code::ok,
       [](const Mail& mail) {
         wire::List list{9, "", {}};
         list.type = "t";
         list.parent = mail.finished;
         list.from_ms = 1;
         list.to_ms = 2;
         return encode(list);
       }},
      {"queues", "++--+-+", Code::ok, [](const Mail&) { return encode(wire::Queues{9}); }},
      {"watch of a task", "++--+--", Code::ok,
       [](const Mail& mail) { return watch(mail.finished, ""); }},
      {"watch of a queue", "++--+--", Code::ok, [](const Mail&) { return watch({}, "mail"); }},
      {"watch", "++--+-+", Code::ok, [](const Mail&) { return watch({}, ""); }},
      {"cancel", "+++----", Code::ok,
       [](const Mail& mail) {
         return encode(wire::Cancel{9, {mail.queued}, ""});
       }},
      {"retry", "+++----", Code::failed_precondition,
       [](const Mail& mail) {
         return encode(wire::Retry{9, {mail.finished}});
       }},
      {"annotate", "++++---", Code::ok, [](const Mail& mail) { return annotate(mail.queued); }},
      {"annotate of a stored task", "++++---", Code::ok,
       [](const Mail& mail) { return annotate(mail.finished); }},
      {"remove", "++---+-", Code::ok,
       [](const Mail& mail) {
         return encode(wire::Remove{9, {mail.finished}});
       }},
      {"pause", "++---+-", Code::ok,
       [](const Mail&) {
         return encode(wire::Pause{9, "mail", true});
       }},
      {"grant", "+++++++", Code::ok,
       [](const Mail&) {
         return encode(wire::Grant{9, 77, 1});
       }},
      {"unwatch", "+++++++", Code::ok,
       [](const Mail&) {
         return encode(wire::Unwatch{9, 77});
       }},
      {"info", "+++++++", Code::ok, [](const Mail&) { return encode(wire::Info{9}); }},
      {"ping", "+++++++", Code::ok, [](const Mail&) { return encode(wire::Ping{9}); }},
      {"bye", "+++++++", Code::ok, [](const Mail&) { return encode(wire::Bye{9}); }},
  };
  return kRules;
}

}  // namespace

TEST_CASE("there is a rule for every kind of message") {
  const Mail mail;
  std::set<std::size_t> kinds;
  Unpacker unpacker;
  for (const Rule& rule : rules()) {
    kinds.insert(wire::decode_request(unpacker, rule.frame(mail)).value().index());
  }
  CHECK(kinds.size() == std::variant_size_v<wire::Request>);
}

TEST_CASE("a key may do what its scopes say on its queues, and nothing else") {
  for (const Rule& rule : rules()) {
    for (std::size_t who = 0; who < kWho.size(); ++who) {
      for (const bool in_process : {false, true}) {
        // There it names the key, which has a test of its own.
        if (in_process && rule.what == "hello") continue;
        CAPTURE(rule.what, kWho[who], in_process);
        Mail mail;
        RawSession session(mail.jack, RawSession::ByKey{std::string(kWho[who]), in_process});
        // Where it may: what a task is taken or resumed by.
        ask(session, wire::Work{2, 1, 0, {}, {kWho[who] == "other" ? "other" : "mail"}});
        const std::string denied = mail.jack.fact("denied");

        session.say_bytes(rule.frame(mail));
        const Code code = code_of(session.next());

        const char may = rule.may[who];
        CHECK(code == (may == '+'   ? rule.code
                       : may == '0' ? Code::not_found
                                    : Code::permission_denied));
        CHECK((mail.jack.fact("denied") == denied) == (may != '-'));
      }
    }
  }
}

TEST_CASE("a key that is gone may say nothing at all") {
  const bool expires = GENERATE(false, true);  // else it is revoked
  for (const Rule& rule : rules()) {
    for (const bool in_process : {false, true}) {
      CAPTURE(rule.what, in_process, expires);
      Mail mail;
      RightsTable table;
      table.add("gone", rights(kAllScopes), mail.jack.wall_now() + 1min);
      if (expires) mail.keys.set(table);
      RawSession session(mail.jack, RawSession::ByKey{"gone", in_process});
      if (expires) {
        mail.jack.impl().rig().clock().jump_wall(1min);
      } else {
        mail.keys.set({{"full", rights(kAllScopes)}});
      }

      session.say_bytes(rule.frame(mail));

      CHECK(session.expect<wire::Refused>().code == Code::unauthenticated);
      CHECK(mail.jack.state(mail.queued) == TaskState::queued);
      CHECK(mail.jack.state(mail.running.task) == TaskState::running);
      const wire::Reply* answer = session.next();
      if (in_process) {  // the engine does not know who this is, and asks; a hello names no key
        const bool asks = answer != nullptr && std::holds_alternative<wire::Who>(*answer);
        CHECK(asks == (rule.what != "hello" && rule.what != "bye"));
        continue;
      }
      REQUIRE(answer != nullptr);
      CHECK(std::get<wire::Refused>(*answer).code == Code::unauthenticated);
      CHECK(std::get<wire::Refused>(*answer).correlation == 9);
    }
  }
}

TEST_CASE("a key that was never in the list may say nothing at all") {
  for (const Rule& rule : rules()) {
    for (const bool in_process : {false, true}) {
      CAPTURE(rule.what, in_process);
      Mail mail;
      RawSession session(mail.jack, RawSession::ByKey{"wrong", in_process, false});
      if (in_process) {
        CHECK(ask(session, wire::Hello{1, wire::kVersion, "n", "wrong"}) == Code::unauthenticated);
        if (rule.what == "hello" || rule.what == "bye") continue;
      }

      session.say_bytes(rule.frame(mail));

      const wire::Reply* answer = session.next();
      REQUIRE(answer != nullptr);
      if (in_process) {
        CHECK(std::holds_alternative<wire::Who>(*answer));
      } else {
        CHECK(code_of(answer) == Code::unauthenticated);
      }
      CHECK(session.next() == nullptr);
      CHECK(mail.jack.state(mail.queued) == TaskState::queued);
      CHECK(mail.jack.state(mail.running.task) == TaskState::running);
    }
  }
}

TEST_CASE("items are refused one by one, by scope and queue and without their payloads") {
  Harness jack;
  Keys keys(jack);
  keys.set({{"ci", rights("submit", "build-*")}});
  RawSession session(jack, RawSession::ByKey{"ci"});
  const std::string secret = encoded(spec_of("mail", 1, "secret"));
  const std::string mine = encoded(spec_of("build-9", 2));
  const std::string none = encoded(spec_of("?", 3));

  session.say(wire::Submit{4, {secret, mine, none, secret}});

  const auto& done = session.expect<wire::Done>();
  REQUIRE(done.items.size() == 4);
  CHECK(done.items[0].code == Code::permission_denied);
  CHECK(done.items[0].message == "key 'ci' has no scope 'submit' on queue 'mail'");
  CHECK(done.items[1].code == Code::ok);
  CHECK(done.items[2].code == Code::invalid_argument);
  CHECK(done.items[3].code == Code::permission_denied);
  CHECK(jack.fact("denied") == "2");
  session.say(wire::Get{5, spec_of("build-9", 2).id, false, 0});
  CHECK(session.expect<wire::Refused>().message == "key 'ci' has no scope 'read'");
}

TEST_CASE("a reply_to is a submit to its queue") {
  Harness jack;
  Keys keys(jack);
  keys.set({{"ci", rights("submit,work", "build-*")}});
  RawSession session(jack, RawSession::ByKey{"ci"});
  const auto with_reply = [](std::uint64_t number, std::string_view queue) {
    TaskSpec spec = spec_of("build-1", number);
    spec.reply_to = queue;
    return encoded(spec);
  };
  const std::string denied = "reply_to is refused: key 'ci' has no scope 'submit' on queue 'mail'";
  const std::string away = with_reply(1, "mail");
  const std::string near = with_reply(2, "build-2");
  const std::string none = with_reply(3, "?");

  session.say(wire::Submit{4, {away, near, none}});

  const auto& done = session.expect<wire::Done>();
  REQUIRE(done.items.size() == 3);
  CHECK(done.items[0].code == Code::permission_denied);
  CHECK(done.items[0].message == denied);
  CHECK(done.items[1].code == Code::ok);
  CHECK(done.items[2].code == Code::invalid_argument);
  CHECK(jack.fact("tasks") == "1");

  // Nor by a task that was done elsewhere, nor by one that follows from another.
  wire::NewTask recorded(away);
  recorded.result = "done";
  session.say(wire::Submit{5, {recorded}});
  CHECK(session.expect_code() == Code::permission_denied);
  const Lease running = jack.claim("build-1");
  wire::Settle::Item item = success(running.task, running.token);
  item.follow_ups = {away};
  session.say(wire::Settle{6, {item}});
  const auto& settled = session.expect<wire::Done>();
  CHECK(settled.items.at(0).code == Code::permission_denied);
  CHECK(settled.items.at(0).message == "a follow-up task is refused: " + denied);
  const std::string follow_up = with_reply(4, "build-3");
  item.follow_ups = {follow_up};
  session.say(wire::Settle{7, {item}});
  CHECK(session.expect_code() == Code::ok);
  CHECK(jack.fact("denied") == "3");
}

TEST_CASE("a key does not hear whose the task is that it may not touch") {
  Mail mail;
  RawSession other(mail.jack, RawSession::ByKey{"other"});
  const TaskId hidden = GENERATE(0, 1) == 0 ? mail.finished : mail.queued;

  other.say(wire::Get{2, hidden, false, 0});
  CHECK(other.expect<wire::Refused>().message ==
        "key 'other' has no scope 'read' on the queue of task " + to_string(hidden));
  // In the words for a number that no task has.
  other.say(wire::Get{3, {}, false, 1});
  CHECK(other.expect<wire::Refused>().message == "there is no task with the number 1 any more");
  other.say(wire::Get{4, {}, false, 99});
  CHECK(other.expect<wire::Refused>().message == "there is no task with the number 99 any more");
}

TEST_CASE("what a worker's key does not cover keeps its lease, and its place comes back") {
  Harness jack;
  Keys keys(jack);
  keys.set({{"w", rights("work", "mail")}});
  RawSession worker(jack, RawSession::ByKey{"w"});
  REQUIRE(worker.work(1, 1, {"mail"}) == Code::ok);
  CHECK(worker.work(2, 1, {"mail", "post"}) == Code::permission_denied);
  const TaskId task = jack.submit("mail", "a");
  const auto deliveries = worker.take_deliveries();
  REQUIRE(deliveries.size() == 1);
  const std::string next = encoded(spec_of("mail", 5));
  wire::Settle::Item item = success(task, deliveries[0].token);
  item.again = true;
  item.follow_ups = {next};

  worker.say(wire::Settle{3, {item}});

  const auto& done = worker.expect<wire::Done>();
  CHECK(done.items.at(0).code == Code::permission_denied);
  CHECK(done.items.at(0).message ==
        "a follow-up task is refused: key 'w' has no scope 'submit' on queue 'mail'");
  CHECK(jack.state(task) == TaskState::running);
  CHECK(workers_of(jack, "mail") == 1);
}

TEST_CASE("what a session in the engine's process settles may be answered where it says") {
  Harness jack;
  Keys keys(jack);
  keys.set({{"w", rights("work", "mail")}});
  const auto settle_with = [&](const std::string& answers, std::uint64_t number,
                               const std::string& queue, const std::string& reply_to = {}) {
    RawSession session(jack, RawSession::ByKey{"w", true, true, answers});
    TaskSpec spec = spec_of(queue, number);
    spec.reply_to = reply_to;
    const std::string next = encoded(spec);
    wire::Settle::Item item = success(jack.submit("mail", "a"), kNoLease);
    item.follow_ups = {next};
    return ask(session, wire::Settle{3, {item}});
  };
  CHECK(settle_with("answers", 11, "answers") == Code::ok);
  CHECK(settle_with("answers", 12, "other") == Code::permission_denied);
  CHECK(settle_with("answers", 13, "answers", "other") == Code::permission_denied);
  CHECK(settle_with("", 14, "answers") == Code::permission_denied);
  CHECK(jack.submitted("answers").size() == 1);

  // Nothing that is handed in by itself.
  RawSession session(jack, RawSession::ByKey{"w", true, true, "answers"});
  CHECK(ask(session, wire::Submit{4, {encoded(spec_of("answers", 15))}}) ==
        Code::permission_denied);
}

TEST_CASE("only a session in the engine's process says where it answers") {
  Harness jack;
  RawSession session(jack, RawSession::ByKey{"", false, false});
  CHECK(ask(session, wire::Hello{1, wire::kVersion, "n", "", "answers"}) ==
        Code::permission_denied);
}

TEST_CASE("a task that nobody has is not found, whatever the key") {
  Harness jack;
  Keys keys(jack);
  keys.set({{"mail", rights(kAllScopes, "mail")}, {"full", rights(kAllScopes)}});
  const TaskId none = TaskId::from(jack.wall_now(), 7, 7);
  for (const char* key : {"", "full", "mail"}) {
    CAPTURE(key);
    RawSession session(jack, RawSession::ByKey{key});
    CHECK(ask(session, wire::Cancel{2, {none}, ""}) == Code::not_found);
    CHECK(ask(session, wire::Get{3, none, false, 0}) == Code::not_found);
    CHECK(ask(session, wire::Get{4, {}, false, 99}) == Code::not_found);
    CHECK(ask(session, wire::Wait{5, none, 1s}) == Code::not_found);
    CHECK(ask(session, wire::Settle{6, {success(none, kNoLease)}}) == Code::not_found);
    CHECK(ask(session, wire::Settle{7, {success(none, LeaseToken{3})}}) == Code::lease_lost);
    CHECK(ask(session, wire::Output{8, {{none, LeaseToken{3}, "o"}}}) == Code::lease_lost);
  }
  CHECK(jack.fact("denied") == "0");
}

// Whose it is cannot be known before it is there, so a command must not run after its submit.
TEST_CASE("a key of another queue cannot name a task whose submit is on its way") {
  Harness jack;
  Keys keys(jack);
  keys.set({{"other", rights(kAllScopes, "other")}});
  RawSession owner(jack);
  RawSession other(jack, RawSession::ByKey{"other"});
  const TaskSpec spec = spec_of("mail", 1);

  owner.say(wire::Submit{2, {encoded(spec)}});
  other.say(wire::Cancel{2, {spec.id}, ""});
  other.say(wire::Get{3, {}, true, 1});

  CHECK(other.expect_code() == Code::not_found);
  CHECK(other.expect_code() == Code::not_found);
  CHECK(jack.state(spec.id) == TaskState::queued);
}

TEST_CASE("the store is asked for a task's queue only where the answer matters") {
  Mail mail;
  mail.keys.set({{"read", rights("read")}, {"mail", rights("submit", "mail")}});
  RawSession read(mail.jack, RawSession::ByKey{"read"});
  RawSession limited(mail.jack, RawSession::ByKey{"mail"});

  mail.jack.impl().rig().store().fail_reads(Error{Code::corruption, "damaged"});
  const Code without_scope = ask(read, wire::Cancel{2, {mail.finished}, ""});
  const Code with_pattern = ask(limited, wire::Cancel{2, {mail.finished}, ""});
  const Code in_memory = ask(limited, wire::Cancel{2, {mail.queued}, ""});
  mail.jack.impl().rig().store().fail_reads(std::nullopt);

  CHECK(without_scope == Code::permission_denied);
  CHECK(with_pattern == Code::corruption);
  CHECK(in_memory == Code::ok);
  CHECK(mail.jack.fact("state") == "running");
}

TEST_CASE("what shows many queues shows those that may be read") {
  Harness jack({.transport = GENERATE("memory", "local")});
  Keys keys(jack);
  keys.set({{"reader", rights("read", "a,b-*")}});
  const std::vector<std::string> queues = {"a", "b", "b-1", "c", "b-2"};
  for (const std::string& queue : queues) {
    jack.submit(queue, "live");
    jack.submit(queue, "finished");
    jack.succeed(jack.claim(queue));
  }
  RawSession reader(jack, RawSession::ByKey{"reader"});
  const std::set<std::string> expected = {"a", "b-1", "b-2"};

  SECTION("queues") {
    reader.say(wire::Queues{2});
    std::set<std::string> seen;
    for (const wire::QueueItem& item : reader.expect<wire::QueueList>().queues) {
      seen.emplace(item.name);
    }
    CHECK(seen == expected);
  }
  SECTION("list") {
    jack.advance(2s);
    reader.say(wire::List{2, "", {}});
    const auto& page = reader.expect<wire::Page>();
    std::multiset<std::string> seen;
    for (const wire::Page::Item& item : page.tasks) {
      Unpacker unpacker;
      seen.emplace(decode_spec(unpacker, item.spec).value().queue);
    }
    CHECK(seen == std::multiset<std::string>{"a", "a", "b-1", "b-1", "b-2", "b-2"});
    CHECK(page.next.empty());
  }
  SECTION("watch, of what is in memory and of what is in the store") {
    if (GENERATE(false, true)) {
      jack.advance(2s);
      jack.restart();
    }
    RawSession watcher(jack, RawSession::ByKey{"reader"});
    wire::Watch all;
    all.correlation = 2;
    all.after = Position{};
    all.credit = 1000;
    watcher.say(all);
    std::set<std::string> seen;
    std::size_t events = 0;
    const auto read_all = [&] {
      while (const wire::Reply* reply = watcher.next()) {
        for (const std::string_view event : std::get<wire::Events>(*reply).events) {
          Unpacker unpacker;
          seen.emplace(decode_event(unpacker, event).value().queue);
          ++events;
        }
      }
    };
    read_all();
    CHECK(seen == expected);
    const std::size_t so_far = events;
    jack.submit("c", "more");
    read_all();
    CHECK(events == so_far);
    jack.submit("b-1", "more");
    read_all();
    CHECK(events > so_far);
    CHECK(seen == expected);
  }
}

TEST_CASE("a task that is not there yet may be watched, and shows if it may be read") {
  Harness jack;
  Keys keys(jack);
  keys.set({{"reader", rights("read", "mail")}});
  RawSession reader(jack, RawSession::ByKey{"reader"});
  const bool readable = GENERATE(false, true);
  const TaskSpec spec = spec_of(readable ? "mail" : "post", 1);
  reader.say_bytes(watch(spec.id, ""));
  CHECK(reader.expect<wire::Events>().events.empty());

  jack.submit(spec);

  CHECK((reader.next() != nullptr) == readable);
}

TEST_CASE("a key that is taken away ends its sessions: waits, watches and leases") {
  Harness jack;
  Keys keys(jack);
  keys.set({{"ada", rights(kAllScopes)}, {"bob", rights(kAllScopes)}});
  const TaskId task = jack.submit("mail", "a");
  RawSession ada(jack, RawSession::ByKey{"ada"});
  RawSession bob(jack, RawSession::ByKey{"bob"});
  REQUIRE(ada.work(1, 2, {"mail"}) == Code::ok);
  REQUIRE(ada.take_deliveries().size() == 1);
  ada.say(wire::Wait{21, task, 1h});
  ada.say_bytes(watch({}, ""));
  ada.expect<wire::Events>();
  bob.say_bytes(watch({}, ""));
  bob.expect<wire::Events>();

  keys.set({{"bob", rights(kAllScopes)}});
  const TaskId other = jack.submit("mail", "b");

  std::set<wire::Correlation> refused;
  while (const wire::Reply* reply = ada.next()) {
    const auto& refusal = std::get<wire::Refused>(*reply);
    CHECK(refusal.code == Code::unauthenticated);
    refused.insert(refusal.correlation);
  }
  CHECK(refused == std::set<wire::Correlation>{0, 9, 21});
  CHECK_FALSE(bob.expect<wire::Events>().events.empty());
  CHECK(jack.state(other) == TaskState::queued);
  CHECK(workers_of(jack, "mail") == 0);
  // Its lease waits for its worker as after a broken connection, and then it is over.
  jack.advance(4s);
  CHECK(jack.state(task) == TaskState::running);
  jack.advance(2s);
  CHECK(jack.story(task).find("started attempt_failed") != std::string::npos);
  CHECK(jack.fact("watches") == "1");
  CHECK(jack.fact("waits") == "0");
}

TEST_CASE("questions that wait are not answered once the key is gone") {
  Harness jack({.transport = "local"});
  Keys keys(jack);
  keys.set({{"ada", rights(kAllScopes)}});
  RawSession ada(jack, RawSession::ByKey{"ada"});
  jack.impl().rig().store().hold_flushes();
  jack.submit("mail", "a");
  ada.say(wire::List{7, "", {}});
  CHECK(ada.next() == nullptr);

  keys.set(RightsTable());
  jack.impl().rig().store().release_flushes();

  const auto& refusal = ada.expect<wire::Refused>();
  CHECK(refusal.correlation == 0);
  CHECK(refusal.code == Code::unauthenticated);
  CHECK(ada.next() == nullptr);
}

TEST_CASE("a key counts until it expires") {
  const bool in_process = GENERATE(false, true);
  Harness jack;
  Keys keys(jack);
  RightsTable table;
  table.add("late", rights(kAllScopes), jack.wall_now() + 90s);
  table.add("soon", rights(kAllScopes), jack.wall_now() + 60s);
  table.add("past", rights(kAllScopes), jack.wall_now());
  keys.set(table);
  RawSession late(jack, RawSession::ByKey{"late", in_process});
  RawSession soon(jack, RawSession::ByKey{"soon", in_process});
  RawSession past(jack, RawSession::ByKey{"past", in_process, false});
  past.say(wire::Hello{1, wire::kVersion, "n", in_process ? "past" : ""});
  CHECK(past.expect_code() == Code::unauthenticated);
  soon.say_bytes(watch({}, "mail"));
  soon.expect<wire::Events>();

  jack.advance(59s);
  CHECK(std::holds_alternative<wire::Pong>((soon.say(wire::Ping{2}), *soon.next())));
  jack.advance(1s);
  jack.submit("mail", "a");
  CHECK(soon.expect_code() == Code::unauthenticated);  // its watch
  CHECK(soon.expect_code() == Code::unauthenticated);
  CHECK(soon.next() == nullptr);
  soon.say(wire::Hello{3, wire::kVersion, "n", in_process ? "soon" : ""});
  CHECK(soon.expect_code() == Code::unauthenticated);
  late.say(wire::Ping{2});
  CHECK(std::holds_alternative<wire::Pong>(*late.next()));
  jack.advance(30s);
  CHECK(ask(late, wire::Ping{3}) == Code::unauthenticated);
}

TEST_CASE("a session whose key allows something else now is asked who it is, and begins anew") {
  const bool in_process = GENERATE(false, true);
  const std::string_view named = in_process ? "ada" : "";
  Harness jack;
  Keys keys(jack);
  keys.set({{"ada", rights("work,read")}});
  const TaskId task = jack.submit("mail", "a");
  RawSession ada(jack, RawSession::ByKey{"ada", in_process});
  REQUIRE(ada.work(1, 1, {"mail"}) == Code::ok);
  const auto deliveries = ada.take_deliveries();
  REQUIRE(deliveries.size() == 1);
  ada.say_bytes(watch({}, ""));
  ada.expect<wire::Events>();

  SECTION("less") {
    keys.set({{"ada", rights("work", "mail")}});
    jack.submit("mail", "b");
    CHECK(ada.expect<wire::Who>().correlation == 0);
    CHECK(ada.next() == nullptr);
    ada.say(wire::Hello{2, wire::kVersion, "raw", named});
    ada.expect<wire::Welcome>();
    ada.say_bytes(watch({}, ""));
    CHECK(ada.expect_code() == Code::permission_denied);
    REQUIRE(ada.work(1, 0, {"mail"}) == Code::ok);
    CHECK(ask(ada, wire::Resume{4, 1, {{task, deliveries[0].token}}}) == Code::ok);
    ada.settle(deliveries[0], false);
    CHECK(ada.expect_code() == Code::ok);
    CHECK(jack.state(task) == TaskState::succeeded);
  }
  SECTION("more") {
    CHECK(ask(ada, wire::Pause{3, "mail", true}) == Code::permission_denied);
    keys.set({{"ada", rights(kAllScopes)}});
    ada.say(wire::Pause{4, "mail", true});
    CHECK(ada.expect<wire::Who>().correlation == 0);
    CHECK(ada.expect<wire::Who>().correlation == 4);
    ada.say(wire::Hello{5, wire::kVersion, "raw", named});
    ada.expect<wire::Welcome>();
    CHECK(ask(ada, wire::Pause{6, "mail", true}) == Code::ok);
    CHECK(jack.state(task) == TaskState::running);
  }
  SECTION("the same, in a list that has changed") {
    keys.set({{"ada", rights("read,work")}, {"eve", rights("read")}});
    jack.submit("mail", "b");
    CHECK_FALSE(ada.expect<wire::Events>().events.empty());
    CHECK(jack.state(task) == TaskState::running);
  }
}

TEST_CASE("a session of the engine's process may act for a key, others for their own alone") {
  Harness jack;
  Keys keys(jack);
  keys.set({{"ada", rights("read")}, {"bob", rights(kAllScopes)}});

  SECTION("in-process, with a key that is in the list") {
    RawSession session(jack, RawSession::ByKey{"ada", true});
    CHECK(ask(session, wire::Pause{2, "mail", true}) == Code::permission_denied);
    CHECK(ask(session, wire::List{3, "", {}}) == Code::ok);
    CHECK(ask(session, wire::Hello{4, 1, "n", "ada"}) == Code::ok);
    CHECK(ask(session, wire::Hello{5, 1, "n", "bob"}) == Code::permission_denied);
    CHECK(ask(session, wire::Hello{6, 1, "n"}) == Code::permission_denied);
    CHECK(ask(session, wire::Pause{7, "mail", true}) == Code::permission_denied);
  }
  SECTION("in-process, with one that is not") {
    RawSession session(jack, RawSession::ByKey{"eve", true, false});
    CHECK(ask(session, wire::Hello{1, 1, "n", "eve"}) == Code::unauthenticated);
    CHECK(std::holds_alternative<wire::Who>((session.say(wire::Ping{2}), *session.next())));
  }
  SECTION("from another process") {
    for (const char* own : {"", "ada"}) {
      RawSession session(jack, RawSession::ByKey{own, false, false});
      CHECK(ask(session, wire::Hello{1, 1, "n", "bob"}) == Code::permission_denied);
      CHECK(ask(session, wire::Hello{2, 1, "n", "ada"}) == Code::permission_denied);
      CHECK(std::holds_alternative<wire::Who>((session.say(wire::Ping{3}), *session.next())));
      CHECK(ask(session, wire::Hello{4, 1, "n"}) == Code::ok);
      CHECK(ask(session, wire::Hello{5, 1, "n", "bob"}) == Code::permission_denied);
    }
  }
}

TEST_CASE("the list of keys is asked once a turn at most, and not where nobody has one") {
  Harness jack;
  Keys keys(jack);
  keys.set({{"ada", rights(kAllScopes)}});
  RawSession plain(jack);
  jack.submit("mail", "a");
  CHECK(keys.asked == 0);

  RawSession ada(jack, RawSession::ByKey{"ada"});
  RawSession again(jack, RawSession::ByKey{"ada"});
  keys.asked = 0;
  for (wire::Correlation i = 1; i <= 100; ++i) {
    ada.say(wire::Ping{i});
    again.say(wire::Ping{i});
  }
  jack.impl().rig().loop().turn();

  CHECK(keys.asked == 1);
}

TEST_CASE("without a list of keys none is let in") {
  Harness jack;
  RawSession session(jack, RawSession::ByKey{"ada", false, false});
  CHECK(ask(session, wire::Hello{1, 1, "n"}) == Code::unauthenticated);
  CHECK(ask(session, wire::Ping{2}) == Code::unauthenticated);
  CHECK(jack.fact("denied") == "2");
}

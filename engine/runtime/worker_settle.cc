// What handlers say and return, on its way to the engine: output and progress, then the settle.
#include <algorithm>
#include <utility>

#include "engine/format/spec.h"
#include "engine/runtime/worker_loop.h"
#include "engine/wire/socket.h"

namespace jack {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kBatchBytesMax = 1 << 20;  // of settles; a larger one goes alone
constexpr std::size_t kSettleItemBytes = 64;     // what describes a settle, or a follow-up, in it
constexpr std::size_t kOutputPartBytesMax = 256 << 10;  // of one message
constexpr std::size_t kOutputBytesSoon = 64 << 10;      // goes out without waiting for more
constexpr milliseconds kOutputEvery{50};                // of one attempt
constexpr std::size_t kErrorBytesMax = 4096;            // more is cut off by the engine anyway
constexpr milliseconds kBackOffMin{100};
constexpr milliseconds kBackOffMax{5000};

std::vector<std::string> encode_follow_ups(const Settlement& settlement, const TaskId& parent) {
  std::vector<std::string> encoded;
  for (TaskSpec spec : settlement.follow_ups()) {
    if (spec.id.empty()) spec.id = new_task_id();
    if (spec.parent.empty()) spec.parent = parent;
    encode(spec, encoded.emplace_back());
  }
  return encoded;
}

// What a settle takes in a message, at most. Its error is cut off.
std::size_t bytes_of(const Settlement& settlement, const std::vector<std::string>& follow_ups) {
  std::size_t bytes = kSettleItemBytes + settlement.result().size() +
                      settlement.content_type().size() +
                      std::min(settlement.error().size(), kErrorBytesMax);
  for (const std::string& spec : follow_ups) bytes += kSettleItemBytes + spec.size();
  return bytes;
}

}  // namespace

void WorkerLoop::take_from_crew() {
  returned_.finished.clear();
  returned_.speaking.clear();
  crew_.take(returned_);
  for (const LeaseToken token : returned_.speaking) {
    const auto found = held_.find(token.value);
    if (found == held_.end()) continue;
    if (!std::exchange(found->second.speaking, true)) speaking_.push_back(token.value);
  }
  for (Finished& finished : returned_.finished) on_finished(std::move(finished));
}

void WorkerLoop::on_finished(Finished finished) {
  const Token token = finished.job->token().value;
  const auto found = held_.find(token);
  if (found == held_.end() || !found->second.working) return;  // given back meanwhile
  Held& held = found->second;
  held.working = false;
  --working_;
  held.took = finished.took;
  // What a handler returns after its lease has ended is thrown away; a release says that the
  // worker has room again.
  held.settlement = held.ended ? Settlement::release() : std::move(finished.settlement);
  held.follow_ups = encode_follow_ups(*held.settlement, held.job->id());
  settle_when_said(token, held);
}

// Output comes before the settle, or nobody would keep it.
void WorkerLoop::settle_when_said(Token token, Held& held) {
  if (!held.settlement) return;
  if (!held.ended && (held.speaking || held.output_sent != 0)) return;
  if (std::exchange(held.occupies, false)) --occupied_;
  if (!std::exchange(held.settling, true)) to_settle_.push_back(token);
}

void WorkerLoop::give_back(Token token, Held& held) {
  if (!held.working) return;
  held.working = false;
  --working_;
  held.settlement = Settlement::release();
  held.follow_ups.clear();
  settle_when_said(token, held);
}

void WorkerLoop::speak() {
  if (!may_send()) return;
  std::erase_if(speaking_, [this](Token token) {
    const auto found = held_.find(token);
    if (found == held_.end()) return true;
    if (!speak_of(token, found->second)) return false;
    found->second.speaking = false;
    settle_when_said(token, found->second);
    return true;
  });
}

// True once there is nothing more to pass on at the moment.
bool WorkerLoop::speak_of(Token token, Held& held) {
  if (held.ended) return true;
  if (held.output_sent != 0 || !link_.ready() || now_ < blocked_until_) return false;
  if (!held.output.empty()) {
    if (now_ < held.quiet_until) return false;
    send_output(token, held);
    return false;  // there may be more behind it
  }
  const bool soon = !held.working || held.job->unsaid_bytes() >= kOutputBytesSoon;
  if (!soon && now_ < held.quiet_until) return false;
  Job::Said said = held.job->take(kOutputPartBytesMax);
  held.quiet_until = now_ + kOutputEvery;
  if (said.progress_permille) {
    say(wire::Progress{0, {{held.job->id(), {token}, *said.progress_permille, said.note}}});
  }
  held.output = std::move(said.output);
  if (!held.output.empty()) send_output(token, held);
  return !said.more;
}

// What was refused goes in smaller parts: an engine may be set to take less per second than this.
bool WorkerLoop::send_output(Token token, Held& held) {
  const std::size_t most = kOutputPartBytesMax >> std::min(held.output_tries, 18u);
  const std::string_view part = std::string_view(held.output).substr(0, most);
  const Correlation correlation = link_.next_correlation();
  if (!say(wire::Output{correlation, {{held.job->id(), {token}, part}}})) return false;
  held.output_sent = correlation;
  held.output_sent_bytes = part.size();
  outputs_.emplace(correlation, token);
  return true;
}

void WorkerLoop::on_output_answer(Token token, Code code) {
  const auto found = held_.find(token);
  if (found == held_.end()) return;
  Held& held = found->second;
  held.output_sent = 0;
  if (passes(code)) {
    held.quiet_until = now_ + back_off(held.output_tries++);
  } else if (code == Code::ok) {
    held.output.erase(0, held.output_sent_bytes);
    held.output_tries = 0;
  } else {
    held.output.clear();
  }
  if (!held.output.empty()) {
    if (!std::exchange(held.speaking, true)) speaking_.push_back(token);
    return;
  }
  if (code == Code::lease_lost) {
    held.ended = true;
    held.no_again = true;  // it may be of no subscription by now
    held.job->request_stop();
  }
  settle_when_said(token, held);
}

void WorkerLoop::settle() {
  while (!to_settle_.empty() && may_send()) {
    if (!send_settles()) return;
  }
}

// Sends one batch of what is to be settled. False where it cannot leave now.
bool WorkerLoop::send_settles() {
  wire::Settle settle;
  SentSettle sent;
  std::size_t bytes = 0;
  std::size_t taken = 0;
  for (; taken < to_settle_.size() && sent.tokens.size() < kBatchItemsMax; ++taken) {
    const auto found = held_.find(to_settle_[taken]);
    if (found == held_.end()) continue;
    Held& held = found->second;
    check_size(held);
    bytes += bytes_of(*held.settlement, held.follow_ups);
    if (bytes > kBatchBytesMax && !settle.items.empty()) break;
    settle.items.push_back(settle_item(held));
    sent.tokens.push_back(to_settle_[taken]);
    if (settle.items.back().again) {
      ++sent.agains;
      ++credit_;
    }
  }
  settle.correlation = link_.next_correlation();
  if (!settle.items.empty() && !say(settle)) {
    credit_ -= sent.agains;
    return false;
  }
  to_settle_.erase(to_settle_.begin(), to_settle_.begin() + static_cast<std::ptrdiff_t>(taken));
  if (!sent.tokens.empty()) settles_.emplace(settle.correlation, std::move(sent));
  return true;
}

wire::Settle::Item WorkerLoop::settle_item(Held& held) {
  const Settlement& settlement = *held.settlement;
  wire::Settle::Item item;
  item.task = held.job->id();
  item.token = held.job->token();
  item.outcome = settlement.outcome();
  item.again = !held.no_again && !stopping_ && credit_ < wanted();
  item.result = settlement.result();
  item.content_type = settlement.content_type();
  item.error = std::string_view(settlement.error()).substr(0, kErrorBytesMax);
  item.retry = settlement.retry();
  item.delay = settlement.delay();
  item.follow_ups.assign(held.follow_ups.begin(), held.follow_ups.end());
  return item;
}

// What no engine would take ends the task by name, instead of losing the connection over it.
void WorkerLoop::check_size(Held& held) {
  const std::uint64_t max = link_.facts().result_bytes_max;
  const std::size_t size = held.settlement->result().size();
  const std::size_t all = bytes_of(*held.settlement, held.follow_ups);
  if (max != 0 && size > max) {
    replace(held, {Code::payload_too_large, "the result has " + std::to_string(size) +
                                                " bytes, the limit is " + std::to_string(max)});
  } else if (all > wire::kRequestBytesMax - kSettleItemBytes) {
    replace(held, {Code::payload_too_large, "the result and the tasks that follow take " +
                                                std::to_string(all) + " bytes together"});
  }
}

// The engine does not take what the handler returned: the attempt fails for good, by that name.
void WorkerLoop::replace(Held& held, const Error& error) {
  held.settlement = Settlement::fail_for_good(to_string(error));
  held.follow_ups.clear();
  held.replaced = true;
}

void WorkerLoop::on_settle_answer(Token token, Code code, std::string_view message) {
  const auto found = held_.find(token);
  if (found == held_.end()) return;
  Held& held = found->second;
  held.no_again = true;
  if (code == Code::ok && held.settlement->outcome() != Outcome::released) ++settled_;
  if (code == Code::ok || is_over_for(code) || (held.replaced && !passes(code))) {
    report(held, code);
    held_.erase(found);
  } else if (passes(code)) {
    later_.push_back({now_ + back_off(held.settle_tries++), token});
  } else {
    replace(held, {code, std::string(message)});
    to_settle_.push_back(token);
  }
}

void WorkerLoop::report(const Held& held, Code answer) {
  if (!options_.on_settled) return;
  Result<Fields> spec = unpacker_.unpack(held.job->encoded_spec());
  if (spec) spec->id();
  options_.on_settled({.task = held.job->id(),
                       .queue = spec ? spec->text() : std::string_view(),
                       .number = held.job->number(),
                       .token = held.job->token(),
                       .settlement = *held.settlement,
                       .took = held.took,
                       .answer = answer});
}

void WorkerLoop::repeat_later() {
  if (resume_again_ && now_ >= *resume_again_ && may_send()) resume_all();
  std::erase_if(later_, [this](const Later& later) {
    if (later.at > now_) return false;
    to_settle_.push_back(later.token);
    return true;
  });
}

milliseconds WorkerLoop::back_off(std::uint32_t tries) {
  const milliseconds most = std::min(kBackOffMin * (1u << std::min(tries, 8u)), kBackOffMax);
  return most / 2 + milliseconds{random_() % static_cast<std::uint64_t>(most.count())};
}

}  // namespace jack

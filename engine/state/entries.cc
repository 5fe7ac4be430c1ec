// What an entry does as a whole: whether it counts, the clocks, who is joined.
#include <algorithm>

#include "engine/assert.h"
#include "engine/state/state.h"

namespace jack {
namespace {

// Whether the first command of an entry is a join. Reads a copy of the fields.
bool begins_with_join(Fields commands) {
  if (!commands.more()) return false;
  Fields first = commands.array();
  return first.u64() == static_cast<std::uint64_t>(CommandKind::join) && !first.failed();
}

// What each join skips, so that no token is given twice if the journal has lost its tail: with
// durability `normal`, power loss can take entries whose leases workers hold. The transport makes
// the join itself durable, so only tokens that were given after the last one can be lost with the
// tail; a tail that may be lost (some MiB of commands) does not hold as many as are skipped.
//
// A token has 48 bits for this number. They last for 4 million joins (one every ten minutes for 80
// years) and 2^47 leases besides. Below epoch 32 tokens are less than 2^53, the largest number that
// JSON readers with floats keep whole.
constexpr std::uint64_t kTokensSkipped = 1ull << 25;

// A command behind a leave, or behind a join that was refused.
CommandOutcome refuse_unjoined(Fields& commands) {
  commands.array();
  return {Code::failed_precondition, "its engine is not joined any more"};
}

template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <typename... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

}  // namespace

Result<void> State::apply(Index index, const Buffer& entry, Outcomes& outcomes) {
  JACK_ASSERT(index > register_.index);
  outcomes.clear();
  Result<EntryView> decoded = decode_entry(entry_unpacker_, *entry);
  if (!decoded) return decoded.error();

  outcomes_ = &outcomes;
  outcomes.header = decoded->header;
  ordinal_ = 0;
  register_.index = index;
  ++register_.entries;
  register_.chain = chain_digest(register_.chain, *entry);
  outcomes.verdict = judge(decoded->header, begins_with_join(decoded->commands));
  if (outcomes.verdict != Outcomes::Verdict::applied) return {};

  move_clocks(decoded->header);
  owners_.push_back(entry);
  owned_bytes_ += entry->size();
  const EntryHeader& header = decoded->header;
  // It lives, whatever its own tick finds of others.
  if (Member* self = member(header.incarnation)) self->last_seen = register_.liveness;
  for (Fields commands = decoded->commands; commands.more();) {
    const bool begins = outcomes.commands.empty();
    Result<CommandOutcome> outcome = begins || member(header.incarnation) != nullptr
                                         ? apply_command(header, commands.array())
                                         : refuse_unjoined(commands);
    if (!outcome) return outcome.error();
    outcomes.commands.push_back(*std::move(outcome));
  }
  if (Member* self = member(header.incarnation)) self->last_number = header.number;
  return {};
}

Outcomes::Verdict State::judge(const EntryHeader& header, bool joins) {
  using Verdict = Outcomes::Verdict;
  if (header.epoch != register_.epoch) return Verdict::other_epoch;
  const Member* self = member(header.incarnation);
  if (self == nullptr) {
    return joins && header.number == 1 ? Verdict::applied : Verdict::not_joined;
  }
  if (header.number <= self->last_number) return Verdict::repeated;
  return header.number == self->last_number + 1 ? Verdict::applied : Verdict::out_of_turn;
}

void State::move_clocks(const EntryHeader& header) {
  const Instant before = register_.now;
  register_.now = std::max(before, header.time);
  // The first entry of a journal moves journal time from 0 to today; nobody is the older for it.
  const Duration passed = before == Instant{} ? Duration{0} : register_.now - before;
  register_.liveness = register_.liveness + std::min(passed, register_.limits.heartbeat_interval);
}

Member* State::member(const Id128& incarnation) {
  const auto found =
      std::find_if(register_.members.begin(), register_.members.end(),
                   [&](const Member& member) { return member.incarnation == incarnation; });
  return found == register_.members.end() ? nullptr : &*found;
}

std::optional<std::uint64_t> State::last_number(const Id128& incarnation) const {
  for (const Member& member : register_.members) {
    if (member.incarnation == incarnation) return member.last_number;
  }
  return std::nullopt;
}

Result<CommandOutcome> State::apply_command(const EntryHeader& header, Fields fields) {
  Result<Command> command = decode_command(fields, register_.limits);
  if (!command) {
    // Well-framed nonsense is the same recorded no-op everywhere (rules 1).
    return CommandOutcome{command.error().code, std::move(command).error().message};
  }
  using Applied = Result<CommandOutcome>;
  return std::visit(Overloaded{
                        [&](const SubmitCommand& c) -> Applied { return apply(c); },
                        [&](const SettleCommand& c) -> Applied { return apply(header, c); },
                        [&](const WantCommand& c) -> Applied { return apply(header, c); },
                        [&](const OpenPoolCommand& c) -> Applied { return apply(header, c); },
                        [&](const ClosePoolCommand& c) -> Applied { return apply(header, c); },
                        [&](const CancelCommand& c) -> Applied { return apply(c); },
                        [&](const RetryCommand& c) -> Applied { return apply(c); },
                        [&](const ProgressCommand& c) -> Applied { return apply(c); },
                        [&](const OutputCommand& c) -> Applied { return apply(c); },
                        [&](const PauseCommand& c) -> Applied { return apply(c); },
                        [&](const TickCommand&) -> Applied { return apply_tick(); },
                        [&](const JoinCommand& c) -> Applied { return apply_join(header, c); },
                        [&](const LeaveCommand&) -> Applied {
                          for (std::size_t i = 0; i < register_.members.size(); ++i) {
                            if (register_.members[i].incarnation == header.incarnation) {
                              end_incarnation(i);
                              break;
                            }
                          }
                          return CommandOutcome{};
                        },
                        [&](const SetLimitsCommand& c) -> Applied { return apply(c); },
                        [&](const ResumeCommand& c) -> Applied { return apply(header, c); },
                        [&](const TakeCommand& c) -> Applied { return apply(header, c); },
                        [&](const AnnotateCommand& c) -> Applied { return apply(c); },
                        [&](const RemoveCommand& c) -> Applied { return apply(c); },
                        [&](const AliveCommand& c) -> Applied { return apply(header, c); },
                    },
                    *command);
}

CommandOutcome State::apply(const EntryHeader& header, const AliveCommand& command) {
  Member& self = *member(header.incarnation);
  self.flushed = std::max(self.flushed, std::min(command.flushed, register_.index));
  return {};
}

Index State::flushed_by_all() const {
  Index all = register_.index;
  for (const Member& member : register_.members) all = std::min(all, member.flushed);
  for (const auto& [engine, absence] : register_.absent) {
    if (absence.until > register_.now) all = std::min(all, absence.flushed);
  }
  return all;
}

CommandOutcome State::apply_join(const EntryHeader& header, const JoinCommand& command) {
  if (member(header.incarnation) != nullptr) {
    return {Code::failed_precondition, "this incarnation is joined already"};
  }
  if (command.rules_newest < register_.rules || command.rules_oldest > register_.rules) {
    return {Code::unsupported, "the journal goes by rules " + std::to_string(register_.rules) +
                                   ", which this engine does not support"};
  }
  for (std::size_t i = 0; i < register_.members.size(); ++i) {
    if (register_.members[i].engine == header.engine) {
      end_incarnation(i);
      break;
    }
  }
  // Nobody else lives by this clock, so it may be set on to where the world is now.
  if (register_.members.empty() && command.clock) {
    register_.now = std::max(register_.now, *command.clock);
  }
  // Not for the first of all: there is nothing before it.
  if (register_.entries > 1) register_.next_token += kTokensSkipped;
  Member joined;
  joined.engine = header.engine;
  joined.incarnation = header.incarnation;
  joined.last_seen = register_.liveness;
  joined.rules_oldest = command.rules_oldest;
  joined.rules_newest = command.rules_newest;
  if (const auto was = register_.absent.find(header.engine); was != register_.absent.end()) {
    joined.flushed = was->second.flushed;
    register_.absent.erase(was);
  }
  register_.members.push_back(std::move(joined));
  return {};
}

// Its hunger ends now. Its leases end at the next ticks, those of remote workers only after the
// time in which they may resume them.
void State::end_incarnation(std::size_t index) {
  const Member gone = std::move(register_.members[index]);
  register_.members.erase(register_.members.begin() + static_cast<std::ptrdiff_t>(index));
  register_.absent[gone.engine] = {gone.flushed, register_.now + register_.limits.absence_max};
  std::vector<PoolSlot> pools;
  pools_.for_each([&](PoolSlot slot, const Pool& pool) {
    if (pool.incarnation == gone.incarnation) pools.push_back(slot);
  });
  for (const PoolSlot slot : pools) {
    Pool& pool = pools_[slot];
    if (pool.appetite > 0) become_full(slot);
    pool.appetite = 0;
    pool.open = false;
    pool.leases_end = pool.remote ? register_.liveness + pool.lease : register_.liveness;
    ended_pools_.insert(slot);
    drop_if_done(slot);
  }
}

}  // namespace jack

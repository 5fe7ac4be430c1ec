#include "tests/simulation/plan.h"

#include <algorithm>

namespace jack::test {
namespace {

using namespace std::chrono_literals;

// Half of the time nothing, else one in `few` to one in `many`, evenly by magnitude.
std::uint64_t rate(Dice& dice, std::uint64_t few, std::uint64_t many) {
  std::uint64_t of = few;
  while (of < many && dice.coin()) of *= 2;
  return dice.coin() ? std::min(of, many) : 0;
}

WorldTime pace(Dice& dice, WorldTime shortest, WorldTime longest) {
  WorldTime every = shortest;
  while (every < longest && dice.coin()) every *= 2;
  return std::min(every, longest);
}

WorldTime pace_or_never(Dice& dice, WorldTime shortest, WorldTime longest) {
  const WorldTime every = pace(dice, shortest, longest);
  return dice.coin() ? every : WorldTime{0};
}

// Wall clocks jump by days, and what was accepted is to be there in the end.
void keep_all(Limits& limits) {
  const Duration year = std::chrono::hours{24 * 365};
  limits.retention = limits.dedup_window = limits.watch_retention = limits.absence_max = year;
}

void draw_limits(Dice& dice, Limits& limits, SessionLimits& sessions) {
  limits.timers_per_tick_max = dice.pick({1u, 3u, 1000u});
  limits.heartbeat_interval = Duration{dice.pick({300, 1000, 3000})};
  limits.engine_liveness = limits.heartbeat_interval * dice.between(3, 5);
  if (dice.once_in(4)) limits.unfinished_per_queue_max = 5;
  if (dice.once_in(4)) limits.unfinished_max = 8;
  if (dice.once_in(4)) limits.error_bytes_max = 3;
  if (dice.once_in(4)) limits.output_bytes_max = 10;
  keep_all(limits);
  sessions.credit_max = dice.pick({1u, 4u, 1000u});
  sessions.batch_tasks_max = dice.pick({1u, 4u, 1000u});
  sessions.lease_min = Duration{dice.pick({1, 100, 1000})};
  sessions.lease_default = Duration{dice.pick({500, 3000, 30'000})};
  sessions.resume_grace = Duration{dice.pick({1, 500, 5000})};
}

}  // namespace

Plan::Plan(Dice dice, const std::set<std::string>& without) {
  engines = static_cast<std::size_t>(dice.between(1, 3));
  submitters = static_cast<std::size_t>(dice.between(1, 3));
  workers = static_cast<std::size_t>(dice.between(1, 5));
  watchers = static_cast<std::size_t>(dice.between(0, 3));
  clerks = static_cast<std::size_t>(dice.between(0, 2));
  for (std::int64_t i = dice.between(1, 4); i > 0; --i) queues.push_back("q" + std::to_string(i));
  draw_limits(dice, limits, sessions);

  journal.lost = rate(dice, 8, 512);
  journal.unsaid = rate(dice, 8, 512);
  journal.late = rate(dice, 16, 512);
  journal.refused = rate(dice, 8, 512);
  journal.full = rate(dice, 32, 512);
  journal.slow = rate(dice, 8, 512);
  store.full = rate(dice, 4, 64);
  store.busy = rate(dice, 4, 64);
  store.broken = rate(dice, 16, 64);
  store.slow = rate(dice, 4, 64);
  slow_frames = rate(dice, 8, 512);

  kill_every = pace_or_never(dice, 50ms, 20s);
  stop_every = pace_or_never(dice, 50ms, 20s);
  freeze_every = pace_or_never(dice, 50ms, 20s);
  cut_every = pace_or_never(dice, 50ms, 20s);
  full_every = pace_or_never(dice, 200ms, 20s);
  jump_every = pace_or_never(dice, 50ms, 20s);
  break_every = pace_or_never(dice, 20ms, 10s);
  drift_ppm_max = dice.pick({0, 50, 1000});

  delayed = rate(dice, 2, 16);
  expiring = rate(dice, 2, 16);
  timed = rate(dice, 2, 16);
  replied = rate(dice, 2, 16);
  prioritised = rate(dice, 1, 4);
  poisonous = rate(dice, 4, 64);
  recorded = rate(dice, 4, 16);
  annotated = rate(dice, 4, 16);
  failing = rate(dice, 2, 16);
  releasing = rate(dice, 4, 16);
  followed = rate(dice, 4, 16);
  silent = rate(dice, 8, 64);
  talkative = rate(dice, 2, 16);
  looks = rate(dice, 1, 4);

  submit_every = pace(dice, 2ms, 1s);
  work_takes = pace(dice, 1ms, 5s);
  order_every = pace(dice, 20ms, 2s);
  pauses = dice.coin();

  const auto leave_out = [&](const char* part, auto&... settings) {
    if (without.contains(part)) ((settings = {}), ...);
  };
  leave_out("kills", kill_every);
  leave_out("stops", stop_every);
  leave_out("freezes", freeze_every);
  leave_out("cuts", cut_every);
  leave_out("full-disk", full_every);
  leave_out("clocks", jump_every, drift_ppm_max);
  leave_out("breaks", break_every);
  leave_out("appends", journal);
  leave_out("late", journal.late);
  leave_out("flushes", store);
  leave_out("network", slow_frames);
  leave_out("delays", delayed);
  leave_out("expiry", expiring);
  leave_out("timeouts", timed);
  leave_out("replies", replied);
  leave_out("follow-ups", followed);
  leave_out("orders", clerks);
  leave_out("pauses", pauses);
  leave_out("poison", poisonous);
  leave_out("silence", silent);
  if (without.contains("limits")) {
    limits = Limits{};
    sessions = SessionLimits{};
    keep_all(limits);
  }
  leave_out("priorities", prioritised);
  leave_out("looks", looks);
  leave_out("watches", watchers);
  leave_out("recorded", recorded);
  leave_out("notes", annotated);
}

}  // namespace jack::test

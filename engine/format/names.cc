// The names of enumerators, as people, JSON and the wire see them.
#include <array>

#include <jack_engine/error.h>
#include <jack_engine/task.h>
#include <jack_engine/version.h>

namespace jack {
namespace {

constexpr std::array<std::string_view, 19> kCodes = {"ok",
                                                     "invalid_argument",
                                                     "not_found",
                                                     "already_exists",
                                                     "lease_lost",
                                                     "payload_too_large",
                                                     "queue_full",
                                                     "storage_full",
                                                     "unavailable",
                                                     "unsupported",
                                                     "unauthenticated",
                                                     "permission_denied",
                                                     "failed_precondition",
                                                     "position_gone",
                                                     "rate_limited",
                                                     "stopped",
                                                     "corruption",
                                                     "internal",
                                                     "timed_out"};

constexpr std::array<std::string_view, 8> kStates = {
    "waiting", "scheduled", "queued", "running", "succeeded", "failed", "cancelled", "expired"};

constexpr std::array<std::string_view, 4> kPriorities = {"low", "normal", "high", "urgent"};

constexpr std::array<std::string_view, 7> kOutcomes = {"",     "succeeded", "failed",   "released",
                                                       "lost", "timed_out", "cancelled"};

constexpr std::array<std::string_view, 17> kEvents = {
    "",          "submitted",      "queued",   "started",      "progressed",
    "output",    "attempt_failed", "released", "succeeded",    "failed",
    "cancelled", "expired",        "retried",  "queue_paused", "queue_resumed",
    "annotated", "removed"};

template <typename Enum, std::size_t N>
std::string_view name_in(const std::array<std::string_view, N>& names, Enum value,
                         std::string_view otherwise) {
  const auto at = static_cast<std::size_t>(value);
  return at < N ? names[at] : otherwise;
}

template <typename Enum, std::size_t N>
std::optional<Enum> value_in(const std::array<std::string_view, N>& names, std::string_view name) {
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == name) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

}  // namespace

std::string_view name_of(Code code) { return name_in(kCodes, code, "internal"); }
std::string_view name_of(TaskState state) { return name_in(kStates, state, "unknown"); }
std::string_view name_of(Priority priority) { return name_in(kPriorities, priority, "unknown"); }
std::string_view name_of(Outcome outcome) { return name_in(kOutcomes, outcome, "unknown"); }

bool ends_task(EventKind kind) {
  return kind == EventKind::succeeded || kind == EventKind::failed ||
         kind == EventKind::cancelled || kind == EventKind::expired;
}

std::string_view name_of(EventKind kind) { return name_in(kEvents, kind, "unknown"); }

std::optional<TaskState> task_state_from(std::string_view name) {
  return value_in<TaskState>(kStates, name);
}

std::optional<Priority> priority_from(std::string_view name) {
  return value_in<Priority>(kPriorities, name);
}

std::string to_string(const Error& error) {
  return std::string(name_of(error.code)) + ": " + error.message;
}

std::string_view version() { return JACK_VERSION; }

}  // namespace jack

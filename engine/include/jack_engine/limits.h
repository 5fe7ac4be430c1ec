// Every bound of an engine in one place: unit, default, and what happens beyond it.
#pragma once

#include <cstdint>

#include <jack_engine/time.h>

namespace jack {

// Bounds that decide outcomes. They are part of the state and set by a command in the journal, so
// that every engine applies the same ones.
struct Limits {
  std::uint64_t payload_bytes_max = 1 << 20;  // of one task; hard 4 MiB; payload_too_large
  std::uint64_t result_bytes_max = 1 << 20;   // of one result; hard 4 MiB; payload_too_large
  // Of one error text; the rest is cut off. Of the reason of a cancel; invalid_argument
  std::uint64_t error_bytes_max = 4096;
  std::uint64_t output_bytes_max = 1 << 20;  // kept per task; what comes after is counted, not kept
  std::uint64_t unfinished_per_queue_max = 1'000'000;  // queue_full
  std::uint64_t unfinished_max = 4'000'000;            // queue_full
  std::uint64_t queues_max = 100'000;                  // queue_full
  std::uint32_t attempts_max = 1000;                   // invalid_argument
  Duration delay_max{std::chrono::hours{24 * 365}};    // delay and back-off; invalid_argument
  Duration retention{std::chrono::hours{24 * 7}};      // of finished tasks; then not_found
  // How long ids are remembered so that a repeated submit is recognised; never below retention.
  // An unknown id made when ids were made that have been forgotten since is refused with
  // invalid_argument.
  Duration dedup_window{std::chrono::hours{24}};
  Duration watch_retention{std::chrono::hours{24}};  // of events; then position_gone
  // How many timers one tick fires; more needs another tick.
  std::uint32_t timers_per_tick_max = 1000;
  // An engine that has appended nothing for this long, by the liveness clock, is declared lost.
  Duration engine_liveness{10'000};
  // The most by which one entry moves the liveness clock.
  Duration heartbeat_interval{3000};
  // For how long the journal keeps what an engine that is gone has not flushed. Coming back later
  // it has to begin with the store of another one.
  Duration absence_max{600'000};

  friend bool operator==(const Limits&, const Limits&) = default;
};

// Beyond these no Limits are accepted. A task with all of its texts and its output is one row of
// the store, which takes 512 MiB; tasks in memory are numbered with 32 bits; a tick is one step.
inline constexpr std::uint64_t kErrorBytesHardMax = 64u << 10;
inline constexpr std::uint64_t kOutputBytesHardMax = 256u << 20;
inline constexpr std::uint64_t kUnfinishedHardMax = 1'000'000'000;
inline constexpr std::uint64_t kQueuesHardMax = 10'000'000;
inline constexpr std::uint64_t kAttemptsHardMax = 1'000'000;
inline constexpr std::uint64_t kTimersPerTickHardMax = 100'000;

// Bounds of the formats themselves; they never change within a format version.
inline constexpr std::uint64_t kPayloadBytesHardMax = 4u << 20;
inline constexpr std::size_t kQueueNameBytesMax = 128;
inline constexpr std::size_t kShortTextBytesMax = 256;  // type, content_type, from, worker names
inline constexpr std::size_t kHeadersMax = 32;
inline constexpr std::size_t kHeaderBytesMax = 4096;  // names and values of one task together
inline constexpr std::size_t kQueuesPerWorkerMax = 64;
inline constexpr std::size_t kFollowUpsMax = 1000;  // submits in one settle
inline constexpr std::size_t kAttemptRecordsMax = 16;
inline constexpr std::size_t kAnnotationsMax = 64;  // of one task; invalid_argument
// Names and values of the annotations of one task together; invalid_argument
inline constexpr std::size_t kAnnotationBytesMax = 64u << 10;
// Under which one task may have been submitted before; invalid_argument
inline constexpr std::size_t kOtherIdsMax = 8;

// Bounds of one engine's front: they only refuse, and so may differ between engines.
struct SessionLimits {
  std::uint32_t sessions_max = 16'384;       // refused at hello
  std::uint32_t credit_max = 1000;           // of one worker; clamped
  std::uint32_t batch_tasks_max = 1000;      // items of one message; invalid_argument
  std::uint64_t batch_bytes_max = 8u << 20;  // specs and results of a submit; invalid_argument
  Duration lease_default{30'000};
  Duration lease_min{1000};                    // clamped
  Duration lease_max{std::chrono::hours{12}};  // of one extension; clamped
  // Not of sessions in the engine's process, which may stand for many that have their own bounds.
  std::uint32_t waits_per_session_max = 10'000;      // rate_limited
  std::uint32_t watches_per_session_max = 64;        // rate_limited
  std::uint32_t subscriptions_per_session_max = 64;  // rate_limited
  // Output and progress of one session; a progress report counts as 256 bytes. rate_limited
  std::uint64_t output_bytes_per_second_max = 4u << 20;
  // How long leases outlast a connection that broke, never beyond their own end; then they are
  // lost. Workers of this process get none.
  Duration resume_grace{5000};
};

}  // namespace jack

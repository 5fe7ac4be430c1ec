#include "apps/exit_status.h"

namespace jack::app {

ExitStatus status_of(Code code) {
  switch (code) {
    case Code::ok: return ExitStatus::done;
    case Code::not_found: return ExitStatus::not_found;
    case Code::unavailable:
    case Code::stopped: return ExitStatus::no_engine;
    case Code::timed_out: return ExitStatus::timed_out;
    case Code::unauthenticated:
    case Code::permission_denied: return ExitStatus::not_permitted;
    case Code::corruption:
    case Code::internal: return ExitStatus::internal;
    case Code::invalid_argument:
    case Code::already_exists:
    case Code::lease_lost:
    case Code::payload_too_large:
    case Code::queue_full:
    case Code::storage_full:
    case Code::unsupported:
    case Code::failed_precondition:
    case Code::position_gone:
    case Code::rate_limited: return ExitStatus::refused;
  }
  return ExitStatus::internal;
}

}  // namespace jack::app

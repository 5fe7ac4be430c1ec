#include "engine/front/batch.h"

#include <iterator>
#include <utility>

#include "engine/assert.h"

namespace jack {

void Batch::begin(Pending::Kind kind, SessionId session, wire::Correlation correlation) {
  begun_ = {commands_.bytes(), commands_.count()};
  pending_.push_back({.kind = kind, .session = session, .correlation = correlation});
}

void Batch::refuse(Error error) {
  Pending& request = pending_.back();
  refusals_.push_back({request.items, std::move(error)});
  ++request.refusals;
  ++request.items;
}

bool Batch::end(wire::Done& done) {
  if (pending_.back().commands > 0) {
    close_request();
    return true;
  }
  const Pending request = pending_.back();
  pending_.pop_back();
  done.correlation = request.correlation;
  done.items.assign(request.items, {});
  const auto own = refusals_.end() - static_cast<std::ptrdiff_t>(request.refusals);
  told_.assign(std::make_move_iterator(own), std::make_move_iterator(refusals_.end()));
  refusals_.erase(own, refusals_.end());
  for (const Refusal& refusal : told_) {
    done.items[refusal.item] = {.code = refusal.error.code, .message = refusal.error.message};
  }
  return false;
}

void Batch::close_request() { pending_.back().bytes = static_cast<std::uint32_t>(request_bytes()); }

void Batch::undo() {
  const Pending& request = pending_.back();
  commands_.cut_to(begun_.bytes, begun_.commands);
  refusals_.resize(refusals_.size() - request.refusals);
  leases_.resize(leases_.size() - request.leases);
  agains_.resize(agains_.size() - request.agains);
  pending_.pop_back();
}

std::vector<Batch> Batch::split(std::size_t bytes_max) {
  std::vector<Batch> parts(1);
  std::size_t at = 0;
  auto lease = leases_.begin();
  auto refusal = refusals_.begin();
  auto again = agains_.begin();
  for (const Pending& request : pending_) {
    if (!parts.back().empty() && parts.back().bytes() + request.bytes > bytes_max) {
      parts.emplace_back();
    }
    Batch& part = parts.back();
    part.commands_.add_encoded(commands_.encoded().substr(at, request.bytes), request.commands);
    part.pending_.push_back(request);
    part.leases_.insert(part.leases_.end(), lease, lease + request.leases);
    part.agains_.insert(part.agains_.end(), again, again + request.agains);
    std::move(refusal, refusal + request.refusals, std::back_inserter(part.refusals_));
    at += request.bytes;
    lease += request.leases;
    again += request.agains;
    refusal += request.refusals;
  }
  parts.back().has_tick_ = has_tick_;
  *this = {};
  return parts;
}

std::vector<Pending> Batch::drop(Pending::Kind kind) {
  JACK_ASSERT(kind == Pending::Kind::submit || kind == Pending::Kind::pool);
  std::vector<Pending> kept;
  std::vector<Pending> dropped;
  std::vector<Refusal> refusals_kept;
  EntryBuilder commands_kept;
  std::size_t at = 0;
  auto refusal = refusals_.begin();
  for (const Pending& request : pending_) {
    if (request.kind == kind) {
      dropped.push_back(request);
    } else {
      kept.push_back(request);
      commands_kept.add_encoded(commands_.encoded().substr(at, request.bytes), request.commands);
      std::move(refusal, refusal + request.refusals, std::back_inserter(refusals_kept));
    }
    at += request.bytes;
    refusal += request.refusals;
  }
  pending_ = std::move(kept);
  refusals_ = std::move(refusals_kept);
  commands_ = std::move(commands_kept);
  return dropped;
}

}  // namespace jack

#include "engine/front/batch.h"

#include <iterator>
#include <utility>

#include "engine/assert.h"

namespace jack {

void Batch::begin(Pending::Kind kind, SessionId session, wire::Correlation correlation) {
  begun_at_ = commands_.bytes();
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

void Batch::close_request() {
  pending_.back().bytes = static_cast<std::uint32_t>(commands_.bytes() - begun_at_);
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

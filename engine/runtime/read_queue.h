// Reads that clients have asked for and that are still to be carried out.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>

#include "engine/front/output.h"

namespace jack {

// A read of a few bytes may have an answer of megabytes, so they are carried out a few at a time.
// Sessions take turns, so that nobody waits behind another's thousand reads; those of one session
// come in the order in which it asked.
//
// Pure, not thread-safe.
class ReadQueue {
 public:
  struct Item {
    Read read;
    std::optional<Index> until{};  // what must be in the store first, once that is known
  };

  void add(Read read) {
    const SessionId session = read.session;
    by_session_[session].push_back({std::move(read)});
  }

  // The one just taken: it waits until the store has the entry.
  void put_back(Read read, Index until) {
    const SessionId session = read.session;
    by_session_[session].push_front({std::move(read), until});
  }

  // The next of the next session; nothing where all wait for more than `flushed`.
  std::optional<Item> take(Index flushed) {
    for (std::size_t tries = by_session_.size(); tries > 0; --tries) {
      auto at = by_session_.upper_bound(last_);
      if (at == by_session_.end()) at = by_session_.begin();
      last_ = at->first;
      if (at->second.front().until.value_or(0) > flushed) continue;
      Item item = std::move(at->second.front());
      at->second.pop_front();
      if (at->second.empty()) by_session_.erase(at);
      return item;
    }
    return std::nullopt;
  }

  void drop(SessionId session) { by_session_.erase(session); }

  std::size_t of(SessionId session) const {
    const auto at = by_session_.find(session);
    return at == by_session_.end() ? 0 : at->second.size();
  }

 private:
  std::map<SessionId, std::deque<Item>> by_session_;  // none is empty
  SessionId last_ = 0;                                // whose turn it was
};

}  // namespace jack

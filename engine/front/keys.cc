// Sessions that act for a key: who is let in, what their messages may do, and how they end with
// their key.
#include <algorithm>
#include <utility>

#include "engine/front/front.h"

namespace jack {
namespace {

Error key_is_gone(std::string_view key) {
  return {Code::unauthenticated,
          "key '" + std::string(key) + "' was revoked, has expired or is no longer in the list"};
}

}  // namespace

// Whose rights the session will have. Without rights in it: nobody's, so that it may do all.
Result<KeyRights> Front::key_of(const Now& now, const Inbound& message,
                                const wire::Hello& hello) const {
  if (!(hello.key.empty() && hello.answers.empty()) && !message.in_process) {
    return Error{Code::permission_denied,
                 "only a session of the engine's own process may act for a key it does not have"};
  }
  const std::string_view user = hello.key.empty() ? message.user : hello.key;
  if (user.empty()) return KeyRights{};
  std::optional<KeyRights> key = rights_ == nullptr ? std::nullopt : rights_->find(user, now.wall);
  if (!key) return key_is_gone(user);
  return *std::move(key);
}

// A greeting may be said twice, and changes nobody's key.
bool Front::refuse_other_key(Session& session, const wire::Hello& message, Output& out) {
  const bool same = session.in_process ? message.key == session.user : message.key.empty();
  if (same) return false;
  ++denied_;
  return refuse(session.id, message.correlation,
                {Code::permission_denied, "this session acts for another key, or for none"}, out);
}

// True where the message of an unknown session has been refused, because its key is no longer good.
bool Front::refuse_keyless(const Now& now, const Inbound& message, Output& out) {
  if (message.user.empty()) return false;
  if (rights_ != nullptr && rights_->find(message.user, now.wall)) return false;
  ++denied_;
  out.forgotten.push_back(message.session);
  return refuse(message.session, wire::correlation_of(message_unpacker_, message.frame),
                key_is_gone(message.user), out);
}

// True where the message has been refused as a whole.
bool Front::judge(Session& session, const wire::Request& request, Output& out) {
  verdict_.items.clear();
  if (session.rights == nullptr) return false;
  verdict_ = access_.judge(session, request);
  denied_ += verdict_.denied;
  if (!verdict_.whole) return false;
  const Correlation correlation =
      std::visit([](const auto& message) { return message.correlation; }, request);
  return refuse(session.id, correlation, *verdict_.whole, out);
}

bool Front::refuse_denied(Output& out) {
  if (verdict_.items.empty()) return false;
  const std::uint32_t item = out.commands.pending().back().items;
  const auto before = [](const Refusal& refusal, std::uint32_t at) { return refusal.item < at; };
  const auto found = std::lower_bound(verdict_.items.begin(), verdict_.items.end(), item, before);
  if (found == verdict_.items.end() || found->item != item) return false;
  out.commands.refuse(std::move(found->error));
  return true;
}

std::shared_ptr<const Rights> Front::reader_of(const Session& session) {
  return session.rights == nullptr || session.rights->all_queues() ? nullptr : session.rights;
}

void Front::set_rights(const Now& now, std::shared_ptr<const RightsTable> rights, Output& out) {
  if (rights == rights_ && now.wall < keys_until_) return;
  rights_ = std::move(rights);
  keys_until_ = WallTime::max();
  for (const SessionId id : std::set(keyed_)) judge_key(now, *sessions_.find(id), out);
}

void Front::judge_key(const Now& now, Session& session, Output& out) {
  const std::optional<KeyRights> key =
      rights_ == nullptr ? std::nullopt : rights_->find(session.user, now.wall);
  if (!key) {
    end_without_key(now, session, out);
  } else if (*key->rights == *session.rights) {
    session.key_ends = key->ends;
    keys_until_ = std::min(keys_until_, key->ends);
  } else {
    // What it asked for was allowed by other rights. It begins anew, and asks again.
    out.send(session.id, wire::Who{});
    out.forgotten.push_back(session.id);
    end_session(now, session, limits_.resume_grace, "its worker's key has other rights now", out);
  }
}

// All that it waits for is refused; what has been accepted stays so.
void Front::end_without_key(const Now& now, Session& session, Output& out) {
  const Error error = key_is_gone(session.user);
  for (const Wait* wait = session.waits; wait != nullptr; wait = wait->next_of_session) {
    out.refuse(session.id, wait->correlation, error);
  }
  for (const auto& [correlation, watch] : session.watches) {
    out.refuse(session.id, correlation, error);
  }
  // Of questions without an answer, whichever they are.
  out.refuse(session.id, 0, error);
  out.forgotten.push_back(session.id);
  const auto grace = session.in_process ? std::nullopt : std::optional(limits_.resume_grace);
  end_session(now, session, grace, "its worker's key was taken away", out);
}

}  // namespace jack

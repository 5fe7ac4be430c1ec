#include "engine/wire/router.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/assert.h"
#include "engine/format/spec.h"
#include "engine/wire/messages.h"
#include "engine/wire/private_file.h"
#include "engine/wire/socket.h"

namespace jack::wire {
namespace {

using std::chrono::milliseconds;

// Places in doors_, whose first is for this process.
constexpr std::size_t kPlainDoor = 1;
constexpr std::size_t kKeyedDoor = 2;

constexpr std::string_view kIpc = "ipc://";

// When to look whether a session is still reachable, counted from the end of a connection. The
// socket hears of the end within microseconds of the event unless this host is very busy.
constexpr std::array kProbeAfter = {milliseconds{0}, milliseconds{5}, milliseconds{50},
                                    milliseconds{500}};

// ZMQ_ZAP_ENFORCE_DOMAIN: every build since 4.3.0 takes it, though the header names it for drafts
// only.
constexpr int kZapEnforceDomain = 93;

// A ROUTER cannot tell when one of its peers has room again.
constexpr milliseconds kRetryEvery{5};

// Whether somebody answers at this socket file. Nobody: a crash left it behind.
bool is_served(const std::string& path) {
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return false;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), kSocketPathBytesMax));
  const int status =
      ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const bool served = status == 0 || errno == EAGAIN;
  ::close(descriptor);
  return served;
}

// Makes way for a socket file; never removes anything else.
Result<void> clear_path(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return {};
  if (!S_ISSOCK(status.st_mode)) {
    return Error{Code::invalid_argument, path + " exists and is not a socket; choose another path"};
  }
  if (is_served(path)) return Error{Code::unavailable, path + " is in use by a running engine"};
  if (::unlink(path.c_str()) == 0) return {};
  return error_of_errno(errno, path);
}

// A folder for sockets whose own path is too long: below $XDG_RUNTIME_DIR or /tmp.
std::string short_folder() {
  const std::string name = "/jack-" + std::to_string(::geteuid());
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  constexpr std::size_t kFileNameBytes = 1 + 16 + 5;  // "/", a digest, ".sock"
  if (runtime != nullptr && *runtime == '/' &&
      std::strlen(runtime) + name.size() + kFileNameBytes <= kSocketPathBytesMax) {
    return runtime + name;
  }
  return "/tmp" + name;
}

// `path`, or a short one that stands for it. The same path gets the same, so that what a crash left
// behind is found and replaced.
Result<std::string> short_path(const std::string& path) {
  if (path.size() <= kSocketPathBytesMax) return path;
  const std::string folder = short_folder();
  if (Result<void> ok = make_private_folder(folder); !ok) return ok.error();
  std::array<char, 16> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), digest_of(path), 16);
  return folder + "/" + std::string(digits.data(), end.ptr) + ".sock";
}

// How many times what others may keep waiting a session of this process may.
constexpr std::size_t kInProcessShare = 16;

}  // namespace

Result<std::unique_ptr<Router>> Router::open(zmq::context_t& context,
                                             const RouterOptions& options) {
  std::unique_ptr<Router> router(new Router());
  router->outbox_bytes_max_ = options.outbox_bytes_max;
  if (!options.key_file.empty()) {
    JACK_ASSERT(options.keys != nullptr);
    Result<std::unique_ptr<KeyKeeper>> keeper =
        KeyKeeper::open(context, options.keys, options.last_used);
    if (!keeper) return std::move(keeper).error();
    router->keeper_ = *std::move(keeper);
  }
  if (Result<void> ok = router->bind_all(context, options); !ok) return ok.error();
  if (!options.data_dir.empty()) {
    if (Result<void> ok = publish(options.data_dir, router->published_); !ok) return ok.error();
    router->data_dir_ = options.data_dir;
  }
  return router;
}

Router::~Router() {
  if (!data_dir_.empty()) unpublish(data_dir_);
  for (const std::string& path : socket_files_) ::unlink(path.c_str());  // libzmq leaves them
}

Result<Router::Door*> Router::add_door(zmq::context_t& context, bool in_process) {
  auto door = std::make_unique<Door>();
  Result<zmq::socket_t> socket = make_socket(context, zmq::socket_type::router);
  if (!socket) return std::move(socket).error();
  door->socket = *std::move(socket);
  door->in_process = in_process;
  if (!in_process) {
    Result<Monitor> monitor = Monitor::open(context, door->socket, ZMQ_EVENT_DISCONNECTED);
    if (!monitor) return std::move(monitor).error();
    door->monitor = *std::move(monitor);
  }
  files_.push_back({door->socket.get(zmq::sockopt::fd), POLLIN, 0});
  files_.push_back({door->monitor.descriptor(), POLLIN, 0});
  doors_.push_back(std::move(door));
  return doors_.back().get();
}

Result<void> Router::bind_all(zmq::context_t& context, const RouterOptions& options) {
  Result<Door*> in_process = add_door(context, true);
  if (!in_process) return std::move(in_process).error();
  if (Result<void> ok = bind(**in_process, kInProcess); !ok) return ok;
  if (Result<Door*> plain = add_door(context, false); !plain) return std::move(plain).error();
  for (const std::string& endpoint : options.listen) {
    if (Result<void> ok = check_endpoint(endpoint, Use::listen); !ok) return ok;
    Result<void> bound =
        endpoint.starts_with(kIpc) ? bind_ipc(endpoint) : bind_tcp(context, endpoint, options);
    if (!bound) return bound;
  }
  return {};
}

Result<void> Router::bind_ipc(const std::string& endpoint) {
  const std::string wanted = endpoint.substr(kIpc.size());
  Result<std::string> path = short_path(wanted);
  if (!path) return std::move(path).error();
  if (Result<void> ok = clear_path(*path); !ok) return ok;
  const std::string short_endpoint = std::string(kIpc) + *path;
  if (Result<void> ok = bind(*doors_[kPlainDoor], short_endpoint); !ok) return ok;
  socket_files_.push_back(*path);
  // To connect takes the right to write. Until here the umask, or the folder, kept others out.
  if (::chmod(path->c_str(), 0600) != 0) return error_of_errno(errno, *path);
  endpoints_.push_back(short_endpoint);
  published_.push_back({short_endpoint, false});
  return {};
}

Result<void> Router::bind_tcp(zmq::context_t& context, const std::string& endpoint,
                              const RouterOptions& options) {
  const bool keyed = !options.key_file.empty();
  if (!keyed && !is_local(endpoint)) {
    return Error{Code::permission_denied,
                 endpoint +
                     " can be reached from other machines: make keys with `jack keys new "
                     "--curve NAME` and name them, or listen on 127.0.0.1"};
  }
  Door* door = doors_[kPlainDoor].get();
  if (keyed) {
    Result<Door*> with_keys = keyed_door(context, options);
    if (!with_keys) return std::move(with_keys).error();
    door = *with_keys;
  }
  if (Result<void> ok = bind(*door, endpoint); !ok) return ok;
  endpoints_.push_back(door->socket.get(zmq::sockopt::last_endpoint));
  published_.push_back({endpoints_.back(), keyed});
  return {};
}

Result<void> Router::bind(Door& door, const std::string& endpoint) {
  try {
    door.socket.set(zmq::sockopt::ipv6, endpoint.find('[') != std::string::npos);
    door.socket.bind(endpoint);
    return {};
  } catch (const zmq::error_t& error) {
    return error_of(error, "cannot listen on " + endpoint);
  }
}

Result<Router::Door*> Router::keyed_door(zmq::context_t& context, const RouterOptions& options) {
  if (doors_.size() > kKeyedDoor) return doors_[kKeyedDoor].get();
  Result<KeyPair> keys = read_secret_key(options.key_file);
  if (!keys) return std::move(keys).error();
  if (Result<void> ok = options.keys->check(); !ok) return ok.error();
  Result<Door*> made = add_door(context, false);
  if (!made) return made;
  Door* const door = *made;
  door->keyed = true;
  try {
    door->socket.set(zmq::sockopt::zap_domain, KeyKeeper::kDomain);
    // Without a handler nobody is let in, rather than everybody.
    const int enforce = 1;
    void* socket = door->socket.handle();
    if (zmq_setsockopt(socket, kZapEnforceDomain, &enforce, sizeof enforce) != 0)
      throw zmq::error_t();
    door->socket.set(zmq::sockopt::curve_server, true);
    door->socket.set(zmq::sockopt::curve_secretkey, keys->secret_key);
  } catch (const zmq::error_t& error) {
    return error_of(error, "cannot use CURVE");
  }
  return door;
}

// libzmq's own poll asks each socket twice, each time by two system calls. Here only those are
// asked that were touched since they last had nothing.
void Router::wait(std::span<pollfd> others, milliseconds timeout) {
  for (const std::unique_ptr<Door>& door : doors_) {
    if (door->may_have_events || (door->may_have_messages && has_message(*door))) return;
    door->may_have_messages = false;
  }
  files_.insert(files_.end(), others.begin(), others.end());
  timeout = std::min(timeout, next_try().value_or(timeout));
  ::poll(files_.data(), files_.size(), static_cast<int>(timeout.count()));
  const auto begin = files_.end() - static_cast<std::ptrdiff_t>(others.size());
  std::copy(begin, files_.end(), others.begin());
  files_.erase(begin, files_.end());
}

bool Router::has_message(Door& door) {
  int events = 0;
  std::size_t size = sizeof events;
  return zmq_getsockopt(door.socket.handle(), ZMQ_EVENTS, &events, &size) == 0 &&
         (events & ZMQ_POLLIN) != 0;
}

// Notes which doors have something to take.
void Router::look_at_doors() {
  if (::poll(files_.data(), files_.size(), 0) <= 0) return;
  for (std::size_t i = 0; i < doors_.size(); ++i) {
    if (files_[2 * i].revents != 0) doors_[i]->may_have_messages = true;
    if (files_[2 * i + 1].revents != 0) doors_[i]->may_have_events = true;
  }
}

std::optional<milliseconds> Router::next_try() const {
  if (!gone_.empty()) return milliseconds{0};
  std::optional<milliseconds> within;
  if (!backlogged_.empty()) within = kRetryEvery;
  if (probes_.empty()) return within;
  const auto earlier = [](const Probe& a, const Probe& b) { return a.due < b.due; };
  const auto first = std::min_element(probes_.begin(), probes_.end(), earlier);
  const auto left = std::chrono::ceil<milliseconds>(first->due - SteadyClock::now());
  return std::min(within.value_or(milliseconds::max()), std::max(left, milliseconds{0}));
}

void Router::drain(std::size_t frames_max, std::vector<Inbound>& arrived,
                   std::vector<SessionId>& gone) {
  retry_outboxes();
  look_at_doors();
  std::size_t left = frames_max;
  next_door_ = (next_door_ + 1) % doors_.size();  // none is always last
  for (std::size_t i = 0; i < doors_.size(); ++i) {
    Door& door = *doors_[(next_door_ + i) % doors_.size()];
    while (left > 0 && door.may_have_messages) {
      door.may_have_messages = take_one(door, arrived);
      left -= door.may_have_messages ? 1 : 0;
    }
    if (door.may_have_events) take_events(door);
  }
  probe_due();
  gone.insert(gone.end(), gone_.begin(), gone_.end());
  gone_.clear();
}

// Takes one message off a door. False where there is none.
bool Router::take_one(Door& door, std::vector<Inbound>& arrived) {
  zmq::message_t routing_id;
  zmq::message_t body;
  if (!receive(door.socket, routing_id)) return false;
  if (!receive(door.socket, body)) return false;
  if (body.more()) {
    ++counters_.malformed;
    while (body.more() && receive(door.socket, body)) {
    }
    return true;
  }
  Inbound& inbound = arrived.emplace_back();
  inbound.session = session_of(door, routing_id.to_string_view(), body);
  inbound.in_process = door.in_process;
  if (door.keyed) inbound.user = sessions_.at(inbound.session).user;
  inbound.frame.assign(body.data<char>(), body.size());
  return true;
}

SessionId Router::session_of(Door& door, std::string_view routing_id, zmq::message_t& body) {
  const auto found = door.sessions.find(routing_id);
  if (found == door.sessions.end()) return add_session(door, routing_id, body);
  if (!door.keyed) return found->second;

  // A routing id can be chosen, so another user may come by the one of a session that has ended.
  const char* user = zmq_msg_gets(body.handle(), "User-Id");
  const SessionId session = found->second;
  if (user != nullptr && sessions_.at(session).user == user) return session;
  lose(session);
  return add_session(door, routing_id, body);
}

SessionId Router::add_session(Door& door, std::string_view routing_id, zmq::message_t& body) {
  const SessionId id = ++last_session_;
  Session session;
  session.door = &door;
  session.routing_id = routing_id;
  if (door.keyed) {
    const char* user = zmq_msg_gets(body.handle(), "User-Id");
    if (user != nullptr) session.user = user;
  }
  if (!door.in_process) {
    session.descriptor = zmq_msg_get(body.handle(), ZMQ_SRCFD);
    by_descriptor_.emplace(session.descriptor, id);
  }
  door.sessions.emplace(routing_id, id);
  sessions_.emplace(id, std::move(session));
  return id;
}

// Notes which sessions may have ended with a connection.
void Router::take_events(Door& door) {
  door.may_have_events = false;
  for (MonitorEvent event = door.monitor.next(); event.event != 0; event = door.monitor.next()) {
    const SteadyClock::time_point now = SteadyClock::now();
    for (const int descriptor : {event.value, -1}) {
      const auto [begin, end] = by_descriptor_.equal_range(descriptor);
      for (auto entry = begin; entry != end; ++entry) probes_.push_back({entry->second, 0, now});
    }
  }
}

void Router::probe_due() {
  if (probes_.empty()) return;
  const SteadyClock::time_point now = SteadyClock::now();
  std::erase_if(probes_, [&](Probe& probe) {
    if (probe.due > now) return false;
    const auto found = sessions_.find(probe.session);
    if (found == sessions_.end()) return true;
    if (!is_reachable(found->second)) {
      lose(probe.session);
      return true;
    }
    if (++probe.tries == kProbeAfter.size()) return true;  // a false alarm
    probe.due = now + kProbeAfter[probe.tries];
    return false;
  });
}

// Tries it with a message that says nothing: an answer to no ping.
bool Router::is_reachable(Session& session) {
  if (!session.outbox.empty()) return true;  // its turn shows
  std::string frame = encode(Pong{});
  return send_now(session, frame) != Sent::unreachable;
}

// Leaves `frame` as it is unless it was sent.
Sent Router::send_now(Session& session, std::string& frame) {
  session.door->may_have_messages = true;  // sending may swallow the sign of one
  zmq::message_t routing_id(session.routing_id.data(), session.routing_id.size());
  if (const Sent sent = wire::send(session.door->socket, routing_id, true); sent != Sent::done) {
    return sent;
  }
  zmq::message_t body = to_message(std::move(frame));
  return wire::send(session.door->socket, body);
}

void Router::send(std::vector<Outbound>& messages) {
  for (Outbound& message : messages) {
    const auto found = sessions_.find(message.session);
    if (found == sessions_.end()) continue;  // the front hears, or has heard, that it is gone
    send_or_keep(found->first, found->second, std::move(message.frame));
  }
  messages.clear();
}

void Router::send_or_keep(SessionId id, Session& session, std::string frame) {
  if (session.outbox.empty()) {
    const Sent sent = send_now(session, frame);
    if (sent == Sent::unreachable) lose(id);
    if (sent != Sent::not_now) return;
    backlogged_.push_back(id);
  }
  session.outbox_bytes += frame.size();
  session.outbox.push_back(std::move(frame));
  // One in this process stands for many clients, each of which has a bound of its own.
  const std::size_t share = session.door->in_process ? kInProcessShare : 1;
  if (session.outbox_bytes > share * outbox_bytes_max_) {
    ++counters_.overflown;
    lose(id);
  }
}

// False where the session is gone.
bool Router::empty_outbox(Session& session) {
  while (!session.outbox.empty()) {
    const std::size_t bytes = session.outbox.front().size();
    const Sent sent = send_now(session, session.outbox.front());
    if (sent == Sent::unreachable) return false;
    if (sent != Sent::done) return true;
    session.outbox_bytes -= bytes;
    session.outbox.pop_front();
  }
  return true;
}

void Router::retry_outboxes() {
  std::erase_if(backlogged_, [this](SessionId id) {
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) return true;
    if (!empty_outbox(found->second)) {
      lose(id);
      return true;
    }
    return found->second.outbox.empty();
  });
}

void Router::lose(SessionId session) {
  erase(session);
  gone_.push_back(session);
}

void Router::forget(SessionId session) { erase(session); }

void Router::erase(SessionId id) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  const Session& session = found->second;
  session.door->sessions.erase(session.routing_id);
  const auto [begin, end] = by_descriptor_.equal_range(session.descriptor);
  const auto entry = std::find_if(begin, end, [id](const auto& pair) { return pair.second == id; });
  if (entry != end) by_descriptor_.erase(entry);
  sessions_.erase(found);
}

PeerCounters Router::counters() const {
  PeerCounters counters = counters_;
  if (keeper_ != nullptr) counters.refused = keeper_->refused();
  return counters;
}

}  // namespace jack::wire

#include "engine/wire/endpoint.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <utility>

#include <arpa/inet.h>
#include <net/if.h>
#include <pwd.h>
#include <unistd.h>

#include "engine/wire/private_file.h"
#include "engine/wire/socket.h"

namespace jack::wire {
namespace {

constexpr std::string_view kIpc = "ipc://";
constexpr std::string_view kTcp = "tcp://";
constexpr std::string_view kCurveMark = " curve";

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

std::string home() {
  std::string home = environment("HOME");
  if (!home.empty()) return home;
  const passwd* user = ::getpwuid(::geteuid());
  return user == nullptr ? std::string("/") : user->pw_dir;
}

std::string file_of(const std::string& data_dir) { return data_dir + "/engine"; }

// "host" of "tcp://host:port".
std::string_view host_of(std::string_view endpoint) {
  const std::string_view address = endpoint.substr(kTcp.size());
  return address.substr(0, address.find_last_of(':'));
}

// What is wrong with a tcp:// address; nothing where all is well. libzmq would take any number for
// a port, and listen on what is left of it in 16 bits.
std::string_view fault_of_tcp(std::string_view endpoint, std::uint16_t port_min) {
  const std::string_view address = endpoint.substr(kTcp.size());
  const std::size_t colon = address.find_last_of(':');
  const bool in_brackets =
      colon != std::string_view::npos && address.find(']', colon) != address.npos;
  if (colon == std::string_view::npos || in_brackets || colon + 1 == address.size()) {
    return "names no port, as in tcp://127.0.0.1:7077";
  }
  if (colon == 0) return "names no host, as in tcp://127.0.0.1:7077";
  const std::string_view text = address.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error == std::errc() && end == text.data() + text.size() && port >= port_min) return {};
  return port_min == 0 ? "has a port that is none: 1 to 65535, or 0 for a free one"
                       : "has a port that is none: 1 to 65535";
}

// Of "tcp://host:port". libzmq listens at addresses and network interfaces, and looks no names up.
bool may_listen_at(std::string_view endpoint) {
  const std::string host(host_of(endpoint));
  in_addr address{};
  // One with a colon is of IPv6, which libzmq reads itself.
  return host == "*" || host.find(':') != std::string::npos ||
         ::inet_pton(AF_INET, host.c_str(), &address) == 1 || ::if_nametoindex(host.c_str()) != 0;
}

Result<void> read_keys(const ClientOptions& options, Route& route) {
  if (options.key_file.empty() && options.engine_key_file.empty()) return {};
  if (options.key_file.empty() || options.engine_key_file.empty()) {
    return Error{Code::invalid_argument,
                 "CURVE needs both: the secret key file of this side and the engine's public one"};
  }
  Result<KeyPair> keys = read_secret_key(options.key_file);
  if (!keys) return std::move(keys).error();
  Result<NamedKey> engine = read_public_key(options.engine_key_file);
  if (!engine) return std::move(engine).error();
  route.keys = *std::move(keys);
  route.engine_key = engine->public_key;
  return {};
}

}  // namespace

std::string default_data_dir() {
  if (std::string folder = environment("JACK_DATA_DIR"); !folder.empty()) return folder;
  if (std::string state = environment("XDG_STATE_HOME"); !state.empty()) return state + "/jack";
  return home() + "/.local/state/jack";
}

std::string default_endpoint(const std::string& data_dir) {
  return std::string(kIpc) + data_dir + "/jack.sock";
}

bool is_local(std::string_view endpoint) {
  if (!endpoint.starts_with(kTcp)) return true;
  const std::string_view host = host_of(endpoint);
  if (host == "localhost" || host == "lo" || host == "[::1]" || host == "::1") return true;
  // A name can begin with "127." too.
  in_addr address{};
  return host.starts_with("127.") && ::inet_pton(AF_INET, std::string(host).c_str(), &address) == 1;
}

Result<void> check_endpoint(std::string_view endpoint, Use use) {
  const auto refuse = [&](std::string_view fault) {
    return Error{Code::invalid_argument, "'" + std::string(endpoint) + "' " + std::string(fault)};
  };
  if (endpoint.starts_with(kTcp)) {
    const std::string_view fault = fault_of_tcp(endpoint, use == Use::listen ? 0 : 1);
    if (!fault.empty()) return refuse(fault);
    if (use == Use::listen && !may_listen_at(endpoint)) {
      return refuse("names no IP address to listen at, as in tcp://127.0.0.1:7077");
    }
    return {};
  }
  if (!endpoint.starts_with(kIpc)) {
    return refuse("is no endpoint; write ipc:///PATH or tcp://HOST:PORT");
  }
  const std::string_view path = endpoint.substr(kIpc.size());
  // libzmq has its own use for names that begin with these.
  if (path.empty() || path.front() == '@' || path.front() == '*') {
    return refuse("does not name a socket file, as in ipc:///PATH");
  }
  // An engine that listens finds a shorter path itself.
  if (use == Use::connect && path.size() > kSocketPathBytesMax) {
    return refuse("has a path of more than 107 bytes; name the data directory instead");
  }
  return {};
}

Result<void> publish(const std::string& data_dir, const std::vector<Published>& endpoints) {
  std::string text;
  for (const Published& entry : endpoints) {
    text.append(entry.endpoint).append(entry.keyed ? kCurveMark : "").append("\n");
  }
  return replace_private_file(file_of(data_dir), text);
}

void unpublish(const std::string& data_dir) { ::unlink(file_of(data_dir).c_str()); }

std::vector<Published> published(const std::string& data_dir) {
  std::vector<Published> endpoints;
  const Result<std::string> text = read_small_file(file_of(data_dir));
  if (!text) return endpoints;
  for (std::string_view rest = *text; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const bool keyed = line.ends_with(kCurveMark);
    if (keyed) line.remove_suffix(kCurveMark.size());
    if (!line.empty()) endpoints.push_back({std::string(line), keyed});
  }
  return endpoints;
}

Result<Route> route_of(const ClientOptions& options) {
  Route route;
  if (Result<void> ok = read_keys(options, route); !ok) return ok.error();
  Result<std::shared_ptr<zmq::context_t>> context = shared_context();
  if (!context) return std::move(context).error();
  route.context = *std::move(context);
  if (options.endpoint.empty()) {
    route.data_dir = options.data_dir.empty() ? default_data_dir() : options.data_dir;
    route.endpoint = look_up(route);
  } else {
    route.endpoint = options.endpoint;
    if (Result<void> ok = check_endpoint(route.endpoint, Use::connect); !ok) return ok.error();
  }
  return route;
}

Route route_within(zmq::context_t& context, const std::string& endpoint) {
  Route route;
  route.context = std::shared_ptr<zmq::context_t>(std::shared_ptr<void>(), &context);
  route.endpoint = endpoint;
  return route;
}

std::string look_up(const Route& route) {
  if (route.data_dir.empty()) return route.endpoint;
  const std::vector<Published> endpoints = published(route.data_dir);
  const bool keyed = route.keys.has_value();
  const auto usable = [&](const Published& entry) {
    return entry.keyed == keyed && check_endpoint(entry.endpoint, Use::connect).has_value();
  };
  // A socket file before an address: only files tell users apart.
  for (const Published& entry : endpoints) {
    if (usable(entry) && entry.endpoint.starts_with(kIpc)) return entry.endpoint;
  }
  const auto found = std::find_if(endpoints.begin(), endpoints.end(), usable);
  if (found != endpoints.end()) return found->endpoint;
  // An engine that asks for other keys says so, which is better than to look for it elsewhere.
  for (const Published& entry : endpoints) {
    if (check_endpoint(entry.endpoint, Use::connect)) return entry.endpoint;
  }
  return route.endpoint.empty() ? default_endpoint(route.data_dir) : route.endpoint;
}

}  // namespace jack::wire

#include "engine/wire/endpoint.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <utility>

#include <arpa/inet.h>
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

bool has_port(std::string_view endpoint) {
  const std::size_t colon = endpoint.find_last_of(':');
  const std::string_view text = endpoint.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port != 0;
}

Result<void> check_endpoint(std::string_view endpoint) {
  if (endpoint.starts_with(kIpc) && endpoint.size() > kIpc.size()) {
    if (endpoint.size() - kIpc.size() <= kSocketPathBytesMax) return {};
    return Error{Code::invalid_argument,
                 "the path of a socket has at most 107 bytes; name the data directory instead"};
  }
  if (endpoint.starts_with(kTcp) && !host_of(endpoint).empty() && has_port(endpoint)) return {};
  return Error{Code::invalid_argument, "\"" + std::string(endpoint) +
                                           "\" is not an endpoint: ipc:///path or tcp://host:port"};
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
    if (Result<void> ok = check_endpoint(route.endpoint); !ok) return ok.error();
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
    return entry.keyed == keyed && check_endpoint(entry.endpoint).has_value();
  };
  // A socket file before an address: only files tell users apart.
  for (const Published& entry : endpoints) {
    if (usable(entry) && entry.endpoint.starts_with(kIpc)) return entry.endpoint;
  }
  const auto found = std::find_if(endpoints.begin(), endpoints.end(), usable);
  if (found != endpoints.end()) return found->endpoint;
  return route.endpoint.empty() ? default_endpoint(route.data_dir) : route.endpoint;
}

}  // namespace jack::wire

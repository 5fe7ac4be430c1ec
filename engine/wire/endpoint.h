// Where engines are reached: endpoints, the default data directory, and the file in which an engine
// names its endpoints.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <zmq.hpp>

#include <jack_engine/client.h>
#include <jack_engine/error.h>

#include "engine/wire/curve.h"

namespace jack::wire {

// $JACK_DATA_DIR, else $XDG_STATE_HOME/jack, else ~/.local/state/jack.
std::string default_data_dir();

// Where an engine with this data directory listens unless it is told otherwise:
// "ipc://DIR/jack.sock".
std::string default_endpoint(const std::string& data_dir);

// Whether only this machine reaches it: ipc://, or tcp:// on a loopback address.
bool is_local(std::string_view endpoint);

// The longest path that a unix socket can have.
inline constexpr std::size_t kSocketPathBytesMax = 107;

enum class Use { connect, listen };

// Whether an engine can be reached, or can listen, at such an address: ipc://PATH or
// tcp://HOST:PORT, where to listen on port 0 takes a free one.
// Errors: invalid_argument  the message says what is wrong with it
Result<void> check_endpoint(std::string_view endpoint, Use use);

struct Published {
  std::string endpoint;
  bool keyed = false;  // asks for CURVE keys
};

// Writes DIR/engine: an endpoint per line, followed by " curve" where it asks for keys.
// Errors: permission_denied, storage_full, unavailable
Result<void> publish(const std::string& data_dir, const std::vector<Published>& endpoints);

// Takes DIR/engine away.
void unpublish(const std::string& data_dir);

// What DIR/engine says; empty where there is none. A stopped engine that crashed is still in it.
std::vector<Published> published(const std::string& data_dir);

// How a client or worker reaches its engine.
struct Route {
  std::shared_ptr<zmq::context_t> context;
  std::string endpoint;
  std::string
      data_dir;  // where the endpoint was found, and is looked up again; empty: it was given
  std::optional<KeyPair> keys;  // this side's; with them, the connection is CURVE
  std::string engine_key;       // the engine's public key

  bool in_process() const { return endpoint.starts_with("inproc://"); }
};

// Errors: invalid_argument  an endpoint that is none, or half of the keys
//         not_found, permission_denied  a key file
//         unsupported       libzmq is too old
Result<Route> route_of(const ClientOptions& options);

// The way to an engine in this process: `context` is the engine's and outlives the route.
Route route_within(zmq::context_t& context, const std::string& endpoint);

// Where the engine of this route is now; unchanged where nothing new is known.
std::string look_up(const Route& route);

}  // namespace jack::wire

// An HTTP/1.1 server: sockets, TLS, connections, limits. It knows nothing of what it serves.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/engine.h>
#include <jack_engine/error.h>

#include "apps/http/limits.h"
#include "apps/http/message.h"

namespace jack::http {

// PEM files: the certificate with the chain above it, and its key, without a passphrase.
struct TlsFiles {
  std::string certificate;
  std::string key;
};

struct ServerOptions {
  // "127.0.0.1:5000", "[::1]:0", "0.0.0.0:8080"; at least one. Port 0: one that is free.
  std::vector<std::string> listen;
  std::optional<TlsFiles> tls;  // for all of them, TLS 1.2 and later; none: plain HTTP
  HttpLimits limits;

  // These are called on the server's thread, and must not block. What a handler throws is logged
  // and answered 500.
  std::function<Admission(const Request&)> admit;  // before the body is read; none: all may pass
  Handler handle;
  std::function<void(LogLevel, std::string_view)> log;  // none: nothing is logged
};

// Since the server was opened, but for `connections`.
struct ServerCounters {
  std::uint64_t connections = 0;  // now
  std::uint64_t connections_total = 0;
  std::uint64_t requests = 0;  // read to their end and given to the handler

  // Refused, by the reason.
  std::uint64_t not_admitted = 0;          // by ServerOptions::admit
  std::uint64_t malformed = 0;             // 400, 417, 501 and 505
  std::uint64_t too_large = 0;             // 413, 414 and 431
  std::uint64_t too_slow = 0;              // 408, and unfinished TLS handshakes
  std::uint64_t too_many_connections = 0;  // 503
  std::uint64_t too_many_bodies = 0;       // 503

  std::uint64_t stalled = 0;       // cut because they did not take their answer
  std::uint64_t tls_failures = 0;  // handshakes that failed
};

// Its functions may be called from any thread but where something else is said.
class Server {
 public:
  // Returns when connections are accepted, by a thread of the server's own.
  // Errors: unavailable        an address is taken, or not one of this host's
  //         permission_denied  a port that only the superuser may open
  //         invalid_argument   an address that is none; a file for TLS that is not usable
  static Result<std::unique_ptr<Server>> open(ServerOptions options);

  ~Server();  // stop() without grace

  // With the ports that were free, in the order of ServerOptions::listen.
  const std::vector<std::string>& addresses() const;

  // Calls `act` on the server's thread, soon. After stop() it is destroyed without being called.
  void post(std::function<void()> act);

  // On the server's thread, until it stops: whenever `descriptor` is readable, and every `period`.
  // The descriptor stays its owner's, who keeps it open until the server has stopped or
  // stop_calling() has returned, which is to be called on the server's thread.
  void call_when_readable(int descriptor, std::function<void()> act);
  void stop_calling(int descriptor);
  void call_every(std::chrono::milliseconds period, std::function<void()> act);
  // Once; to be called on the server's thread.
  void call_after(std::chrono::milliseconds delay, std::function<void()> act);

  // Stops accepting and closes idle connections. Answers that are given within `grace` still
  // arrive; what waits for longer is told by Responder::on_stopping(). Then all is cut. Returns
  // when the thread has ended; not to be called on it.
  void stop(std::chrono::milliseconds grace);

  ServerCounters counters() const;

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace jack::http

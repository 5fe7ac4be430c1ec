// A connected socket with or without TLS, as steps that never wait: whoever takes them waits for
// the socket in between. So what a connection does is written once, nothing is held while it idles,
// and the compiler is spared Asio's stream templates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <boost/asio/ip/tcp.hpp>

#include <jack_engine/error.h>

struct ssl_ctx_st;

namespace jack::http {

struct TlsFiles;

struct Step {
  enum class Outcome : std::uint8_t {
    done,           // `bytes` were moved; never 0 of a read
    wait_readable,  // nothing happened; repeat when the socket is readable
    wait_writable,  // the same for writable
    ended,          // nothing more comes: the peer has closed its sending side
    failed,
  };
  Outcome outcome = Outcome::failed;
  std::size_t bytes = 0;
};

// Of one thread.
class ByteStream {
 public:
  using Socket = boost::asio::ip::tcp::socket;

  virtual ~ByteStream() = default;

  // To be repeated until it is done; then bytes may be moved.
  virtual Step handshake() = 0;
  virtual Step read(std::span<char> into) = 0;
  // In one go, if possible. After wait_* the same bytes have to be offered again, more may follow.
  virtual Step write(std::string_view first, std::string_view second) = 0;
  // Says that nothing more is sent.
  virtual void end_sending() = 0;
  // Whether read() may find something although the socket is not readable.
  virtual bool holds_input() const = 0;
  // Why the step failed that was taken last.
  virtual std::string failure() const = 0;

  Socket& socket() { return socket_; }

 protected:
  explicit ByteStream(Socket socket) : socket_(std::move(socket)) {}

  Socket socket_;  // non-blocking
};

std::unique_ptr<ByteStream> plain_stream(ByteStream::Socket socket);

// The client's end of a connection with TLS. The certificate must be good for `host`, a name or an
// address, by what the system trusts (or SSL_CERT_FILE and SSL_CERT_DIR say). None when OpenSSL
// cannot be set up, or the host is none that TLS is possible with.
std::unique_ptr<ByteStream> tls_client_stream(ByteStream::Socket socket, const std::string& host);

// What all TLS connections of a server share.
class Tls {
 public:
  // Errors: invalid_argument  a file cannot be read or used; the message names it
  static Result<Tls> open(const TlsFiles& files);

  // None when OpenSSL is out of memory.
  std::unique_ptr<ByteStream> stream(ByteStream::Socket socket) const;

 private:
  explicit Tls(std::shared_ptr<ssl_ctx_st> context) : context_(std::move(context)) {}

  std::shared_ptr<ssl_ctx_st> context_;
};

}  // namespace jack::http

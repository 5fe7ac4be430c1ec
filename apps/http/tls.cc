#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <string>
#include <utility>

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "apps/descriptor.h"
#include "apps/http/byte_stream.h"
#include "apps/http/server.h"

namespace jack::http {
namespace {

constexpr std::size_t kTlsRecordBytes = 16 * 1024;

struct SslDeleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

// OpenSSL writes with write(), which raises SIGPIPE: whoever uses this blocks that signal.
class TlsStream final : public ByteStream {
 public:
  TlsStream(Socket socket, std::unique_ptr<SSL, SslDeleter> ssl)
      : ByteStream(std::move(socket)), ssl_(std::move(ssl)) {}

  Step handshake() override {
    clear_errors();
    return step(SSL_do_handshake(ssl_.get()), 0);
  }

  Step read(std::span<char> into) override {
    clear_errors();
    std::size_t got = 0;
    const int result = SSL_read_ex(ssl_.get(), into.data(), into.size(), &got);
    return step(result, got);
  }

  Step write(std::string_view first, std::string_view second) override {
    // Short parts go into one record, and so into one packet.
    if (!first.empty() && first.size() + second.size() <= joined_.size()) {
      std::copy(second.begin(), second.end(),
                std::copy(first.begin(), first.end(), joined_.begin()));
      return write_one({joined_.data(), first.size() + second.size()});
    }
    return write_one(first.empty() ? second : first);
  }

  void end_sending() override {
    ERR_clear_error();
    static_cast<void>(SSL_shutdown(ssl_.get()));  // if it finds no room, the end of TCP has to do
    boost::system::error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
  }

  bool holds_input() const override { return SSL_has_pending(ssl_.get()) == 1; }

  std::string failure() const override {
    const long verdict = SSL_get_verify_result(ssl_.get());
    if (verdict != X509_V_OK) return X509_verify_cert_error_string(verdict);
    const char* const reason = ERR_reason_error_string(ERR_peek_error());
    if (reason != nullptr) return reason;
    return errno == 0 ? "the connection ended" : std::strerror(errno);
  }

 private:
  static void clear_errors() {
    ERR_clear_error();
    errno = 0;
  }

  Step write_one(std::string_view bytes) {
    clear_errors();
    std::size_t sent = 0;
    const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &sent);
    return step(result, sent);
  }

  Step step(int result, std::size_t bytes) const {
    if (result > 0) return {Step::Outcome::done, bytes};
    switch (SSL_get_error(ssl_.get(), result)) {
      case SSL_ERROR_WANT_READ: return {Step::Outcome::wait_readable};
      case SSL_ERROR_WANT_WRITE: return {Step::Outcome::wait_writable};
      case SSL_ERROR_ZERO_RETURN: return {Step::Outcome::ended};
      default: return {Step::Outcome::failed};
    }
  }

  // One for all streams: they are used by one thread, one after the other.
  static thread_local std::array<char, kTlsRecordBytes> joined_;

  const std::unique_ptr<SSL, SslDeleter> ssl_;
};

thread_local std::array<char, kTlsRecordBytes> TlsStream::joined_;

// Instead of asking for the passphrase on a terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

Error unusable(const std::string& what, const std::string& file) {
  const char* reason = ERR_reason_error_string(ERR_peek_error());
  ERR_clear_error();
  return {Code::invalid_argument, "the " + what + " in " + file + " cannot be used for TLS: " +
                                      (reason != nullptr ? reason : "OpenSSL does not say why")};
}

Result<void> check_readable(const std::string& file) {
  const app::Descriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (descriptor) return {};
  return Error{Code::invalid_argument, "cannot read " + file + ": " + std::strerror(errno)};
}

void configure(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(
      context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  // Sessions live in tickets, which clients keep; without tickets TLS 1.3 clients wait for an ACK.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  // Partial writes: progress shows. Moved buffers: what is unsent is moved while it waits.
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
}

}  // namespace

Result<Tls> Tls::open(const TlsFiles& files) {
  for (const std::string& file : {files.certificate, files.key}) {
    if (Result<void> readable = check_readable(file); !readable) return readable.error();
  }
  ERR_clear_error();
  const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) return Error{Code::unavailable, "OpenSSL cannot be set up"};
  configure(context.get());
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) != 1) {
    return unusable("certificate", files.certificate);
  }
  // This also checks that the key belongs to the certificate.
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return unusable("key", files.key);
  }
  return Tls(context);
}

std::unique_ptr<ByteStream> Tls::stream(ByteStream::Socket socket) const {
  std::unique_ptr<SSL, SslDeleter> ssl(SSL_new(context_.get()));
  if (!ssl || SSL_set_fd(ssl.get(), socket.native_handle()) != 1) return nullptr;
  SSL_set_accept_state(ssl.get());
  return std::make_unique<TlsStream>(std::move(socket), std::move(ssl));
}

std::unique_ptr<ByteStream> tls_client_stream(ByteStream::Socket socket, const std::string& host) {
  const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  if (!context) return nullptr;
  configure(context.get());
  SSL_CTX_set_default_verify_paths(context.get());  // where it fails, no certificate is good
  std::unique_ptr<SSL, SslDeleter> ssl(SSL_new(context.get()));
  if (!ssl || SSL_set_fd(ssl.get(), socket.native_handle()) != 1) return nullptr;
  SSL_set_connect_state(ssl.get());
  SSL_set_verify(ssl.get(), SSL_VERIFY_PEER, nullptr);
  // The certificate has to name the address, or else the name, which the server is told too.
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), host.c_str()) != 1) {
    const bool named = SSL_set1_host(ssl.get(), host.c_str()) == 1 &&
                       SSL_set_tlsext_host_name(ssl.get(), host.c_str()) == 1;
    if (!named) return nullptr;
  }
  return std::make_unique<TlsStream>(std::move(socket), std::move(ssl));
}

}  // namespace jack::http

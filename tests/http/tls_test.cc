// The same over TLS, with a client of OpenSSL's.
#include <atomic>
#include <csignal>
#include <fstream>
#include <string>
#include <vector>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>

#include "tests/http/stage.h"
#include "tests/wire/folder.h"

namespace jack::http {
namespace {

using std::chrono::milliseconds;
using test::RawClient;
using test::Stage;
using test::until;

const std::string kHello = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";

// A key, and a certificate for localhost that it signed itself.
void make_certificate(const std::string& certificate_file, const std::string& key_file) {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  REQUIRE(key != nullptr);
  X509* const certificate = X509_new();
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* const name = X509_get_subject_name(certificate);
  const auto* const host = reinterpret_cast<const unsigned char*>("localhost");
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, host, -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  REQUIRE(X509_sign(certificate, key, EVP_sha256()) > 0);
  std::FILE* file = std::fopen(certificate_file.c_str(), "w");
  PEM_write_X509(file, certificate);
  std::fclose(file);
  file = std::fopen(key_file.c_str(), "w");
  PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

struct Files {
  Files() { make_certificate(certificate, key); }
  Stage::Change change(const std::function<void(HttpLimits&)>& limit = {}) const {
    return [this, limit](ServerOptions& options) {
      options.tls = TlsFiles{certificate, key};
      if (limit) limit(options.limits);
    };
  }

  ::jack::test::Folder folder;
  std::string certificate = folder / "certificate.pem";
  std::string key = folder / "key.pem";
};

class TlsClient {
 public:
  explicit TlsClient(std::uint16_t port, int version = TLS1_3_VERSION)
      : raw_(port), context_(SSL_CTX_new(TLS_client_method())) {
    // OpenSSL raises it; not in the server's thread, which began before.
    sigset_t pipe{};
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &signals_before_);
    SSL_CTX_set_max_proto_version(context_, version);
    SSL_CTX_set_security_level(context_, 0);  // so that TLS 1.1 is offered at all
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, raw_.descriptor());
  }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;
  ~TlsClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    const timespec none{};
    sigset_t pipe{};
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigtimedwait(&pipe, nullptr, &none);  // what is pending would come now
    pthread_sigmask(SIG_SETMASK, &signals_before_, nullptr);
  }

  bool connect() { return SSL_connect(ssl_) == 1; }
  void send(std::string_view bytes) {
    std::size_t sent = 0;
    REQUIRE(SSL_write_ex(ssl_, bytes.data(), bytes.size(), &sent) == 1);
  }
  // Until so many bytes are there, or the server closes.
  std::string read(std::size_t most) {
    std::string all;
    std::string part(65536, '\0');
    std::size_t got = 0;
    while (all.size() < most && SSL_read_ex(ssl_, part.data(), part.size(), &got) == 1) {
      all.append(part, 0, got);
    }
    return all;
  }
  // With a body of so many bytes.
  std::string ask(const std::string& request, std::size_t body_bytes) {
    send(request);
    std::string all;
    std::size_t end = 0;
    while ((end = all.find("\r\n\r\n")) == std::string::npos) {
      const std::string more = read(1);
      if (more.empty()) return all;
      all += more;
    }
    const std::size_t whole = end + 4 + body_bytes;
    if (all.size() < whole) all += read(whole - all.size());
    return all;
  }

  // Closes without a word, so that what the server sends is answered by a reset.
  void reset() {
    const linger none{1, 0};
    ::setsockopt(raw_.descriptor(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
    ::shutdown(raw_.descriptor(), SHUT_RDWR);
  }

 private:
  RawClient raw_;
  SSL_CTX* context_;
  SSL* ssl_ = nullptr;
  sigset_t signals_before_{};
};

Error error_of(const TlsFiles& files) {
  ServerOptions options;
  options.listen = {"127.0.0.1:0"};
  options.tls = files;
  options.handle = [](Request, Responder) {};
  const auto server = Server::open(std::move(options));
  REQUIRE_FALSE(server);
  return server.error();
}

}  // namespace

TEST_CASE("requests are served over TLS 1.2 and 1.3, and not over less") {
  const Files files;
  Stage stage(files.change());
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient client(stage.port(), version);
    REQUIRE(client.connect());
    for (int i = 0; i < 3; ++i) CHECK(client.ask(kHello, 5).ends_with("\r\n\r\nhello"));
    client.send(kHello + kHello + kHello);
    CHECK(client.ask("GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 5)
              .ends_with("hello"));
  }
  TlsClient old(stage.port(), TLS1_1_VERSION);
  CHECK_FALSE(old.connect());
  CHECK(until([&] { return stage.counters().tls_failures == 1; }));
}

TEST_CASE("a large body goes both ways over TLS") {
  const Files files;
  Stage stage(files.change());
  TlsClient client(stage.port());
  REQUIRE(client.connect());
  const std::string body(3'000'000, 'x');
  const std::string answer = client.ask(
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" + body, body.size());
  CHECK((answer.ends_with("\r\n\r\n" + body)));  // not printed where it fails
}

TEST_CASE("requests know that they came over TLS") {
  const Files files;
  std::atomic<bool> tls = false;
  Stage stage([&](ServerOptions& options) {
    files.change()(options);
    options.admit = [&](const Request& request) {
      tls = request.tls && request.peer_is_loopback && request.peer == "127.0.0.1";
      return Admission{};
    };
  });
  TlsClient client(stage.port());
  REQUIRE(client.connect());
  client.ask(kHello, 5);
  CHECK(tls);
}

TEST_CASE("a long poll over TLS learns that its client has gone") {
  const Files files;
  Stage stage(files.change());
  {
    TlsClient client(stage.port());
    REQUIRE(client.connect());
    client.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    REQUIRE(until([&] { return stage.held() == 1; }));
    CHECK(stage.gone() == 0);
  }
  CHECK(until([&] { return stage.gone() == 1; }));
}

TEST_CASE("an answer to a TLS client that has gone raises no signal") {
  const Files files;
  std::vector<Responder> waiting;
  std::atomic<bool> asked = false;
  Stage stage([&](ServerOptions& options) {
    files.change()(options);
    options.handle = [&](Request, Responder to) {
      to.begin({});
      waiting.push_back(std::move(to));
      asked = true;
    };
  });
  {
    TlsClient client(stage.port());
    REQUIRE(client.connect());
    client.send(kHello);
    REQUIRE(until([&] { return asked.load(); }));
    client.reset();
  }
  // The first parts may still go into the void, then there is nobody.
  Written written = Written::taken;
  CHECK(until([&] {
    stage.within([&] { written = waiting.front().write("part"); });
    return written == Written::gone;
  }));
  stage.server().stop(milliseconds{0});
}

TEST_CASE("a handshake that is not completed ends in time, and what is none at once") {
  const Files files;
  Stage stage(files.change([](HttpLimits& limits) { limits.header_time = milliseconds{50}; }));
  RawClient silent = stage.client();
  CHECK(silent.closed());
  CHECK(stage.counters().too_slow == 1);
  RawClient plain = stage.client();
  plain.send(kHello);
  CHECK(plain.rest().find("HTTP") == std::string::npos);
  CHECK(until([&] { return stage.counters().tls_failures == 1; }));
}

TEST_CASE("one TLS connection too many is closed, and the others go on") {
  const Files files;
  Stage stage(files.change([](HttpLimits& limits) { limits.connections_max = 1; }));
  TlsClient first(stage.port());
  REQUIRE(first.connect());
  CHECK_FALSE(TlsClient(stage.port()).connect());
  CHECK(first.ask(kHello, 5).ends_with("hello"));
  CHECK(stage.counters().too_many_connections == 1);
}

TEST_CASE("files that cannot be used for TLS are named") {
  const Files files;
  const Files others;
  const std::string empty = files.folder / "empty";
  std::ofstream(empty).close();
  const auto names = [](const Error& error, const std::string& file) {
    return error.code == Code::invalid_argument && error.message.find(file) != std::string::npos;
  };
  CHECK(names(error_of({files.folder / "none", files.key}), files.folder / "none"));
  CHECK(names(error_of({files.certificate, files.folder / "none"}), files.folder / "none"));
  CHECK(names(error_of({empty, files.key}), empty));
  CHECK(names(error_of({files.certificate, empty}), empty));
  CHECK(names(error_of({files.key, files.key}), files.key));
  CHECK(names(error_of({files.certificate, others.key}), others.key));
}

}  // namespace jack::http

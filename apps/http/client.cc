#include "apps/http/client.h"

#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <fmt/format.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <jack_engine/version.h>

#include "apps/text/duration.h"

namespace jack::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;
using TcpStream = beast::tcp_stream;
using SecureStream = beast::ssl_stream<TcpStream>;
using SteadyTime = std::chrono::steady_clock::time_point;

Error unavailable(std::string message) { return {Code::unavailable, std::move(message)}; }

// --- Looking up the host ---

struct LookUp {
  error_code failed;
  std::vector<tcp::endpoint> found;
};

LookUp look_up(const BaseUrl& url) {
  asio::io_context io;
  tcp::resolver resolver(io);
  LookUp answer;
  for (const auto& entry : resolver.resolve(url.host, std::to_string(url.port),
                                            tcp::resolver::numeric_service, answer.failed)) {
    answer.found.push_back(entry.endpoint());
  }
  return answer;
}

// Nothing at the deadline. Nobody can tell getaddrinfo() to stop, so it has a thread of its own,
// which is left behind if it takes too long and owns all that it uses.
std::optional<LookUp> look_up_until(SteadyTime deadline, const BaseUrl& url) {
  std::packaged_task<LookUp()> task([url] { return look_up(url); });
  std::future<LookUp> answer = task.get_future();
  std::thread(std::move(task)).detach();
  if (answer.wait_until(deadline) != std::future_status::ready) return std::nullopt;
  return answer.get();
}

// --- One exchange: each step is asynchronous for Beast, whose deadlines hold only then ---

class Caller {
 public:
  Caller(const BaseUrl& url, const Call& request, const CallLimits& limits)
      : url_(url), request_(request), limits_(limits) {}

  Result<Response> run();

 private:
  Result<Response> run_plain(const std::vector<tcp::endpoint>& addresses);
  Result<Response> run_secure(const std::vector<tcp::endpoint>& addresses);

  Result<void> connect(TcpStream& stream, const std::vector<tcp::endpoint>& addresses);
  Result<void> shake_hands(SecureStream& stream);
  template <typename Stream>
  Result<Response> exchange(Stream& stream);

  // Runs one step to its end, or to the deadline of its stream.
  template <typename Start>
  error_code finish(Start start) {
    error_code ended;
    start([&ended](error_code error, auto&&...) { ended = error; });
    io_.restart();
    io_.run();
    return ended;
  }

  beast::http::request<beast::http::string_body> wire_request() const;
  Error unfinished(const error_code& why) const;
  Error too_late() const {
    return unavailable(fmt::format("{} did not answer within {}", address_of(url_),
                                   app::short_text(Duration{limits_.time.count()})));
  }

  const BaseUrl& url_;
  const Call& request_;
  const CallLimits& limits_;
  const SteadyTime deadline_ = std::chrono::steady_clock::now() + limits_.time;
  asio::io_context io_;
};

Result<Response> Caller::run() {
  const std::optional<LookUp> host = look_up_until(deadline_, url_);
  if (!host) return too_late();
  if (host->failed || host->found.empty()) {
    return unavailable(fmt::format("{} cannot be reached: the host's name is not known ({})",
                                   address_of(url_), host->failed.message()));
  }
  return url_.tls ? run_secure(host->found) : run_plain(host->found);
}

Result<Response> Caller::run_plain(const std::vector<tcp::endpoint>& addresses) {
  TcpStream stream(io_);
  if (Result<void> connected = connect(stream, addresses); !connected) return connected.error();
  return exchange(stream);
}

Result<Response> Caller::run_secure(const std::vector<tcp::endpoint>& addresses) {
  asio::ssl::context context(asio::ssl::context::tls_client);
  error_code no_store;  // then no certificate is good
  context.set_default_verify_paths(no_store);
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  SecureStream stream(io_, context);
  Result<void> connected = connect(beast::get_lowest_layer(stream), addresses);
  if (connected) connected = shake_hands(stream);
  if (!connected) return connected.error();
  return exchange(stream);
}

Result<void> Caller::connect(TcpStream& stream, const std::vector<tcp::endpoint>& addresses) {
  error_code failed;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    // One that is silent leaves the others their share of the time.
    const SteadyTime now = std::chrono::steady_clock::now();
    stream.expires_at(now + (deadline_ - now) / static_cast<int>(addresses.size() - i));
    failed = finish([&](auto then) { stream.async_connect(addresses[i], std::move(then)); });
    if (!failed) break;
    stream.close();  // the next address may be of another family
  }
  if (failed == beast::error::timeout) return too_late();
  if (failed) {
    return unavailable(fmt::format("{} cannot be reached: {}", address_of(url_), failed.message()));
  }
  error_code ignored;
  stream.socket().set_option(tcp::no_delay(true), ignored);
  stream.expires_at(deadline_);
  return {};
}

Result<void> Caller::shake_hands(SecureStream& stream) {
  SSL* const ssl = stream.native_handle();
  const char* const host = url_.host.c_str();
  // The certificate has to name the address, or else the name, which the server is told too.
  const bool is_address = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
  const bool ready =
      is_address || (SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1);
  if (!ready) return unavailable(fmt::format("no TLS is possible with '{}'", url_.host));
  SSL_set_verify(ssl, SSL_VERIFY_PEER, nullptr);

  const error_code failed = finish(
      [&](auto then) { stream.async_handshake(asio::ssl::stream_base::client, std::move(then)); });
  if (!failed) return {};
  if (failed == beast::error::timeout) return too_late();
  const long verdict = SSL_get_verify_result(ssl);
  return unavailable(fmt::format(
      "no TLS with {}: {}", address_of(url_),
      verdict == X509_V_OK ? failed.message() : X509_verify_cert_error_string(verdict)));
}

template <typename Stream>
Result<Response> Caller::exchange(Stream& stream) {
  const auto request = wire_request();
  const error_code unsent =
      finish([&](auto then) { beast::http::async_write(stream, request, std::move(then)); });
  if (unsent == beast::error::timeout) return unfinished(unsent);

  // Even if not all of it could be sent: a server may refuse a request before it has read it.
  beast::flat_buffer buffer;
  beast::http::response_parser<beast::http::string_body> parser;
  parser.header_limit(static_cast<std::uint32_t>(limits_.header_bytes_max));
  parser.body_limit(limits_.body_bytes_max);
  const error_code failed =
      finish([&](auto then) { beast::http::async_read(stream, buffer, parser, std::move(then)); });
  if (failed) return unfinished(unsent && failed != beast::error::timeout ? unsent : failed);

  Response response;
  response.status = static_cast<int>(parser.get().result_int());
  for (const auto& field : parser.get()) {
    response.set(std::string(field.name_string()), std::string(field.value()));
  }
  response.body = std::move(parser.get().body());
  return response;
}

beast::http::request<beast::http::string_body> Caller::wire_request() const {
  using Name = beast::http::field;
  beast::http::request<beast::http::string_body> request;
  request.version(11);
  request.method_string(std::string(name_of(request_.method)));
  request.target(url_.prefix + request_.path);
  const bool usual_port = url_.port == (url_.tls ? 443 : 80);
  const std::string address = address_of(url_);
  request.set(Name::host, usual_port ? address.substr(0, address.rfind(':')) : address);
  request.set(Name::user_agent, fmt::format("jack/{}", version()));
  for (const Field& field : request_.headers) request.set(field.name, field.value);
  request.body() = request_.body;
  request.keep_alive(false);
  request.prepare_payload();
  return request;
}

// Once the request may have arrived.
Error Caller::unfinished(const error_code& why) const {
  using beast::http::error;
  const auto message = [&]() -> std::string {
    const std::string address = address_of(url_);
    if (why == beast::error::timeout) return too_late().message;
    if (why == error::end_of_stream) return address + " closed the connection without an answer";
    if (why == error::partial_message) return address + " broke off amid its answer";
    if (why == error::body_limit || why == error::header_limit) {
      return address + " gave an answer that is too large";
    }
    if (why.category() == beast::http::make_error_code(error::bad_version).category()) {
      return fmt::format("{} gave an answer that is not HTTP: {}", address, why.message());
    }
    return fmt::format("the connection to {} failed: {}", address, why.message());
  }();
  if (is_safe(request_.method)) return unavailable(message);
  return unavailable(message + "; it may have taken the request all the same");
}

}  // namespace

Result<Response> call(const BaseUrl& url, const Call& request, const CallLimits& limits) {
  try {
    return Caller(url, request, limits).run();
  } catch (const std::exception& error) {  // of Boost: no thread, no memory, no OpenSSL
    return unavailable(fmt::format("{} cannot be called: {}", address_of(url), error.what()));
  }
}

}  // namespace jack::http

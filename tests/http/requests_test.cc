// What is and what is not a request, at the socket: also all that could be smuggled past a proxy.
#include <string>

#include "tests/http/stage.h"

namespace jack::http {
namespace {

using test::Answer;
using test::RawClient;
using test::Stage;

struct BadRequest {
  const char* what;
  std::string bytes;
  int status = 400;
};

std::string post(const std::string& fields, const std::string& body = {}) {
  return "POST /echo HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body;
}

std::string chunked(const std::string& body) {
  return post("Transfer-Encoding: chunked\r\n", body);
}

// A second request is always there: it must not be answered.
const std::string kNext = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";

const std::vector<BadRequest>& bad_requests() {
  static const std::vector<BadRequest> all = {
      {"length and chunks",
       post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")},
      {"chunks and length",
       post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n")},
      {"two lengths", post("Content-Length: 1\r\nContent-Length: 2\r\n", "ab")},
      {"two equal lengths", post("Content-Length: 1\r\nContent-Length: 1\r\n", "a")},
      {"a list of lengths", post("Content-Length: 1, 1\r\n", "a")},
      {"a negative length", post("Content-Length: -1\r\n", "a")},
      {"a length with a plus", post("Content-Length: +1\r\n", "a")},
      {"a length with a space in it", post("Content-Length: 1 1\r\n", "a")},
      {"a hexadecimal length", post("Content-Length: 0x1\r\n", "a")},
      {"an empty length", post("Content-Length:\r\n", "a")},
      {"a length beyond 64 bits", post("Content-Length: 18446744073709551616\r\n", "a")},
      {"a huge length", post("Content-Length: 18446744073709551615\r\n", "a"), 413},
      {"another encoding", post("Transfer-Encoding: gzip\r\n", "a")},
      {"another encoding before chunked",
       post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")},
      {"another encoding after chunked", post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n")},
      {"identity", post("Transfer-Encoding: identity\r\n", "a")},
      {"chunked twice", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n")},
      {"two encodings",
       post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")},
      {"an encoding with a vertical tab", post("Transfer-Encoding: \x0b"
                                               "chunked\r\n",
                                               "0\r\n\r\n")},
      {"an empty encoding", post("Transfer-Encoding:\r\n", "0\r\n\r\n")},
      {"an encoding in quotes", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n")},
      {"chunks in HTTP/1.0", "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"bare LF after the first line", "GET /hello HTTP/1.1\nHost: a\r\n\r\n"},
      {"bare LF after a field", "GET /hello HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"},
      {"bare LF at the end of the header", "GET /hello HTTP/1.1\r\nHost: a\r\n\n"},
      {"bare CR in a value", "GET /hello HTTP/1.1\r\nHost: a\r\nX: b\rY: c\r\n\r\n"},
      {"bare CR in a target", "GET /he\rllo HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"a folded line", post("X: a\r\n b\r\n")},
      {"a folded line, by a tab", post("X: a\r\n\tb\r\n")},
      {"a space before the first field", "GET /hello HTTP/1.1\r\n Host: a\r\n\r\n"},
      {"a space before a colon", post("Content-Length : 1\r\n", "a")},
      {"a tab before a colon", post("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n")},
      {"no colon", post("Content-Length\r\n")},
      {"no name", post(": a\r\n")},
      {"a name that is no token", post("X(: a\r\n")},
      {"NUL in a name", post(std::string("X\0Y: a\r\n", 8))},
      {"NUL in a value", post(std::string("X: a\0b\r\n", 8))},
      {"DEL in a value", post("X: a\x7f\r\n")},
      {"no host", "GET /hello HTTP/1.1\r\n\r\n"},
      {"an empty host", "GET /hello HTTP/1.1\r\nHost:\r\n\r\n"},
      {"two hosts", "GET /hello HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
      {"a list of hosts", "GET /hello HTTP/1.1\r\nHost: a, b\r\n\r\n"},
      {"a host with a user", "GET /hello HTTP/1.1\r\nHost: u@a\r\n\r\n"},
      {"a host with a path", "GET /hello HTTP/1.1\r\nHost: a/b\r\n\r\n"},
      {"no size of a chunk", chunked("\r\n\r\n")},
      {"a chunk of a size that is no number", chunked("x\r\n\r\n")},
      {"a chunk of a negative size", chunked("-1\r\na\r\n0\r\n\r\n")},
      {"a chunk of a size with 0x", chunked("0x1\r\na\r\n0\r\n\r\n")},
      {"a chunk of a size with a space before it", chunked(" 1\r\na\r\n0\r\n\r\n")},
      {"a chunk of a size with text after it", chunked("1 a\r\na\r\n0\r\n\r\n")},
      {"a chunk of a size beyond 64 bits", chunked("10000000000000000\r\na\r\n0\r\n\r\n")},
      {"a chunk of a huge size", chunked("ffffffffffffffff\r\na\r\n0\r\n\r\n"), 413},
      {"a chunk that is longer than it says", chunked("1\r\nab\r\n0\r\n\r\n")},
      {"a chunk that is shorter than it says", chunked("3\r\na\r\n0\r\n\r\n")},
      {"a chunk's size with bare LF", chunked("1\na\r\n0\r\n\r\n")},
      {"a chunk's end with bare LF", chunked("1\r\na\n0\r\n\r\n")},
      {"a chunk's extension with CR", chunked("1;a\rb\r\na\r\n0\r\n\r\n")},
      {"a chunk's extension in quotes", chunked("1;a=\"b\"\r\na\r\n0\r\n\r\n")},
      {"a trailer that is none", chunked("0\r\nX\r\n\r\n")},
      {"a folded trailer", chunked("0\r\nX: a\r\n b\r\n\r\n")},
      {"a method that is none", "G@T /hello HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"no method", " /hello HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"an empty target", "GET  HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"two spaces before the target", "GET  /hello HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"two spaces after the target", "GET /hello  HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"a space after the version", "GET /hello HTTP/1.1 \r\nHost: a\r\n\r\n"},
      {"a tab instead of a space", "GET\t/hello\tHTTP/1.1\r\nHost: a\r\n\r\n"},
      {"no version", "GET /hello\r\nHost: a\r\n\r\n"},
      {"a version in lower case", "GET /hello http/1.1\r\nHost: a\r\n\r\n"},
      {"HTTP/2", "GET /hello HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"HTTP/0.9", "GET /hello HTTP/0.9\r\nHost: a\r\n\r\n", 505},
      {"HTTP/1.10", "GET /hello HTTP/1.10\r\nHost: a\r\n\r\n", 505},
      {"HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501},
      {"TRACE", "TRACE /hello HTTP/1.1\r\nHost: a\r\n\r\n", 501},
      {"a method in lower case", "get /hello HTTP/1.1\r\nHost: a\r\n\r\n", 501},
      {"a target with bytes above ASCII", "GET /h\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"a target with a fragment", "GET /hello#x HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"a target without a slash", "GET hello HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"a star", "GET * HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"a URL of another scheme", "GET ftp://a/hello HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"a URL without a host", "GET http:///hello HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"a URL with a user", "GET http://u@a/hello HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"a bad escape", "GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"NUL in a path", "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"a path that goes up", "GET /../hello HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"an expectation that is not known", post("Expect: 200-ok\r\n"), 417},
      {"two empty lines before the request", "\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"TLS", "\x16\x03\x01\x02"},
  };
  return all;
}

void check_refused(RawClient client, const BadRequest& bad) {
  CAPTURE(bad.what);
  const Answer answer = client.read();
  CHECK(answer.status == bad.status);
  CHECK(answer.has("Connection: close"));
  CHECK(answer.has("application/problem+json"));
  CHECK(client.closed());  // and what came after it was not answered
}

}  // namespace

TEST_CASE("what is ambiguous or malformed is refused, and ends the connection") {
  Stage stage;

  for (const BadRequest& bad : bad_requests()) {
    RawClient client = stage.client();
    client.send(bad.bytes + kNext);
    check_refused(std::move(client), bad);
  }

  CHECK(stage.counters().requests == 0);
  CHECK(stage.counters().malformed + stage.counters().too_large == bad_requests().size());
}

TEST_CASE("it is refused too when it comes byte for byte, after a good request") {
  Stage stage;

  for (const BadRequest& bad : bad_requests()) {
    RawClient client = stage.client();
    REQUIRE(client.ask(kNext).body == "hello");
    for (const char byte : bad.bytes + kNext) {
      if (!client.send({&byte, 1})) break;
    }
    check_refused(std::move(client), bad);
  }
}

TEST_CASE("the body of a request comes with a length or in chunks") {
  Stage stage;
  RawClient client = stage.client();

  CHECK(client.ask(post("Content-Length: 5\r\n", "a b c")).body == "a b c");
  CHECK(client.ask(post("content-LENGTH:005\t\r\n", "a b c")).body == "a b c");
  CHECK(client.ask(post("")).body.empty());
  CHECK(client.ask(post("Content-Length: 0\r\n")).body.empty());
  CHECK(client.ask(chunked("1\r\na\r\n00A\r\n0123456789\r\n0\r\n\r\n")).body == "a0123456789");
  CHECK(client.ask(post("Transfer-Encoding: CHUNKED\r\n", "0\r\n\r\n")).status == 200);
  CHECK(client.ask(chunked("1;x=y\r\na\r\n1 ; z\r\nb\r\n0;e\r\nX: y\r\nZ:\r\n\r\n")).body == "ab");
}

TEST_CASE("an empty line between requests is passed over") {
  Stage stage;
  RawClient client = stage.client();
  CHECK(client.ask(post("Content-Length: 1\r\n", "a") + "\r\n").body == "a");
  CHECK(client.ask(kNext).body == "hello");
}

TEST_CASE("a target may be a whole URL, whose host then counts") {
  std::string host;
  Stage stage([&](ServerOptions& options) {
    options.admit = [&](const Request& request) {
      host = request.host;
      return Admission{};
    };
  });
  RawClient client = stage.client();
  CHECK(client.ask("GET http://b:1/hello HTTP/1.1\r\nHost: a\r\n\r\n").body == "hello");
  CHECK(host == "b:1");
  CHECK(client.ask("GET HTTPS://c?x HTTP/1.1\r\nHost: a\r\n\r\n").status == 404);
  CHECK(host == "c");
  CHECK(client.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").status == 404);
  CHECK(host == "a");
}

}  // namespace jack::http

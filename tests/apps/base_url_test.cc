// Where an HTTP server is, as people write it.
#include "apps/http/base_url.h"

#include <string>

#include "tests/catch.hpp"

namespace jack::http {
namespace {

TEST_CASE("a URL has a host, and a port that may follow from its scheme") {
  const BaseUrl plain = parse_base_url("http://localhost:5000").value();
  CHECK(!plain.tls);
  CHECK(plain.host == "localhost");
  CHECK(plain.port == 5000);
  CHECK(plain.prefix.empty());

  const BaseUrl secure = parse_base_url("HTTPS://Jules.example.org").value();
  CHECK(secure.tls);
  CHECK(secure.host == "Jules.example.org");
  CHECK(secure.port == 443);
  CHECK(parse_base_url("http://a")->port == 80);
}

TEST_CASE("an IPv6 address stands in brackets and is shown in them") {
  const BaseUrl url = parse_base_url("http://[::1]:5000/").value();

  CHECK(url.host == "::1");
  CHECK(url.port == 5000);
  CHECK(address_of(url) == "[::1]:5000");
  CHECK(address_of(parse_base_url("https://[fe80::1]").value()) == "[fe80::1]:443");
  CHECK(address_of(parse_base_url("http://127.0.0.1").value()) == "127.0.0.1:80");
}

TEST_CASE("a path goes before all others, without slashes at its end") {
  CHECK(parse_base_url("http://a/")->prefix.empty());
  CHECK(parse_base_url("http://a//")->prefix.empty());
  CHECK(parse_base_url("http://a/jules")->prefix == "/jules");
  CHECK(parse_base_url("http://a:1/x/jules//")->prefix == "/x/jules");
  CHECK(parse_base_url("http://a/x%20y")->prefix == "/x%20y");
}

TEST_CASE("what is no URL of a server is refused") {
  const std::string text =
      GENERATE("", "nonsense", "localhost:5000", "ftp://a", "http:/a", "http://", "http:///x",
               "http://:80", "http://a:", "http://a:0", "http://a:65536", "http://a:99999",
               "http://a:-1", "http://a:5x", "http://[::1", "http://[]", "http://[::1]5000",
               "http://[a.b]x", "http://a b", "http://a/x y", "http://a/x\ny", "http://a?x=1",
               "http://a/?x=1", "http://a/#x", "http://ada:secret@a", "http://ä");
  CAPTURE(text);

  const Result<BaseUrl> url = parse_base_url(text);

  REQUIRE(!url);
  CHECK(url.error().code == Code::invalid_argument);
}

TEST_CASE("a password in a URL is not repeated") {
  const std::string message = parse_base_url("http://ada:secret@a").error().message;

  CHECK(message.find("secret") == std::string::npos);
}

TEST_CASE("a host is as long as a name can be") {
  CHECK(parse_base_url("http://" + std::string(253, 'a')));
  CHECK(!parse_base_url("http://" + std::string(254, 'a')));
}

TEST_CASE("a segment of a path is escaped so that it stays one") {
  CHECK(escaped_segment("0190d4c2-7b1e") == "0190d4c2-7b1e");
  CHECK(escaped_segment("../health?x#y%") == "..%2Fhealth%3Fx%23y%25");
  CHECK(escaped_segment("é\n") == "%C3%A9%0A");
  CHECK(escaped_segment("").empty());
}

}  // namespace
}  // namespace jack::http

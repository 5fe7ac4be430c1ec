// Where an HTTP server is, as somebody writes it: "http://localhost:5000".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <jack_engine/error.h>

namespace jack::http {

struct BaseUrl {
  bool tls = false;
  std::string host;  // an IPv6 address without its brackets
  std::uint16_t port = 80;
  std::string prefix;  // of all paths there, without a '/' at the end: "", "/jules"
};

// "http://HOST[:PORT][/PREFIX]", or https. A '/' at the end is the same as none. A name and
// password, a query or a fragment is refused: nobody would heed it. Errors: invalid_argument  the
// message is for people
Result<BaseUrl> parse_base_url(std::string_view text);

// "localhost:5000", "[::1]:5000"
std::string address_of(const BaseUrl& url);

// For one segment of a path: what could be read as anything else becomes "%2F".
std::string escaped_segment(std::string_view text);

}  // namespace jack::http

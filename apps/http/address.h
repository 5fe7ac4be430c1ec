// Where a server listens, as text: "127.0.0.1:5000", "[::1]:0".
#pragma once

#include <cstdint>
#include <string>

#include <boost/asio/ip/address.hpp>

#include <jack_engine/error.h>

namespace jack::http {

struct Address {
  boost::asio::ip::address ip;
  std::uint16_t port = 0;  // 0: one that is free
};

// Numbers, not a name; IPv6 in brackets; with a port.
// Errors: invalid_argument
Result<Address> parse_address(const std::string& text);

// Whether it is one, and reached from this host alone.
bool is_loopback(const std::string& text);

}  // namespace jack::http

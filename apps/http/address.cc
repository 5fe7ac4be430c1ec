#include "apps/http/address.h"

#include <charconv>

namespace jack::http {

Result<Address> parse_address(const std::string& text) {
  const Error wrong{Code::invalid_argument,
                    "'" + text + "' is not an address such as 127.0.0.1:5000 or [::1]:5000"};
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return wrong;
  std::string host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  boost::system::error_code error;
  Address address;
  address.ip = boost::asio::ip::make_address(host, error);
  if (error || address.ip.is_v6() != bracketed) return wrong;
  const char* const end = text.data() + text.size();
  const auto [stop, bad] = std::from_chars(text.data() + colon + 1, end, address.port);
  if (bad != std::errc() || stop != end) return wrong;
  return address;
}

bool is_loopback(const std::string& text) {
  const Result<Address> address = parse_address(text);
  return address && address->ip.is_loopback();
}

}  // namespace jack::http

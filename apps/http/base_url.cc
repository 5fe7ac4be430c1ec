#include "apps/http/base_url.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "apps/http/message.h"

namespace jack::http {
namespace {

constexpr std::size_t kHostBytesMax = 253;  // of a name in the DNS

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_host_name(std::string_view text, std::string_view signs) {
  const auto belongs = [signs](char c) {
    return is_letter_or_digit(c) || signs.find(c) != signs.npos;
  };
  return !text.empty() && text.size() <= kHostBytesMax && std::ranges::all_of(text, belongs);
}

// What stands in a path as it is. Escapes are left to whoever wrote them.
bool is_path(std::string_view text) {
  return std::ranges::all_of(text,
                             [](char c) { return c > ' ' && c < '\x7f' && c != '?' && c != '#'; });
}

std::optional<std::uint16_t> port_of(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (failed != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

bool takes(std::string_view& text, std::string_view start) {
  if (!same_name(text.substr(0, start.size()), start)) return false;
  text.remove_prefix(start.size());
  return true;
}

// "HOST", "HOST:PORT", "[ADDRESS]", "[ADDRESS]:PORT"
bool take_authority(std::string_view text, BaseUrl& url) {
  const bool bracketed = text.starts_with('[');
  const std::size_t end = bracketed ? text.find(']') : std::min(text.find(':'), text.size());
  if (end == text.npos) return false;
  const std::string_view host = bracketed ? text.substr(1, end - 1) : text.substr(0, end);
  if (!is_host_name(host, bracketed ? ":." : "-._")) return false;
  url.host = host;
  text.remove_prefix(end + (bracketed ? 1 : 0));
  if (text.empty()) return true;
  const std::optional<std::uint16_t> port =
      text.front() == ':' ? port_of(text.substr(1)) : std::nullopt;
  if (port) url.port = *port;
  return port.has_value();
}

}  // namespace

Result<BaseUrl> parse_base_url(std::string_view text) {
  if (text.find('@') != text.npos) {  // what is before it is not to be repeated
    return Error{Code::invalid_argument, "a URL with a name or password is not taken"};
  }
  const Error wrong{Code::invalid_argument,
                    fmt::format("'{}' is no URL like http://localhost:5000", text)};
  std::string_view rest = text;
  BaseUrl url;
  url.tls = takes(rest, "https://");
  if (!url.tls && !takes(rest, "http://")) return wrong;
  url.port = url.tls ? 443 : 80;
  const std::size_t path = std::min(rest.find('/'), rest.size());
  if (!take_authority(rest.substr(0, path), url) || !is_path(rest.substr(path))) return wrong;
  url.prefix = rest.substr(path);
  while (url.prefix.ends_with('/')) url.prefix.pop_back();
  return url;
}

std::string address_of(const BaseUrl& url) {
  const bool is_v6 = url.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", is_v6 ? "[" : "", url.host, is_v6 ? "]" : "", url.port);
}

std::string escaped_segment(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (is_letter_or_digit(c) || c == '-' || c == '_' || c == '.' || c == '~') {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
  }
  return out;
}

}  // namespace jack::http

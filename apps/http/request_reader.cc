#include "apps/http/request_reader.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "apps/http/target.h"

namespace jack::http {
namespace {

// Of the request line: a method that we know, two spaces, the version.
constexpr std::size_t kRequestLineRest = 32;

// tchar of RFC 9110, 5.6.2.
constexpr std::array<bool, 256> token_table() {
  std::array<bool, 256> table{};
  for (char c = '0'; c <= '9'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'a'; c <= 'z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'A'; c <= 'Z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}
constexpr std::array<bool, 256> kToken = token_table();

bool is_token_char(char c) { return kToken[static_cast<unsigned char>(c)]; }

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Of a field's value: all but control characters, of which the tab is allowed.
bool is_value_char(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
}

// Of a chunk's extension.
bool is_extension_char(char c) {
  return is_token_char(c) || std::string_view(";= \t").find(c) != std::string_view::npos;
}

bool is_target_char(char c) { return c > ' ' && c < 0x7f && c != '#'; }

bool is_host_char(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("-._~:[]%").find(c) != std::string_view::npos;
}

bool is_host(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_host_char);
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// All of `text`; none if it is anything else, or beyond 64 bits.
std::optional<std::uint64_t> number(std::string_view text, int base) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, base);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

bool lists(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (same_name(trimmed(list.substr(0, comma)), token)) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

}  // namespace

std::size_t RequestReader::feed(std::string_view bytes) {
  const std::size_t given = bytes.size();
  const Stage before = stage_;
  if (before == Stage::complete || before == Stage::refused) return 0;
  if (!started_ && !bytes.empty()) {
    started_ = true;
    if (!is_token_char(bytes.front()) && bytes.front() != '\r') {
      refuse(400, Code::invalid_argument, "this is not HTTP/1.1; does it have to be without TLS?");
    }
  }
  while (stage_ == before && !bytes.empty()) {
    if (take_body(bytes)) continue;
    const std::optional<std::string_view> line = take_line(bytes);
    if (line) on_line(*line);
    if (line) line_.clear();
  }
  return given - bytes.size();
}

Request RequestReader::take() {
  Request request = std::move(request_);
  *this = RequestReader(*limits_);
  return request;
}

// Whether bytes of the body (or of a chunk) were expected and taken.
bool RequestReader::take_body(std::string_view& bytes) {
  if (stage_ != Stage::body || body_left_ == 0) return false;
  const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), body_left_));
  request_.body.append(bytes.substr(0, taken));
  bytes.remove_prefix(taken);
  body_left_ -= taken;
  if (body_left_ > 0) return true;
  if (chunked_) {
    expected_ = Line::chunk_end;
  } else {
    stage_ = Stage::complete;
  }
  return true;
}

// The next line without its end, valid until line_ changes. None: it is not all there, or wrong.
std::optional<std::string_view> RequestReader::take_line(std::string_view& bytes) {
  const std::size_t end = bytes.find('\n');
  const std::size_t taken = end == std::string_view::npos ? bytes.size() : end + 1;
  // With room for the line's end, and for the 16 digits of a chunk's size, which do not count.
  const std::size_t room = expected_ == Line::request
                               ? limits_->target_bytes_max + kRequestLineRest
                               : limits_->header_bytes_max - header_bytes_ + 18;
  if (line_.size() + taken > room) {
    const bool in_target = expected_ == Line::request;
    refuse(in_target ? 414 : 431, Code::invalid_argument,
           in_target ? "the request's target is too long" : "the request's header is too large");
    return std::nullopt;
  }
  std::string_view line = bytes.substr(0, taken);
  bytes.remove_prefix(taken);
  if (end == std::string_view::npos || !line_.empty()) {
    line_.append(line);
    line = line_;
  }
  if (end == std::string_view::npos) return std::nullopt;
  line.remove_suffix(1);
  if (!line.ends_with('\r')) {
    refuse(400, Code::invalid_argument, "a line does not end in CR LF");
    return std::nullopt;
  }
  line.remove_suffix(1);
  return line;
}

void RequestReader::on_line(std::string_view line) {
  switch (expected_) {
    case Line::request: on_request_line(line); break;
    case Line::field:
      if (line.empty()) {
        on_header_end();
      } else {
        on_field(line);
      }
      break;
    case Line::chunk_size: on_chunk_size(line); break;
    case Line::chunk_end:
      if (!line.empty()) {
        refuse(400, Code::invalid_argument, "a chunk is longer than its size says");
      }
      expected_ = Line::chunk_size;
      break;
    case Line::trailer:
      if (line.empty()) {
        stage_ = Stage::complete;
      } else {
        on_field(line);
      }
      break;
  }
}

void RequestReader::on_request_line(std::string_view line) {
  if (line.empty() && !skipped_line_) {  // RFC 9112, 2.2: some clients end a body with one
    skipped_line_ = true;
    return;
  }
  const std::size_t first = std::min(line.find(' '), line.size());
  const std::size_t last = line.rfind(' ');
  const std::string_view method = line.substr(0, first);
  const std::string_view version = line.substr(last == std::string_view::npos ? 0 : last + 1);
  if (!is_token(method) || first >= last || !version.starts_with("HTTP/")) {
    refuse(400, Code::invalid_argument, "the first line is not METHOD TARGET HTTP/1.1");
    return;
  }
  http_1_0_ = version == "HTTP/1.0";
  if (!http_1_0_ && version != "HTTP/1.1") {
    refuse(505, Code::unsupported, "only HTTP/1.0 and HTTP/1.1 are served here");
    return;
  }
  keeps_alive_ = !http_1_0_;
  const std::optional<Method> known = method_named(method);
  if (!known) {
    refuse(501, Code::unsupported, "this server does not know the request's method");
    return;
  }
  request_.method = *known;
  expected_ = Line::field;
  on_target(line.substr(first + 1, last - first - 1));
}

void RequestReader::on_target(std::string_view target) {
  if (target.size() > limits_->target_bytes_max) {
    refuse(414, Code::invalid_argument, "the request's target is too long");
    return;
  }
  if (!std::all_of(target.begin(), target.end(), is_target_char)) {
    refuse(400, Code::invalid_argument,
           "the request's target has a character that must be escaped");
    return;
  }
  if (target == "*" && request_.method == Method::options) {
    request_.target = target;
    return;
  }
  if (const std::size_t scheme = target.find("://"); !target.starts_with('/')) {
    const std::string_view name = target.substr(0, scheme);
    if (scheme == std::string_view::npos ||
        (!same_name(name, "http") && !same_name(name, "https"))) {
      refuse(400, Code::invalid_argument, "the request's target is neither a path nor a URL");
      return;
    }
    target.remove_prefix(scheme + 3);
    const std::size_t host_end = std::min(target.find_first_of("/?"), target.size());
    request_.host = target.substr(0, host_end);
    host_in_target_ = true;
    target.remove_prefix(host_end);
    if (!is_host(request_.host)) {
      refuse(400, Code::invalid_argument, "the request's target has no proper host");
      return;
    }
  }
  request_.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
  std::optional<Target> parsed = parse_target(request_.target);
  if (!parsed) {
    refuse(400, Code::invalid_argument, "the request's target is not properly escaped UTF-8");
    return;
  }
  request_.segments = std::move(parsed->segments);
  request_.query = std::move(parsed->query);
}

void RequestReader::on_field(std::string_view line) {
  if (!count(line.size() + 2)) return;
  if (++fields_ > limits_->header_fields_max) {
    refuse(431, Code::invalid_argument, "the request's header has too many fields");
    return;
  }
  const std::size_t colon = std::min(line.find(':'), line.size());
  const std::string_view name = line.substr(0, colon);
  // Also what begins with a space, the continuation of a folded line, and a space before the colon.
  if (!is_token(name) || colon == line.size()) {
    refuse(400, Code::invalid_argument, "a line of the header is not NAME: VALUE");
    return;
  }
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (!std::all_of(value.begin(), value.end(), is_value_char)) {
    refuse(400, Code::invalid_argument, "a field of the header has a control character in it");
    return;
  }
  if (expected_ == Line::trailer) return;  // nobody reads them
  const Field& field = request_.headers.emplace_back(Field{lower_case(name), std::string(value)});
  on_framing_field(field);
}

// What decides where this request ends and the next one begins.
void RequestReader::on_framing_field(const Field& field) {
  if (field.name == "host") {
    if (std::exchange(has_host_, true) || !is_host(field.value)) {
      refuse(400, Code::invalid_argument, "Host has to be there once, with a proper name");
    }
    if (!host_in_target_) request_.host = field.value;
  } else if (field.name == "content-length") {
    const bool again = content_length_.has_value();
    content_length_ = number(field.value, 10);
    if (again || !content_length_) {
      refuse(400, Code::invalid_argument, "Content-Length has to be there once, with one number");
    }
  } else if (field.name == "transfer-encoding") {
    if (std::exchange(chunked_, true) || !same_name(field.value, "chunked")) {
      refuse(400, Code::invalid_argument, "the only Transfer-Encoding served here is chunked");
    }
  } else if (field.name == "connection") {
    closes_ = closes_ || lists(field.value, "close");
    keeps_alive_ = !closes_ && (keeps_alive_ || lists(field.value, "keep-alive"));
  } else if (field.name == "expect") {
    expects_continue_ = !http_1_0_;
    if (!same_name(field.value, "100-continue")) {
      refuse(417, Code::unsupported, "the only expectation served here is 100-continue");
    }
  }
}

void RequestReader::on_header_end() {
  if (!has_host_ && !http_1_0_) {
    refuse(400, Code::invalid_argument, "a request in HTTP/1.1 needs a Host");
  } else if (chunked_ && (content_length_ || http_1_0_)) {
    refuse(400, Code::invalid_argument, "the length of the request's body is ambiguous");
  } else if (content_length_.value_or(0) > limits_->body_bytes_max) {
    refuse(413, Code::payload_too_large, "the request's body is too large");
  } else {
    body_left_ = content_length_.value_or(0);
    expected_ = Line::chunk_size;
    stage_ = chunked_ || body_left_ > 0 ? Stage::body : Stage::complete;
  }
}

// What follows the digits is an extension, which nobody reads. Values in quotes, which hardly
// anybody sends, are refused: parsers disagree on whether a line can end within quotes.
void RequestReader::on_chunk_size(std::string_view line) {
  const std::size_t digits =
      std::min(line.find_first_not_of("0123456789abcdefABCDEF"), line.size());
  const std::optional<std::uint64_t> size =
      digits <= 16 ? number(line.substr(0, digits), 16) : std::nullopt;
  const std::string_view extension = line.substr(digits);
  if (!size || (!extension.empty() && !trimmed(extension).starts_with(';')) ||
      !std::all_of(extension.begin(), extension.end(), is_extension_char)) {
    refuse(400, Code::invalid_argument, "the size of a chunk is not a hexadecimal number");
    return;
  }
  if (!count(extension.size())) return;
  if (*size > limits_->body_bytes_max - request_.body.size()) {
    refuse(413, Code::payload_too_large, "the request's body is too large");
    return;
  }
  body_left_ = *size;
  if (*size == 0) expected_ = Line::trailer;
}

bool RequestReader::count(std::size_t header_bytes) {
  header_bytes_ += header_bytes;
  if (header_bytes_ <= limits_->header_bytes_max) return true;
  refuse(431, Code::invalid_argument, "the request's header is too large");
  return false;
}

void RequestReader::refuse(int status, Code code, std::string_view why) {
  if (stage_ == Stage::refused) return;  // the first reason counts
  stage_ = Stage::refused;
  refusal_ = {status, {code, std::string(why)}};
}

}  // namespace jack::http

// What clients send over HTTP, of whom nothing is known. The first byte says in pieces of which
// size the rest comes: that must not matter. What is accepted is a request to Beast's parser as
// well, with the same body, so that a proxy and this server do not disagree.
#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "apps/http/request_reader.h"
#include "tests/fuzz/target.h"

namespace jack {
namespace {

using http::HttpLimits;
using http::RequestReader;

constexpr std::size_t kBodyBytesMax = 4096;

HttpLimits small_limits() {
  HttpLimits limits;
  limits.target_bytes_max = 256;
  limits.header_bytes_max = 1024;
  limits.header_fields_max = 16;
  limits.body_bytes_max = kBodyBytesMax;
  return limits;
}
const HttpLimits kLimits = small_limits();

struct Seen {
  std::vector<std::string> requests;  // a text for each
  std::vector<std::string> bodies;
  std::vector<std::size_t> ends;  // where in the bytes
  int refused = 0;

  friend bool operator==(const Seen&, const Seen&) = default;
};

std::string text_of(const http::Request& request) {
  std::string text = std::string(name_of(request.method)) + ' ' + request.target;
  for (const std::string& segment : request.segments) text += '\n' + segment;
  for (const http::Field& field : request.query) text += '\n' + field.name + '=' + field.value;
  for (const http::Field& field : request.headers) text += '\n' + field.name + ':' + field.value;
  return text + '\n' + request.host + '\n' + request.body;
}

Seen read_in_pieces(std::string_view bytes, std::size_t piece) {
  RequestReader reader(kLimits);
  Seen seen;
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::string_view offered = bytes.substr(at, piece);
    const std::size_t taken = reader.feed(offered);
    JACK_ASSERT(taken <= offered.size());
    at += taken;
    JACK_ASSERT(reader.request().body.size() <= kBodyBytesMax);
    JACK_ASSERT(reader.request().headers.size() <= kLimits.header_fields_max);
    if (reader.stage() == RequestReader::Stage::refused) {
      seen.refused = reader.refusal().status;
      return seen;
    }
    if (reader.stage() == RequestReader::Stage::complete) {
      const http::Request request = reader.take();
      seen.requests.push_back(text_of(request));
      seen.bodies.push_back(request.body);
      seen.ends.push_back(at);
    } else {
      JACK_ASSERT(taken > 0);
    }
  }
  return seen;
}

// Beast limits what it reads at once, and knows no empty lines before a request.
void check_with_beast(std::string_view request, const std::string& body) {
  namespace beast = boost::beast;
  if (request.starts_with("\r\n")) request.remove_prefix(2);
  beast::http::request_parser<beast::http::string_body> parser;
  parser.eager(true);
  parser.header_limit(8192);
  parser.body_limit(kBodyBytesMax);
  beast::error_code error;
  std::size_t taken = 0;
  while (!error && !parser.is_done() && taken < request.size()) {
    taken += parser.put(boost::asio::buffer(request.data() + taken, request.size() - taken), error);
  }
  // It looks closer at what decides nothing here: lists, extensions and trailers.
  JACK_ASSERT(error != beast::http::error::need_more);
  if (error) return;
  JACK_ASSERT(parser.is_done());
  JACK_ASSERT(taken == request.size());
  JACK_ASSERT(parser.get().body() == body);
}

}  // namespace

void fuzz(std::string_view bytes) {
  if (bytes.empty()) return;
  const std::size_t piece = static_cast<unsigned char>(bytes.front()) % 64 + 1;
  bytes.remove_prefix(1);
  const Seen seen = read_in_pieces(bytes, bytes.size() + 1);
  JACK_ASSERT(seen == read_in_pieces(bytes, piece));
  std::size_t start = 0;
  for (std::size_t i = 0; i < seen.ends.size(); ++i) {
    check_with_beast(bytes.substr(start, seen.ends[i] - start), seen.bodies[i]);
    start = seen.ends[i];
  }
}

}  // namespace jack

// Bytes of a client as requests: HTTP/1.0 and HTTP/1.1 (RFC 9112), read strictly.
//
// Written by hand instead of with Beast's parser, because that accepts much with which a request
// can be smuggled past a proxy: folded lines, repeated and listed Content-Length, any
// Transfer-Encoding (one that is not chunked means "no body"). All of that would have to be looked
// at once more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <jack_engine/error.h>

#include "apps/http/limits.h"
#include "apps/http/message.h"

namespace jack::http {

// Why a request is not served. The connection cannot be used after it: where the next request
// begins is not known.
struct Refusal {
  int status = 400;
  Error error;
};

// Pure: no socket, no clock. Not thread-safe.
class RequestReader {
 public:
  enum class Stage : std::uint8_t { header, body, complete, refused };

  // `limits` must outlive it.
  explicit RequestReader(const HttpLimits& limits) : limits_(&limits) {}

  // Takes the next bytes and says how many. Stops where the header ends (stage body or complete,
  // request() has all but the body), where the request ends, and where it is refused; else takes
  // all.
  std::size_t feed(std::string_view bytes);

  Stage stage() const { return stage_; }
  bool started() const { return started_; }  // a byte of the request has come

  Request& request() { return request_; }
  const Refusal& refusal() const { return refusal_; }

  // From the end of the header on. Of a refused request: whatever had been read by then.
  bool http_1_0() const { return http_1_0_; }
  bool keeps_alive() const { return keeps_alive_; }
  bool expects_continue() const { return expects_continue_; }

  // The complete request; the next one can be fed.
  Request take();

 private:
  enum class Line : std::uint8_t { request, field, chunk_size, chunk_end, trailer };

  std::optional<std::string_view> take_line(std::string_view& bytes);
  bool take_body(std::string_view& bytes);
  void on_line(std::string_view line);
  void on_request_line(std::string_view line);
  void on_target(std::string_view target);
  void on_field(std::string_view line);
  void on_framing_field(const Field& field);
  void on_header_end();
  void on_chunk_size(std::string_view line);
  bool count(std::size_t header_bytes);
  void refuse(int status, Code code, std::string_view why);

  const HttpLimits* limits_;
  Stage stage_ = Stage::header;
  Line expected_ = Line::request;
  bool started_ = false;
  bool http_1_0_ = false;
  bool keeps_alive_ = false;
  bool expects_continue_ = false;
  bool chunked_ = false;
  bool has_host_ = false;
  bool host_in_target_ = false;
  bool closes_ = false;        // Connection: close
  bool skipped_line_ = false;  // an empty one before the request
  std::optional<std::uint64_t> content_length_;
  std::uint64_t body_left_ = 0;  // of the body, or of the chunk
  std::size_t header_bytes_ = 0;
  std::size_t fields_ = 0;
  std::string line_;  // the part of a line that has come
  Request request_;
  Refusal refusal_;
};

}  // namespace jack::http

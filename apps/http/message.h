// Requests and answers as values, and the handle through which an answer is given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jack::http {

// All others are answered 501.
enum class Method : std::uint8_t { get, head, post, put, patch, del, options };

std::string_view name_of(Method method);                    // "GET"
std::optional<Method> method_named(std::string_view name);  // exact: methods have a case

// Whether a request by this method is meant to change nothing.
inline bool is_safe(Method method) {
  return method == Method::get || method == Method::head || method == Method::options;
}

// A header field, a parameter of a query or of a path.
struct Field {
  std::string name;
  std::string value;

  friend bool operator==(const Field&, const Field&) = default;
};

// "Content-Type" is "content-type".
bool same_name(std::string_view a, std::string_view b);

struct Request {
  Method method = Method::get;
  std::string target;                 // as sent, without scheme and host: "/v1/tasks?limit=2"
  std::vector<std::string> segments;  // of the path, decoded: "/a%2Fb/" is {"a/b", ""}
  std::vector<Field> query;           // decoded, in order; a name may be there twice
  std::vector<Field> parameters;      // of the route's pattern, decoded; the router sets them
  std::vector<Field> headers;         // in order, names in lower case
  std::string host;                   // with the port, as sent; empty in HTTP/1.0 without one
  std::string body;
  std::string peer;       // the client's address, without its port
  std::string principal;  // whoever Admission said it is
  bool peer_is_loopback = false;
  bool came_to_loopback = false;  // by the address that the server listens at
  bool tls = false;

  // The first one of that name; names of headers in any case. nullptr: there is none.
  const std::string* header(std::string_view name) const;
  const std::string* query_value(std::string_view name) const;

  // Of the route's pattern, in which `name` must be: parameter("id") of "/v1/tasks/{id}".
  const std::string& parameter(std::string_view name) const;
  bool has_parameter(std::string_view name) const;
};

// Content-Length, Transfer-Encoding, Connection and Date are set when it is sent, and so are
// `Cache-Control: no-store` (unless there is another) and `X-Content-Type-Options: nosniff`.
struct Response {
  int status = 200;
  std::vector<Field> headers;
  std::string body;

  Response& set(std::string name, std::string value);
};

// How much of a streamed answer's next part was taken: all or nothing.
enum class Written : std::uint8_t {
  taken,
  full,  // more than HttpLimits::stream_bytes_max wait for the client; on_drained() tells when not
  gone,  // the client has left, or the answer has ended
};

class Exchange;

// Answers one request: send(), or begin(), write()... and end(). Copies stand for the same answer.
// When the last of them goes before the answer is complete, the client gets a 500 or, where the
// answer has begun, a broken connection.
//
// To be used and destroyed on the server's thread: Server::post(). Safe when the connection has
// gone; what is sent then goes nowhere. The callbacks are called on that thread, at most once each
// (on_drained(): once for each `full`), and are forgotten when the answer is complete.
class Responder {
 public:
  explicit Responder(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}

  void send(Response response);

  // Starts an answer of unknown length; `head.body` is its first part.
  void begin(Response head);
  // What is written in one turn of the thread goes out together. A part that is larger than the
  // limit is taken when nothing else waits.
  Written write(std::string_view bytes);
  // `last`: a last part, taken however much waits.
  void end(std::string_view last = {});
  // Breaks the answer off, so that the client sees that it is not whole.
  void cut();

  // Whether somebody still waits for (more of) this answer.
  bool wanted() const;

  // The client has left before its answer was complete. A client that closes only its sending side
  // counts as gone too, if this is set; else it still gets its answer.
  void on_closed(std::function<void()> act);
  // After Written::full: half of the limit is free again.
  void on_drained(std::function<void()> act);
  // The answer is complete, or the client has left: what was done for it is over.
  void on_answered(std::function<void()> act);
  // The server is about to stop; answer now, or be cut at the end of the grace.
  void on_stopping(std::function<void()> act);

 private:
  std::shared_ptr<Exchange> exchange_;
};

using Handler = std::function<void(Request, Responder)>;

// What is decided when the header of a request is there, before its body is read.
struct Admission {
  std::optional<Response> answer;  // given instead of the handler's: a refusal, or a preflight's
  std::string principal;           // who asks, as the handler is to see it in Request::principal
  std::vector<Field> headers;      // added to the answer, whoever gives it
};

}  // namespace jack::http

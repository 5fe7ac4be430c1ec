// One connection: reads requests, has each answered before it looks at the next one.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "apps/http/byte_stream.h"
#include "apps/http/message.h"
#include "apps/http/request_reader.h"
#include "apps/http/server.h"

namespace jack::http {

class Connection;
class Exchange;

// What is known of a connection by where it came in.
struct Entrance {
  bool tls = false;
  bool is_loopback = false;
};

inline constexpr std::size_t kInputBytes = 64 * 1024;

// ServerCounters, counted by the server's thread and read by any.
struct Counts {
  using Count = std::atomic<std::uint64_t>;
  Count connections = 0;
  Count connections_total = 0;
  Count requests = 0;
  Count not_admitted = 0;
  Count malformed = 0;
  Count too_large = 0;
  Count too_slow = 0;
  Count too_many_connections = 0;
  Count too_many_bodies = 0;
  Count stalled = 0;
  Count tls_failures = 0;

  // Cheaper than an atomic increment, because one thread counts.
  static void add(Count& count) {
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
};

// What the connections of a server have in common.
struct Common {
  Common(boost::asio::io_context& context, const ServerOptions& server_options)
      : io(context), options(server_options) {}

  void add(std::shared_ptr<Connection> connection);
  void remove(Connection& connection);
  void log(LogLevel level, std::string_view message) const;

  boost::asio::io_context& io;
  const ServerOptions& options;
  Counts counts;
  std::vector<std::shared_ptr<Connection>> connections;
  std::size_t turned_away = 0;   // of these, only to be told that there are too many
  std::size_t bodies_bytes = 0;  // of bodies that are still arriving
  bool stopping = false;
  std::thread::id thread;          // the server's
  std::function<void()> on_empty;  // the last connection has gone

  // Used from one moment to the next, so that a connection needs none of its own.
  std::array<char, kInputBytes> input;
  std::string head;

  std::string_view date();  // "Mon, 23 Nov 2026 00:48:50 GMT", now

 private:
  std::time_t dated_ = 0;
  std::string date_;
};

// Empties it, and gives its memory back where that is much.
void release(std::string& buffer);

// Of the server's thread. Lives as long as Common or a pending operation holds it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Connection(Common& common, std::unique_ptr<ByteStream> stream, Entrance entrance);
  ~Connection();

  void start();
  void turn_away();  // says 503 and closes
  void on_time(Time now);
  void stop_gently();  // closes now, if it is idle, else after the answer
  void cut();          // closes now

  // For the Responder.
  void send(Response response);
  void begin(Response head);
  Written write(std::string_view bytes);
  void end(std::string_view last);
  void abandoned();
  void on_peer_ended();  // cuts, if the client has gone and somebody wants to know
  bool wanted() const { return phase_ == Phase::handling || phase_ == Phase::streaming; }

  Common& common() { return common_; }
  bool turned_away() const { return turned_away_; }

  std::size_t place = 0;  // in Common::connections

 private:
  enum class Phase : std::uint8_t {
    handshake,
    receiving,  // idle, if nothing of the request has come
    handling,   // nothing of the answer is there
    streaming,  // part of the answer is there
    finishing,  // all of the answer is there, some of it unsent
    lingering,  // we have closed our sending side, the client has not
    closed,
  };

  void wait_readable();
  void wait_writable();
  void on_readable();
  void on_writable();
  void wait_for(const Step& step);

  void shake_hands();
  void proceed();
  bool take_input();
  std::string_view read_input();
  void drop_ahead();
  void on_stage();
  void on_refusal();
  void refuse(Response response);
  bool admit();
  void check_body();
  void forget_body();
  void handle();
  void read_ahead();

  void answer(Response response);
  void make_head(const Response& response, bool streamed);
  void put(std::string_view head, std::string body);
  void append(std::string_view bytes);
  void append_chunk(std::string_view bytes);
  void flush_soon();
  void flush();
  void on_progress();
  void finish();
  void linger();
  void discard();
  void close();
  std::function<void()> end_exchange();

  std::chrono::steady_clock::duration time_limit() const;
  std::size_t unsent() const { return output_.size() - output_sent_; }

  Common& common_;
  const std::unique_ptr<ByteStream> stream_;
  const Entrance entrance_;
  const std::string peer_;
  const bool peer_is_loopback_;

  Phase phase_ = Phase::handshake;
  bool waits_readable_ = false;  // an operation is pending
  bool waits_writable_ = false;
  bool readable_ = false;  // read before waiting
  bool peer_ended_ = false;
  bool proceeding_ = false;
  bool flush_posted_ = false;
  bool turned_away_ = false;

  // Of the request that is being received or answered.
  bool admitted_ = false;
  bool keeps_alive_ = false;
  bool http_1_0_ = false;
  bool head_only_ = false;
  bool wants_drained_ = false;
  std::vector<Field> extra_headers_;
  Exchange* exchange_ = nullptr;

  Time since_;                  // the present wait of this phase began
  Time moved_;                  // output was last taken
  std::size_t body_bytes_ = 0;  // counted in Common::bodies_bytes
  std::string ahead_;           // what came and is not read yet
  std::size_t ahead_taken_ = 0;
  std::string output_;
  std::size_t output_sent_ = 0;
  RequestReader reader_;
};

}  // namespace jack::http

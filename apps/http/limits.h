// What bounds the HTTP server: bytes, counts and times, each with what happens beyond it.
#pragma once

#include <chrono>
#include <cstddef>

namespace jack::http {

// Times are kept to a sixteenth of the shortest of them, and to a quarter of a second at best.
struct HttpLimits {
  // Of one request. Chunk extensions and trailers, which nobody reads, count as header.
  std::size_t target_bytes_max = 8 * 1024;               // beyond: 414
  std::size_t header_bytes_max = 16 * 1024;              // the lines with their ends; beyond: 431
  std::size_t header_fields_max = 64;                    // beyond: 431
  std::size_t body_bytes_max = 8 * 1024 * 1024 + 65536;  // beyond: 413, before it is read

  // Of all requests whose body is still arriving, together; beyond: 503 for the one that grows.
  std::size_t bodies_bytes_max = 256 * 1024 * 1024;

  // Of the part of a streamed answer that its reader has not taken yet; beyond: Written::full.
  std::size_t stream_bytes_max = 256 * 1024;

  // Of an answer's bytes that lie in the kernel and for which the client has no room yet; beyond:
  // they wait here. Without it the kernel takes some 4 MiB for each client that does not read.
  std::size_t kernel_bytes_max = 128 * 1024;

  // Of the bytes that arrive while a request is handled; beyond: they stay in the kernel, and that
  // the client leaves is noticed later.
  std::size_t ahead_bytes_max = 16 * 1024;

  // Beyond: a connection is accepted, told 503 and closed, so that its client knows and waits. Of
  // those 64 at a time; beyond that, and with TLS, it is closed without a word.
  std::size_t connections_max = 16384;

  std::chrono::milliseconds header_time{10'000};   // first byte to end of header, TLS too; 408
  std::chrono::milliseconds request_time{60'000};  // first byte to end of body; beyond: 408
  std::chrono::milliseconds idle_time{75'000};     // between two requests; beyond: closed
  std::chrono::milliseconds write_stall{30'000};   // none of an answer taken; beyond: cut
  std::chrono::milliseconds linger{2'000};         // for a client to close after our last byte
};

}  // namespace jack::http

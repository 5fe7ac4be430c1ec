// One request to an HTTP server and its answer, with or without TLS. Boost.Beast reads the answer,
// and is in client.cc alone.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include <jack_engine/error.h>

#include "apps/http/base_url.h"
#include "apps/http/message.h"

namespace jack::http {

struct Call {
  Method method = Method::get;
  std::string path;  // below that of the URL, escaped: "/tasks/17"
  std::vector<Field> headers;
  std::string body;
};

struct CallLimits {
  std::chrono::milliseconds time{10'000};           // from the look-up of the name to the last byte
  std::size_t header_bytes_max = 64 * 1024;         // of the answer
  std::size_t body_bytes_max = 64UL * 1024 * 1024;  // of the answer
};

// Calls and waits for the whole answer, whatever its status: a redirect is an answer like others.
// All addresses of the host are tried, each on a connection of its own that ends with the call.
// With TLS, the certificate must be good for the host by what the system trusts (or SSL_CERT_FILE
// and SSL_CERT_DIR say). Any thread.
//
// Errors: unavailable  nobody is there, or whoever is there did not give a whole HTTP answer within
//                      the limits; the message names host and port, and says where a request that
//                      changes something may have been taken all the same
Result<Response> call(const BaseUrl& url, const Call& request, const CallLimits& limits = {});

}  // namespace jack::http

// Clients and workers in the process of their engine. They share its ZeroMQ context, which must
// outlive them; once it is shut down (zmq::context_t::shutdown), their calls end as `stopped`.
#pragma once

#include <string>

#include <zmq.hpp>

#include <jack_engine/client.h>
#include <jack_engine/worker.h>

namespace jack {

// `endpoint` is an inproc:// one (wire::Router::kInProcess). The endpoint, data directory and key
// files in the options are not used.
struct Attach {
  static Result<Client> client(zmq::context_t& context, const std::string& endpoint,
                               const ClientOptions& options);

  // Errors: invalid_argument  as Worker::start()
  static Result<Worker> worker(zmq::context_t& context, const std::string& endpoint,
                               const WorkerOptions& options, Handler handler);
};

}  // namespace jack

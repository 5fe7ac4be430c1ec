// Clients and workers in the process of their engine. They share its ZeroMQ context, which must
// outlive them; once it is shut down (zmq::context_t::shutdown), their calls end as `stopped`.
#pragma once

#include <memory>
#include <string>

#include <zmq.hpp>

#include <jack_engine/client.h>
#include <jack_engine/engine.h>
#include <jack_engine/worker.h>

#include "engine/runtime/link.h"
#include "engine/wire/key_ring.h"
#include "engine/wire/last_used.h"

namespace jack {

// `endpoint` is an inproc:// one (wire::Router::kInProcess). The endpoint, data directory and key
// files in the options are not used.
struct Attach {
  // The engine's list of keys, and where their use is noted: for what lets in others by it.
  struct Keys {
    std::shared_ptr<wire::KeyRing> ring;
    std::shared_ptr<wire::LastUsed> last_used;  // may be empty
  };
  static Keys keys(Engine& engine);

  // A session in the process of this engine, for who polls it by its descriptor. It may do what the
  // key of this name in the engine's list may do, and all where `key` is empty.
  //
  // The list is looked at for each message. Where the key is revoked, has expired or is not there,
  // the next thing heard is Link::News::refused with `unauthenticated`, and nothing that has no
  // answer gets one: let go of the session, and open another when the key is good again. Where it
  // allows something else now, News::renewed: what had no answer may be said again.
  //
  // `answers`: a queue on which follow-ups of what the session settles are let in, whatever the key
  // allows.
  static Result<Link> link(Engine& engine, std::string name, std::string key = {},
                           std::string answers = {});

  static Result<Client> client(zmq::context_t& context, const std::string& endpoint,
                               const ClientOptions& options);

  // Errors: invalid_argument  as Worker::start()
  static Result<Worker> worker(zmq::context_t& context, const std::string& endpoint,
                               const WorkerOptions& options, Handler handler);
};

}  // namespace jack

// What keeps web pages of others away from the server, on every route: a page that a browser shows
// can send requests to any address that the browser reaches, this host's loopback too.
#pragma once

#include <string>
#include <vector>

#include "apps/http/message.h"

namespace jack::http {

struct GuardRules {
  // Names by which clients may call this server, without port, in lower case, besides loopback.
  // Where a request came to an address of loopback it must have one of these; a name that somebody
  // else's DNS points here (DNS rebinding) is not among them. Elsewhere none means any.
  std::vector<std::string> hosts;
  // Web pages that may use this server, "https://host[:port]", exactly as browsers send it.
  std::vector<std::string> allowed_origins;
  // A proxy ends TLS, so that "https" in an Origin does not contradict plain HTTP here.
  bool behind_proxy = false;
};

// Refuses (403) a host that is not in the rules, and a request that may change something if it
// comes from a page of another origin. Answers preflights of allowed origins. Adds CORS headers for
// those, and `Vary: Origin` where any is allowed. Pure; any thread.
Admission guard(const GuardRules& rules, const Request& request);

}  // namespace jack::http

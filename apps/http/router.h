// Which handler answers which method on which path.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "apps/http/message.h"

namespace jack::http {

// Filled first, then only read: by the server's thread.
class Router {
 public:
  struct Route {
    Method method;
    std::string pattern;

    friend auto operator<=>(const Route&, const Route&) = default;
  };

  // `pattern`: "/v1/tasks/{id}". A parameter is one whole segment, never empty; a literal segment
  // goes before a parameter in the same place. HEAD follows GET, OPTIONS is answered for every
  // path; neither is added. A route that is there already is a bug.
  void add(Method method, std::string_view pattern, Handler handler);

  // Has the route's handler answer; else 404, 405 with Allow, or 204 with Allow for OPTIONS.
  void handle(Request request, Responder responder) const;

  // Sorted by pattern and method.
  std::vector<Route> routes() const;

 private:
  struct Action {
    Method method;
    Handler handler;
  };
  struct Resource {
    std::string pattern;
    std::vector<std::string> segments;  // "{id}" is a parameter
    std::vector<Action> actions;
  };

  const Resource* find(const std::vector<std::string>& path) const;

  std::vector<Resource> resources_;  // the more literal ones first
};

}  // namespace jack::http

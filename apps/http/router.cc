#include "apps/http/router.h"

#include <algorithm>
#include <utility>

#include "apps/http/problem.h"
#include "engine/assert.h"

namespace jack::http {
namespace {

bool is_parameter(std::string_view segment) { return segment.starts_with('{'); }

std::vector<std::string> segments_of(std::string_view pattern) {
  JACK_ASSERT(pattern.starts_with('/'));
  std::vector<std::string> segments;
  if (pattern == "/") return segments;
  while (!pattern.empty()) {
    pattern.remove_prefix(1);  // its '/'
    const std::size_t end = std::min(pattern.find('/'), pattern.size());
    const std::string_view segment = pattern.substr(0, end);
    JACK_ASSERT(is_parameter(segment) == segment.ends_with('}'));
    segments.emplace_back(segment);
    pattern.remove_prefix(end);
  }
  return segments;
}

bool matches(const std::vector<std::string>& pattern, const std::vector<std::string>& path) {
  return std::equal(pattern.begin(), pattern.end(), path.begin(), path.end(),
                    [](const std::string& wanted, const std::string& segment) {
                      return is_parameter(wanted) ? !segment.empty() : wanted == segment;
                    });
}

bool more_literal(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                      [](const std::string& x, const std::string& y) {
                                        return std::pair(is_parameter(x), std::string_view(x)) <
                                               std::pair(is_parameter(y), std::string_view(y));
                                      });
}

std::vector<Field> parameters_of(const std::vector<std::string>& pattern,
                                 const std::vector<std::string>& path) {
  std::vector<Field> parameters;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (!is_parameter(pattern[i])) continue;
    parameters.push_back({pattern[i].substr(1, pattern[i].size() - 2), path[i]});
  }
  return parameters;
}

std::string allow_of(const std::vector<Method>& methods) {
  std::string allow;
  for (const Method method : methods) {
    allow.append(name_of(method)).append(", ");
    if (method == Method::get) allow.append(name_of(Method::head)).append(", ");
  }
  return allow.append(name_of(Method::options));
}

std::string quoted_route(const Request& request) {
  const std::string_view path = request.target;
  return std::string(name_of(request.method)) + ' ' + std::string(path.substr(0, path.find('?')));
}

}  // namespace

void Router::add(Method method, std::string_view pattern, Handler handler) {
  JACK_ASSERT(method != Method::head && method != Method::options);
  auto resource =
      std::find_if(resources_.begin(), resources_.end(),
                   [&](const Resource& candidate) { return candidate.pattern == pattern; });
  if (resource == resources_.end()) {
    Resource added{std::string(pattern), segments_of(pattern), {}};
    const auto place = std::upper_bound(
        resources_.begin(), resources_.end(), added,
        [](const Resource& a, const Resource& b) { return more_literal(a.segments, b.segments); });
    resource = resources_.insert(place, std::move(added));
  }
  for (const Action& action : resource->actions) JACK_ASSERT(action.method != method);
  resource->actions.push_back({method, std::move(handler)});
}

void Router::handle(Request request, Responder responder) const {
  const Resource* resource = find(request.segments);
  if (resource == nullptr || request.target == "*") {
    responder.send(problem({Code::not_found, "there is no route " + quoted_route(request)}));
    return;
  }
  const Method method = request.method == Method::head ? Method::get : request.method;
  std::vector<Method> methods;
  for (const Action& action : resource->actions) {
    if (action.method == method) {
      request.parameters = parameters_of(resource->segments, request.segments);
      action.handler(std::move(request), std::move(responder));
      return;
    }
    methods.push_back(action.method);
  }
  std::sort(methods.begin(), methods.end());
  Response response =
      method == Method::options
          ? Response{204, {}, {}}
          : problem(405, {Code::unsupported, "this path has no " + quoted_route(request)});
  responder.send(std::move(response.set("Allow", allow_of(methods))));
}

std::vector<Router::Route> Router::routes() const {
  std::vector<Route> routes;
  for (const Resource& resource : resources_) {
    for (const Action& action : resource.actions) {
      routes.push_back({action.method, resource.pattern});
    }
  }
  std::sort(routes.begin(), routes.end(), [](const Route& a, const Route& b) {
    return std::tie(a.pattern, a.method) < std::tie(b.pattern, b.method);
  });
  return routes;
}

const Router::Resource* Router::find(const std::vector<std::string>& path) const {
  const auto found =
      std::find_if(resources_.begin(), resources_.end(),
                   [&](const Resource& resource) { return matches(resource.segments, path); });
  return found == resources_.end() ? nullptr : &*found;
}

}  // namespace jack::http

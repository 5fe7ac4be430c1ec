#include "apps/api/gateway.h"

#include <algorithm>
#include <map>
#include <utility>

#include "apps/api/api.h"
#include "apps/api/claims.h"
#include "apps/api/doorkeeper.h"
#include "apps/api/engine_session.h"
#include "apps/api/openapi.h"
#include "apps/api/takes.h"
#include "apps/api/task_input.h"
#include "apps/http/address.h"
#include "apps/http/problem.h"
#include "apps/http/router.h"
#include "apps/jules/jules.h"
#include "engine/runtime/attach.h"

namespace jack::api {
namespace {

using http::Method;

// Who is behind a session: a key, or one of these, which are no names of keys.
const std::string kHouse;                   // the server itself
const std::string kNobody = "without key";  // whoever comes without a key while none is needed

const Error kKeyIsGone{Code::unauthenticated, "this API key is no longer good"};

void answer_health(const Request&, Responder to) {
  answer(to, 200, std::move(app::Json::object().set("status", "ok")));
}

void answer_openapi(const Request&, Responder to) {
  Response response{200, {}, std::string(openapi_document())};
  response.set("Content-Type", "application/json");
  to.send(std::move(response));
}

std::optional<InputError> fault_in_path(const Request& request) {
  if (!request.has_parameter("queue")) return std::nullopt;
  return fault_in_queue("queue", request.parameter("queue"));
}

Error not_beyond(const std::string& address, const std::string& what) {
  return {Code::permission_denied,
          "HTTP at " + address + " is reached from other machines, and " + what};
}

Result<void> check_exposure(const GatewayOptions& options, const wire::KeyTable& keys) {
  const auto open =
      std::find_if_not(options.listen.begin(), options.listen.end(), http::is_loopback);
  if (open == options.listen.end()) return {};
  const bool has_keys = std::any_of(keys.keys().begin(), keys.keys().end(),
                                    [](const auto& key) { return key.kind == wire::KeyKind::api; });
  if (!has_keys) {
    return not_beyond(*open, "there is no API key: make one with `jack keys new NAME`");
  }
  if (!options.tls && !options.behind_proxy) {
    return not_beyond(
        *open,
        "keys would travel in clear: give http.certificate_file and http.key_file, or "
        "set http.behind_proxy where a proxy does TLS");
  }
  return {};
}

}  // namespace

class Gateway::Impl {
 public:
  Impl(Engine& engine, GatewayOptions options, Attach::Keys keys)
      : engine_(engine),
        options_(std::move(options)),
        doorkeeper_(doorkeeper_options(), keys.ring, keys.last_used) {
    add_routes();
  }

  Result<void> open() {
    http::ServerOptions server;
    server.listen = options_.listen;
    server.tls = options_.tls;
    server.limits = options_.limits;
    server.log = options_.log;
    server.admit = [this](const Request& request) { return doorkeeper_.admit(request); };
    server.handle = [this](Request request, Responder to) {
      router_.handle(std::move(request), std::move(to));
    };
    Result<std::unique_ptr<http::Server>> opened = http::Server::open(std::move(server));
    if (!opened) return opened.error();
    server_ = *std::move(opened);
    server_->call_every(Claims::kTick, [this] { on_time(); });
    return {};
  }

  ~Impl() {
    if (server_) server_->stop(std::chrono::milliseconds{0});
  }

  http::Server& server() { return *server_; }

 private:
  DoorkeeperOptions doorkeeper_options() const {
    DoorkeeperOptions options;
    options.keys_required =
        !std::all_of(options_.listen.begin(), options_.listen.end(), http::is_loopback);
    options.guard.hosts = options_.hosts;
    options.guard.allowed_origins = options_.allowed_origins;
    options.guard.behind_proxy = options_.behind_proxy;
    options.requests_per_second_max = options_.requests_per_second_max;
    options.log = options_.log;
    return options;
  }

  // What the clients with one key share.
  struct Tenant {
    Tenant(std::shared_ptr<EngineSession> opened, EngineSession* house, ApiOptions options,
           const jules::Options& jules_options, jules::Metrics& metrics)
        : session(std::move(opened)),
          claims(*session),
          api(*session, claims, house == nullptr ? *session : *house, std::move(options)),
          jules(*session, house == nullptr ? *session : *house, claims, jules_options, metrics) {}

    const std::shared_ptr<EngineSession> session;
    Claims claims;
    Api api;
    jules::Jules jules;
  };

  void add_routes();
  void on_time();

  // That of whoever asks. Null, and refused, where the engine takes no session.
  Tenant* tenant_of(const Request& request, const Responder& to);
  Result<Tenant*> tenant_named(const std::string& who);
  void let_go(const std::string& who);
  void tend_gone();
  void shut_out_nobody();

  Engine& engine_;
  const GatewayOptions options_;
  Doorkeeper doorkeeper_;
  http::Router router_;
  jules::Metrics metrics_;
  std::map<std::string, std::unique_ptr<Tenant>, std::less<>> tenants_;
  struct Gone {
    std::unique_ptr<Tenant> tenant;
    std::chrono::steady_clock::time_point since;
  };
  std::vector<Gone> gone_;                // those whose key is no longer good, for a while
  std::unique_ptr<http::Server> server_;  // its thread uses all of the above
};

// A body may have taken its time, and a key been made meanwhile.
Gateway::Impl::Tenant* Gateway::Impl::tenant_of(const Request& request, const Responder& to) {
  const auto find = [&]() -> Result<Tenant*> {
    if (!request.principal.empty()) return tenant_named(request.principal);
    if (Doorkeeper::is_open(request)) return tenant_named(kHouse);
    if (doorkeeper_.needs_key()) return kKeyRequired;
    return tenant_named(kNobody);
  };
  const Result<Tenant*> tenant = find();
  if (tenant) return *tenant;
  refuse(to, tenant.error());
  return nullptr;
}

// A session stays for as long as its key is good, so there are no more than keys. That of the house
// is there for the others, too.
Result<Gateway::Impl::Tenant*> Gateway::Impl::tenant_named(const std::string& who) {
  const auto found = tenants_.find(who);
  if (found != tenants_.end()) return found->second.get();
  const std::string key = who == kNobody ? "" : who;
  EngineSession* house = nullptr;
  if (!key.empty()) {
    const Result<Tenant*> own = tenant_named(kHouse);
    if (!own) return own;
    house = (*own)->session.get();
  }
  const std::string name = key.empty() ? "http" : "http:" + key;
  Result<std::unique_ptr<EngineSession>> session =
      EngineSession::open(engine_, name, key, options_.responses);
  if (!session) return session.error();
  const std::shared_ptr<EngineSession> opened = *std::move(session);
  const auto poll = [this, who, weak = std::weak_ptr(opened)] {
    if (who == kNobody) shut_out_nobody();  // before anything more is handed out
    if (const auto known = weak.lock()) known->poll();
  };
  opened->wants_poll = [this, poll] { server_->post(poll); };
  opened->on_refused = [this, who] { server_->post([this, who] { let_go(who); }); };
  server_->call_when_readable(opened->descriptor(), poll);
  const jules::Options options{options_.inbox, options_.responses, options_.acknowledge_lease};
  ApiOptions api{key, options_.engine_limits, [this] { return server_->counters(); }};
  auto tenant = std::make_unique<Tenant>(opened, house, std::move(api), options, metrics_);
  tenant->claims.call_after = [this](std::chrono::milliseconds delay, std::function<void()> act) {
    server_->call_after(delay, std::move(act));
  };
  return tenants_.emplace(who, std::move(tenant)).first->second.get();
}

void Gateway::Impl::let_go(const std::string& who) {
  const auto found = tenants_.find(who);
  if (found == tenants_.end()) return;
  EngineSession& session = *found->second->session;
  found->second->claims.refuse_all(kKeyIsGone);
  session.fail_all(kKeyIsGone);
  server_->stop_calling(session.descriptor());
  gone_.push_back({std::move(found->second), std::chrono::steady_clock::now()});
  tenants_.erase(found);
}

// What the house was asked for them may be answered only now, and make them ask for more.
void Gateway::Impl::tend_gone() {
  const auto over = std::chrono::steady_clock::now() - 2 * EngineSession::kPatience;
  for (const Gone& gone : gone_) gone.tenant->session->fail_all(kKeyIsGone);
  std::erase_if(gone_, [over](const Gone& gone) { return gone.since < over; });
}

// The first key ends what goes on without one. The session stays: what the engine has handed out
// and nobody has got is given back by it.
void Gateway::Impl::shut_out_nobody() {
  const auto nobody = tenants_.find(kNobody);
  if (nobody == tenants_.end() || !doorkeeper_.needs_key()) return;
  nobody->second->claims.refuse_all(kKeyRequired);
  nobody->second->session->refuse_all(kKeyRequired);
}

void Gateway::Impl::on_time() {
  shut_out_nobody();
  tend_gone();
  for (const auto& [who, tenant] : tenants_) {
    tenant->session->on_time();
    tenant->claims.on_time();
    tenant->api.on_time();
  }
}

void Gateway::Impl::add_routes() {
  const auto add = [this](Method method, std::string_view pattern, Takes takes,
                          void (Api::*answer_it)(const Request&, Responder)) {
    router_.add(method, pattern,
                [this, takes = std::move(takes), answer_it](Request request, Responder to) {
                  if (std::optional<Response> refusal = refusal_of(takes, request)) {
                    to.send(*std::move(refusal));
                  } else if (const auto fault = fault_in_path(request)) {
                    refuse(to, *fault);
                  } else if (Tenant* const tenant = tenant_of(request, to)) {
                    (tenant->api.*answer_it)(request, std::move(to));
                  }
                });
  };
  add(Method::post, "/v1/tasks", {{}, Body::task}, &Api::submit);
  add(Method::post, "/v1/queues/{queue}/tasks", {{}, Body::task}, &Api::submit);
  add(Method::get, "/v1/tasks",
      {{"queue", "type", "state", "parent", "from", "to", "finished", "limit", "cursor"}},
      &Api::list_tasks);
  add(Method::get, "/v1/tasks/{id}", {{"wait"}}, &Api::get_task);
  add(Method::get, "/v1/tasks/{id}/result", {{"wait"}}, &Api::get_result);
  add(Method::get, "/v1/tasks/{id}/history", {}, &Api::get_history);
  add(Method::get, "/v1/tasks/{id}/output", {{"offset", "follow"}}, &Api::get_output);
  add(Method::del, "/v1/tasks/{id}", {}, &Api::remove);
  add(Method::patch, "/v1/tasks/{id}/annotations", {{}, Body::patch}, &Api::annotate);
  add(Method::post, "/v1/queues/{queue}/claim", {{"max", "wait", "lease"}}, &Api::claim);

  // About one task, or about many.
  const auto add_change = [&add](std::string_view verb, Takes one, Takes many,
                                 void (Api::*answer_it)(const Request&, Responder)) {
    add(Method::post, "/v1/tasks/" + std::string(verb), std::move(many), answer_it);
    add(Method::post, "/v1/tasks/{id}/" + std::string(verb), std::move(one), answer_it);
  };
  const Takes many{{}, Body::json};
  const Takes leased{{"token"}, Body::json};
  const Takes leased_or_raw{{"token"}, Body::json_or_raw};
  add_change("cancel", {{"reason"}, Body::json}, {{"reason"}, Body::json}, &Api::cancel);
  add_change("retry", {{}, Body::json}, many, &Api::retry);
  add_change("succeed", leased_or_raw, many, &Api::succeed);
  add_change("fail", leased, many, &Api::fail);
  add_change("release", leased, many, &Api::release);
  add_change("extend", leased, many, &Api::extend);
  add_change("output", leased_or_raw, many, &Api::add_output);
  add_change("progress", leased, many, &Api::set_progress);
  add(Method::post, "/v1/tasks/delete", many, &Api::remove);

  add(Method::get, "/v1/queues", {}, &Api::list_queues);
  add(Method::get, "/v1/queues/{queue}", {}, &Api::get_queue);
  add(Method::post, "/v1/queues/{queue}/pause", {}, &Api::pause);
  add(Method::post, "/v1/queues/{queue}/resume", {}, &Api::resume);
  add(Method::del, "/v1/queues/{queue}/tasks", {{"confirm"}}, &Api::purge);
  add(Method::get, "/v1/events", {{"queue", "task", "after"}}, &Api::get_events);
  add(Method::get, "/v1/engine", {}, &Api::get_engine);

  // Whoever watches the server may ask in whatever form he likes.
  router_.add(Method::get, "/readyz", [this](const Request& request, Responder to) {
    if (Tenant* const tenant = tenant_of(request, to)) tenant->api.get_readiness(request, to);
  });
  router_.add(Method::get, "/healthz", answer_health);
  router_.add(Method::get, "/openapi.json", answer_openapi);
  jules::add_routes(router_, metrics_, [this](const Request& request, const Responder& to) {
    Tenant* const tenant = tenant_of(request, to);
    return tenant == nullptr ? nullptr : &tenant->jules;
  });
}

Gateway::Gateway(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Gateway::~Gateway() = default;

Result<std::unique_ptr<Gateway>> Gateway::open(Engine& engine, GatewayOptions options) {
  Attach::Keys keys = Attach::keys(engine);
  if (Result<void> checked = check_exposure(options, *keys.ring->table()); !checked) {
    return checked.error();
  }
  auto impl = std::make_unique<Impl>(engine, std::move(options), std::move(keys));
  if (Result<void> opened = impl->open(); !opened) return opened.error();
  return std::unique_ptr<Gateway>(new Gateway(std::move(impl)));
}

const std::vector<std::string>& Gateway::addresses() const { return impl_->server().addresses(); }

void Gateway::stop(std::chrono::milliseconds grace) { impl_->server().stop(grace); }

}  // namespace jack::api

#include "apps/work/first_contact.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "apps/work/pause.h"

namespace jack::app {
namespace {

// How long one call goes on, and so how soon it is noticed that nobody wants to know any more.
constexpr Duration kContactCallTime{1000};

}  // namespace

FirstContact::FirstContact(const ClientOptions& engine, std::function<void(const Error&)> on_none)
    : engine_(engine),
      on_none_(std::move(on_none)),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

FirstContact::~FirstContact() = default;

void FirstContact::run(const std::stop_token& stop) {
  const auto end = std::chrono::steady_clock::now() + engine_.patience;
  ClientOptions options = engine_;
  options.patience = std::min(engine_.patience, kContactCallTime);
  Result<Client> client = Client::connect(options);
  if (!client) return;  // the worker has heard the same
  while (!stop.stop_requested()) {
    const auto answer = client->info();
    // Any other refusal is an answer, and the worker gets the same.
    if (answer || answer.error().code != Code::unavailable) return;
    if (std::chrono::steady_clock::now() >= end) return on_none_(answer.error());
    pause_before_asking_again(stop);
  }
}

}  // namespace jack::app

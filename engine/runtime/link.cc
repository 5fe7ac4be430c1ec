#include "engine/runtime/link.h"

#include <algorithm>
#include <utility>
#include <variant>

#include <errno.h>
#include <unistd.h>

namespace jack {
namespace {

using std::chrono::milliseconds;

// How often a link without connection looks whether its engine is to be found elsewhere.
constexpr milliseconds kLookEvery{250};

// A hello that has no answer by then is said again: its answer may have been dropped by an engine
// that could not get rid of it.
constexpr milliseconds kGreetAgainAfter{5000};

std::string name_of_process() {
  return std::string(program_invocation_short_name) + "-" + std::to_string(::getpid());
}

}  // namespace

Result<Link> Link::open(wire::Route route, std::string name, std::string key, std::string answers) {
  Result<wire::Dealer> dealer = wire::Dealer::open(std::move(route));
  if (!dealer) return std::move(dealer).error();
  if (name.empty()) name = name_of_process();
  return Link(*std::move(dealer), std::move(name), std::move(key), std::move(answers));
}

Link::News Link::wait(milliseconds timeout, wire::Wake* wake) {
  const SteadyClock::time_point end = SteadyClock::now() + timeout;
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(end - SteadyClock::now());
    const milliseconds within = until_own_deadline(std::max(left, milliseconds{0}));
    const wire::Dealer::News heard = dealer_.wait(within, wake);
    std::optional<News> news;
    switch (heard) {
      case wire::Dealer::News::nothing: news = on_own_deadline(); break;
      case wire::Dealer::News::frame: news = on_frame(); break;
      case wire::Dealer::News::connected:
        greet();
        news = News::renewed;
        break;
      case wire::Dealer::News::disconnected:
        greeted_ = false;
        news = News::lost;
        break;
      case wire::Dealer::News::refused: news = refused(dealer_.refusal()); break;
      case wire::Dealer::News::woken: news = News::woken; break;
      case wire::Dealer::News::closed: news = News::closed; break;
    }
    if (news) return *news;
    // What is no news may have more behind it, of which the descriptor does not tell again.
    if (heard == wire::Dealer::News::nothing && SteadyClock::now() >= end) return News::nothing;
  }
}

void Link::greet() {
  greeted_ = true;
  greeting_ = next_correlation();
  greet_again_ = SteadyClock::now() + kGreetAgainAfter;
  say(wire::Hello{greeting_, wire::kVersion, name_, key_, answers_});
}

std::optional<Link::News> Link::on_frame() {
  Result<wire::Reply> decoded = wire::decode_reply(unpacker_, dealer_.frame());
  if (!decoded) return on_unreadable(decoded.error());
  if (const auto* welcome = std::get_if<wire::Welcome>(&*decoded)) {
    greeting_ = 0;
    facts_ = {welcome->lease_default, welcome->payload_bytes_max, welcome->result_bytes_max};
    return std::nullopt;
  }
  if (std::holds_alternative<wire::Who>(*decoded)) {
    // Frames are answered in order, so until the welcome this is about one sent before the hello.
    if (greeting_ != 0) return std::nullopt;
    greet();
    return News::renewed;
  }
  if (const auto* refused = std::get_if<wire::Refused>(&*decoded)) {
    const bool at_greeting = greeting_ != 0 && refused->correlation == greeting_;
    // Its key is gone, and nothing that has no answer gets one.
    const bool as_a_whole = refused->correlation == 0 && refused->code == Code::unauthenticated;
    if (at_greeting || as_a_whole) {
      return this->refused({refused->code, std::string(refused->message)});
    }
  }
  reply_ = *std::move(decoded);
  return News::reply;
}

// Whoever waits for an answer hears of it: the engine is alive, so nothing else would end the wait.
std::optional<Link::News> Link::on_unreadable(const Error& error) {
  const wire::Correlation correlation = wire::correlation_of(unpacker_, dealer_.frame());
  // An unknown kind that answers nothing is for newer clients.
  if (correlation == 0 && error.code == Code::unsupported) return std::nullopt;
  unreadable_ =
      "what the engine says cannot be read (" + error.message + "); is it another version?";
  if (correlation == 0 || correlation == greeting_) return refused({Code::internal, unreadable_});
  reply_ = wire::Refused{correlation, Code::internal, unreadable_};
  return News::reply;
}

Link::News Link::refused(Error error) {
  refusal_ = std::move(error);
  return News::refused;
}

milliseconds Link::until_own_deadline(milliseconds timeout) const {
  SteadyClock::time_point deadline = SteadyClock::time_point::max();
  if (!dealer_.connected()) deadline = next_look_;
  if (dealer_.connected() && greeting_ != 0) deadline = greet_again_;
  if (deadline == SteadyClock::time_point::max()) return timeout;
  const auto left = std::chrono::ceil<milliseconds>(deadline - SteadyClock::now());
  return std::clamp(left, milliseconds{0}, timeout);
}

std::optional<Link::News> Link::on_own_deadline() {
  const SteadyClock::time_point now = SteadyClock::now();
  if (!dealer_.connected() && now >= next_look_) {
    next_look_ = now + kLookEvery;
    dealer_.look_up_again();
  }
  if (dealer_.connected() && greeting_ != 0 && now >= greet_again_) {
    greet();
    return News::renewed;
  }
  return std::nullopt;
}

Error Link::unreachable() const {
  const wire::Route& route = dealer_.route();
  std::string message = "no engine answers at " + route.endpoint + "; start one with `jack serve";
  if (!route.data_dir.empty() && route.data_dir != wire::default_data_dir()) {
    message += " --data-dir " + route.data_dir;
  }
  return {Code::unavailable, message + "`"};
}

wire::Correlation correlation_of(const wire::Reply& reply) {
  return std::visit(
      [](const auto& message) -> wire::Correlation {
        if constexpr (requires { message.correlation; }) {
          return message.correlation;
        } else {
          return 0;
        }
      },
      reply);
}

}  // namespace jack

#include <thread>
#include <utility>

#include <boost/asio/post.hpp>

#include "apps/http/connection.h"
#include "apps/http/exchange.h"
#include "apps/http/message.h"
#include "engine/assert.h"

namespace jack::http {
namespace {

// Null: nobody waits for the answer.
Connection* waiting(const Exchange& exchange) {
  Connection* const connection = exchange.connection;
  if (connection == nullptr) return nullptr;
  JACK_ASSERT(std::this_thread::get_id() == connection->common().thread);
  return connection;
}

}  // namespace

Exchange::~Exchange() {
  if (Connection* owner = waiting(*this)) owner->abandoned();
}

void Responder::send(Response response) {
  if (Connection* connection = waiting(*exchange_)) connection->send(std::move(response));
}

void Responder::begin(Response head) {
  if (Connection* connection = waiting(*exchange_)) connection->begin(std::move(head));
}

Written Responder::write(std::string_view bytes) {
  Connection* const connection = waiting(*exchange_);
  return connection != nullptr ? connection->write(bytes) : Written::gone;
}

void Responder::end(std::string_view last) {
  if (Connection* connection = waiting(*exchange_)) connection->end(last);
}

void Responder::cut() {
  if (Connection* connection = waiting(*exchange_)) connection->cut();
}

bool Responder::wanted() const {
  const Connection* const connection = waiting(*exchange_);
  return connection != nullptr && connection->wanted();
}

void Responder::on_closed(std::function<void()> act) {
  Connection* const connection = waiting(*exchange_);
  if (connection == nullptr) return;
  exchange_->on_closed = std::move(act);
  // Later, so that nobody is called back from within this call.
  boost::asio::post(connection->common().io,
                    [self = connection->shared_from_this()] { self->on_peer_ended(); });
}

void Responder::on_drained(std::function<void()> act) {
  if (waiting(*exchange_) != nullptr) exchange_->on_drained = std::move(act);
}

void Responder::on_answered(std::function<void()> act) {
  if (waiting(*exchange_) != nullptr) exchange_->on_answered = std::move(act);
}

void Responder::on_stopping(std::function<void()> act) {
  Connection* const connection = waiting(*exchange_);
  if (connection == nullptr) return;
  exchange_->on_stopping = std::move(act);
  if (!connection->common().stopping) return;
  boost::asio::post(connection->common().io,
                    [self = connection->shared_from_this()] { self->stop_gently(); });
}

}  // namespace jack::http

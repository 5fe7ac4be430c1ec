#include "apps/http/byte_stream.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/socket.h>
#include <sys/uio.h>

namespace jack::http {
namespace {

bool would_wait() { return errno == EAGAIN || errno == EWOULDBLOCK; }

class PlainStream final : public ByteStream {
 public:
  explicit PlainStream(Socket socket) : ByteStream(std::move(socket)) {}

  Step handshake() override { return {Step::Outcome::done}; }

  Step read(std::span<char> into) override {
    ssize_t got = 0;
    do {
      got = ::recv(socket_.native_handle(), into.data(), into.size(), 0);
    } while (got < 0 && errno == EINTR);
    if (got > 0) return {Step::Outcome::done, static_cast<std::size_t>(got)};
    if (got == 0) return {Step::Outcome::ended};
    return {would_wait() ? Step::Outcome::wait_readable : Step::Outcome::failed};
  }

  Step write(std::string_view first, std::string_view second) override {
    std::array<iovec, 2> parts = {iovec{const_cast<char*>(first.data()), first.size()},
                                  iovec{const_cast<char*>(second.data()), second.size()}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    ssize_t sent = 0;
    do {
      sent = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) return {Step::Outcome::done, static_cast<std::size_t>(sent)};
    return {would_wait() ? Step::Outcome::wait_writable : Step::Outcome::failed};
  }

  void end_sending() override {
    boost::system::error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
  }

  bool holds_input() const override { return false; }

  std::string failure() const override { return std::strerror(errno); }
};

}  // namespace

std::unique_ptr<ByteStream> plain_stream(ByteStream::Socket socket) {
  return std::make_unique<PlainStream>(std::move(socket));
}

}  // namespace jack::http

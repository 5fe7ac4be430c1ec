#include "apps/commands/payload.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <jack_engine/limits.h>

#include "apps/descriptor.h"

namespace jack::app {
namespace {

constexpr std::size_t kChunkBytes = 64 << 10;

Result<std::string> read_all(int descriptor, const std::string& name) {
  std::string payload;
  while (payload.size() <= kPayloadBytesHardMax) {
    const std::size_t before = payload.size();
    payload.resize(before + kChunkBytes);
    const ssize_t got = ::read(descriptor, payload.data() + before, kChunkBytes);
    payload.resize(before + static_cast<std::size_t>(got > 0 ? got : 0));
    if (got == 0) return payload;
    if (got < 0 && errno != EINTR) {
      return Error{Code::invalid_argument,
                   fmt::format("cannot read {}: {}", name, std::strerror(errno))};
    }
  }
  return Error{
      Code::payload_too_large,
      fmt::format("{} has more than {} bytes, which no engine takes: keep it in a file and "
                  "submit where that is",
                  name, kPayloadBytesHardMax)};
}

}  // namespace

Result<std::string> read_payload(const std::optional<std::string>& argument,
                                 const std::optional<std::string>& file) {
  if (argument && *argument == "-") return read_all(STDIN_FILENO, "standard input");
  if (!file) return argument.value_or("");
  const Descriptor opened(::open(file->c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened) {
    return Error{Code::invalid_argument,
                 fmt::format("cannot open {}: {}", *file, std::strerror(errno))};
  }
  return read_all(opened.get(), *file);
}

}  // namespace jack::app

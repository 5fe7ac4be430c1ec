#include "apps/engine_position.h"

#include <cstdint>

#include "apps/cli/values.h"

namespace jack::app {

Result<Position> position_now(Client& client) {
  const Result<std::map<std::string, std::string>> info = client.info();
  if (!info) return info.error();
  const auto entry = info->find("entry");
  Position position{0, UINT32_MAX};
  if (entry == info->end() || !read_value(entry->second, position.entry)) {
    return Error{Code::internal, "the engine does not say where it is in its journal"};
  }
  return position;
}

}  // namespace jack::app

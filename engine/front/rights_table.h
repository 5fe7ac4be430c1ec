// Who may do what, by the names of keys: a list of keys as it was at some moment.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <jack_engine/time.h>

#include "engine/front/rights.h"

namespace jack {

// What a key may do, and until when.
struct KeyRights {
  std::shared_ptr<const Rights> rights;
  WallTime ends = WallTime::max();
};

// A value; any number of threads may read it.
class RightsTable {
 public:
  void add(std::string name, Rights rights, std::optional<WallTime> ends = std::nullopt) {
    by_name_[std::move(name)] = {std::make_shared<const Rights>(std::move(rights)),
                                 ends.value_or(WallTime::max())};
  }

  // Nothing where there is no such key, or not any more at this time. No rights at all is not
  // nothing.
  std::optional<KeyRights> find(std::string_view name, WallTime now) const {
    const auto found = by_name_.find(name);
    if (found == by_name_.end() || found->second.ends <= now) return std::nullopt;
    return found->second;
  }

 private:
  std::map<std::string, KeyRights, std::less<>> by_name_;
};

}  // namespace jack

// What `jack doctor` found out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <jack_engine/error.h>

#include "apps/exit_status.h"
#include "apps/json.h"

namespace jack::app {

struct Finding {
  std::string name;              // "journal"; no two have the same
  std::string text;              // "entries 17 to 1042, whole"
  std::optional<Error> problem;  // none: all is well; its message says what to do
};

class Findings {
 public:
  void tell(std::string name, std::string text) {
    list_.push_back({std::move(name), std::move(text), std::nullopt});
  }

  // `text` where all is well, the error otherwise.
  void tell(std::string name, const Result<std::string>& text);

  void complain(std::string name, Error problem) {
    list_.push_back({std::move(name), {}, std::move(problem)});
  }

  bool healthy() const;

  // That of the worst problem: damage first, then the first there is.
  ExitStatus status() const;

  Json json() const;
  std::string text(bool colour) const;

 private:
  std::vector<Finding> list_;
};

}  // namespace jack::app

// What a key may do: some of four scopes, on the queues whose names match one of its patterns.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/error.h>

namespace jack {

// None implies another: whoever is to do two things has both.
enum class Scope : std::uint8_t {
  submit,  // hand in tasks, cancel, retry and annotate them
  work,    // claim tasks, settle and annotate them
  read,    // look at tasks, queues and events
  admin,   // pause queues, remove tasks
};

std::string_view name_of(Scope scope);  // "submit"
std::optional<Scope> scope_from(std::string_view name);

class Rights {
 public:
  Rights() = default;  // none at all
  static Rights all();

  // Lists as people write them: scopes "submit,work", patterns "review-*,mail". In a pattern, `*`
  // stands for any run of characters, none included; all else stands for itself. A pattern that is
  // only `*` means all queues, whatever other patterns there are.
  // Errors: invalid_argument  an empty list or part, no such scope, more than 64 patterns, or one
  //                           of other characters than a queue's name has; the message says which
  static Result<Rights> parse(std::string_view scopes, std::string_view patterns);

  // On this queue.
  bool allows(Scope scope, std::string_view queue) const;
  // On some queue.
  bool allows(Scope scope) const;
  bool all_queues() const { return patterns_.empty(); }

  // In the order of the enumeration.
  std::vector<Scope> scopes() const;
  // Empty: all queues.
  const std::vector<std::string>& patterns() const { return patterns_; }

  // What parse() reads back as the same rights. "*" for all queues.
  std::string scopes_text() const;
  std::string patterns_text() const;

  friend bool operator==(const Rights&, const Rights&) = default;

 private:
  std::uint8_t scopes_ = 0;  // bit 1 << Scope; only in memory
  std::vector<std::string> patterns_;
};

// Whether all of `name` matches. Takes no longer than the product of both lengths.
bool matches(std::string_view pattern, std::string_view name);

}  // namespace jack

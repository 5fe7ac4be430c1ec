#include "engine/front/rights.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "engine/format/spec.h"

namespace jack {
namespace {

constexpr std::array<std::string_view, 4> kScopes = {"submit", "work", "read", "admin"};
constexpr std::size_t kPatternsMax = 64;
constexpr std::size_t kPatternCharactersMax = 128;  // as many as a queue's name has

constexpr std::uint8_t bit_of(Scope scope) {
  return static_cast<std::uint8_t>(1u << static_cast<unsigned>(scope));
}

// The parts of "a,b", empty ones too.
std::vector<std::string_view> parts_of(std::string_view list) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t comma = list.find(',');
    parts.push_back(list.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    list.remove_prefix(comma + 1);
  }
}

bool is_pattern(std::string_view text) {
  if (text.empty() || text.size() > kPatternCharactersMax) return false;
  std::string name(text);
  std::ranges::replace(name, '*', '-');
  return is_queue_name(name);
}

bool is_any(std::string_view pattern) {
  return pattern.find_first_not_of('*') == std::string_view::npos;
}

Error refusal(std::string message) { return {Code::invalid_argument, std::move(message)}; }

Result<std::uint8_t> parse_scopes(std::string_view list) {
  unsigned scopes = 0;
  for (const std::string_view part : parts_of(list)) {
    const std::optional<Scope> scope = scope_from(part);
    if (!scope) {
      return refusal("'" + std::string(part) + "' is no scope: submit, work, read or admin");
    }
    scopes |= bit_of(*scope);
  }
  return static_cast<std::uint8_t>(scopes);
}

Result<std::vector<std::string>> parse_patterns(std::string_view list) {
  std::vector<std::string> patterns;
  for (const std::string_view part : parts_of(list)) {
    if (!is_pattern(part)) {
      return refusal("'" + std::string(part) +
                     "' is neither a queue's name nor a pattern of 1–128 characters of "
                     "A–Z a–z 0–9 . _ - *");
    }
    if (std::ranges::find(patterns, part) == patterns.end()) patterns.emplace_back(part);
    if (patterns.size() > kPatternsMax) return refusal("more than 64 patterns of queues");
  }
  if (std::ranges::any_of(patterns, is_any)) patterns.clear();
  return patterns;
}

template <typename Texts>
std::string joined(const Texts& texts) {
  std::string list;
  for (const auto& text : texts) {
    if (!list.empty()) list += ',';
    list += text;
  }
  return list;
}

}  // namespace

std::string_view name_of(Scope scope) { return kScopes[static_cast<std::size_t>(scope)]; }

std::optional<Scope> scope_from(std::string_view name) {
  const auto found = std::ranges::find(kScopes, name);
  if (found == kScopes.end()) return std::nullopt;
  return static_cast<Scope>(found - kScopes.begin());
}

Rights Rights::all() {
  Rights rights;
  for (std::size_t i = 0; i < kScopes.size(); ++i) {
    rights.scopes_ = static_cast<std::uint8_t>(rights.scopes_ | bit_of(static_cast<Scope>(i)));
  }
  return rights;
}

Result<Rights> Rights::parse(std::string_view scopes, std::string_view patterns) {
  Result<std::uint8_t> some = parse_scopes(scopes);
  if (!some) return std::move(some).error();
  Result<std::vector<std::string>> queues = parse_patterns(patterns);
  if (!queues) return std::move(queues).error();
  Rights rights;
  rights.scopes_ = *some;
  rights.patterns_ = *std::move(queues);
  return rights;
}

bool Rights::allows(Scope scope, std::string_view queue) const {
  if (!allows(scope)) return false;
  return all_queues() || std::ranges::any_of(patterns_, [&](const std::string& pattern) {
           return matches(pattern, queue);
         });
}

bool Rights::allows(Scope scope) const { return (scopes_ & bit_of(scope)) != 0; }

std::vector<Scope> Rights::scopes() const {
  std::vector<Scope> scopes;
  for (std::size_t i = 0; i < kScopes.size(); ++i) {
    if (allows(static_cast<Scope>(i))) scopes.push_back(static_cast<Scope>(i));
  }
  return scopes;
}

std::string Rights::scopes_text() const {
  std::vector<std::string_view> names;
  for (const Scope scope : scopes()) names.push_back(name_of(scope));
  return joined(names);
}

std::string Rights::patterns_text() const { return all_queues() ? "*" : joined(patterns_); }

// After a mismatch only the last `*` need take one character more: what an earlier one could give
// up, the last one takes as well.
bool matches(std::string_view pattern, std::string_view name) {
  std::size_t at = 0;  // in the pattern
  std::size_t seen = 0;
  std::size_t star = std::string_view::npos;
  std::size_t taken_until = 0;  // by that star
  while (seen < name.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = at++;
      taken_until = seen;
    } else if (at < pattern.size() && pattern[at] == name[seen]) {
      ++at;
      ++seen;
    } else if (star != std::string_view::npos) {
      at = star + 1;
      seen = ++taken_until;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', at) == std::string_view::npos;
}

}  // namespace jack

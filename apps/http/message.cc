#include "apps/http/message.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/assert.h"

namespace jack::http {
namespace {

constexpr std::array<std::string_view, 7> kMethods = {"GET",   "HEAD",   "POST",   "PUT",
                                                      "PATCH", "DELETE", "OPTIONS"};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

const std::string* value_in(const std::vector<Field>& fields, std::string_view name) {
  for (const Field& field : fields) {
    if (field.name == name) return &field.value;
  }
  return nullptr;
}

}  // namespace

std::string_view name_of(Method method) { return kMethods[static_cast<std::size_t>(method)]; }

std::optional<Method> method_named(std::string_view name) {
  const auto found = std::find(kMethods.begin(), kMethods.end(), name);
  if (found == kMethods.end()) return std::nullopt;
  return static_cast<Method>(found - kMethods.begin());
}

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

const std::string* Request::header(std::string_view name) const {
  for (const Field& field : headers) {
    if (same_name(field.name, name)) return &field.value;
  }
  return nullptr;
}

const std::string* Request::query_value(std::string_view name) const {
  return value_in(query, name);
}

const std::string& Request::parameter(std::string_view name) const {
  const std::string* value = value_in(parameters, name);
  JACK_ASSERT(value != nullptr);
  return *value;
}

bool Request::has_parameter(std::string_view name) const {
  return value_in(parameters, name) != nullptr;
}

Response& Response::set(std::string name, std::string value) {
  headers.push_back({std::move(name), std::move(value)});
  return *this;
}

}  // namespace jack::http

#include "apps/api/input.h"

#include <algorithm>

#include "apps/text/base64.h"

namespace jack::api {

using Value = nlohmann::ordered_json;

InputError wrong_input(const std::string& field, const std::string& what) {
  return {{Code::invalid_argument, field.empty() ? what : field + " " + what}, field};
}

InputError Fields::wrong(const std::string& field, const std::string& what) const {
  return wrong_input(place_.empty() ? field : place_ + "." + field, what);
}

Input<std::string> Fields::text(const std::string& name) const {
  const auto found = object_.find(name);
  if (found == object_.end()) return std::string();
  if (!found->is_string()) return wrong(name, "must be a text");
  return found->get<std::string>();
}

Input<bool> Fields::flag(const char* name, bool otherwise) const {
  const auto found = object_.find(name);
  if (found == object_.end()) return otherwise;
  if (!found->is_boolean()) return wrong(name, "must be true or false");
  return found->get<bool>();
}

Input<std::optional<Duration>> Fields::span(const char* name) const {
  const auto found = object_.find(name);
  if (found == object_.end() || found->is_null()) return std::optional<Duration>();
  if (!found->is_number_integer() || found->get<std::int64_t>() < 0) {
    return wrong(name, "must be a whole number of milliseconds");
  }
  return std::optional(Duration{found->get<std::int64_t>()});
}

Input<double> Fields::fraction(const char* name) const {
  const auto found = object_.find(name);
  const double value = found != object_.end() && found->is_number() ? found->get<double>() : -1;
  if (!(value >= 0 && value <= 1)) return wrong(name, "must be a number from 0 to 1");
  return value;
}

Input<Content> Fields::content(const std::string& name) const {
  Content content;
  int found = 0;
  if (object_.contains(name)) {
    content = {object_[name].dump(), "application/json"};
    ++found;
  }
  if (object_.contains(name + "_text")) {
    Input<std::string> read = text(name + "_text");
    if (!read) return read.error();
    content = {std::move(*read), "text/plain"};
    ++found;
  }
  if (object_.contains(name + "_base64")) {
    Input<std::string> read = text(name + "_base64");
    if (!read) return read.error();
    std::optional<std::string> bytes = app::from_base64(*read);
    if (!bytes) return wrong(name + "_base64", "must be base64 (RFC 4648)");
    content = {*std::move(bytes), ""};
    ++found;
  }
  if (found > 1) return wrong(name, "is there in more than one form");
  if (has("content_type")) {
    Input<std::string> type = text("content_type");
    if (!type) return type.error();
    content.type = std::move(*type);
  }
  return content;
}

std::optional<InputError> Fields::unknown_but(std::span<const std::string_view> names) const {
  for (const auto& [name, value] : object_.items()) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      return wrong(name, "is not known here");
    }
  }
  return std::nullopt;
}

}  // namespace jack::api

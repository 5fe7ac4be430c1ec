#include "apps/json.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "apps/strict_json.h"
#include "apps/text/base64.h"
#include "apps/text/escape.h"

namespace jack::app {
namespace {

using Value = nlohmann::ordered_json;

std::string dump(const Value& value, int indent) {
  return value.dump(indent, ' ', false, Value::error_handler_t::replace);
}

}  // namespace

Json Json::object() {
  Json json;
  *json.value_ = Value::object();
  return json;
}

Json Json::array() {
  Json json;
  *json.value_ = Value::array();
  return json;
}

std::optional<Json> Json::parse(std::string_view text) {
  Result<Value> value = parse_json(text);
  if (!value) return std::nullopt;
  Json json;
  *json.value_ = *std::move(value);
  return json;
}

Json::Json() : value_(std::make_unique<Value>()) {}
Json::Json(std::string_view text) : value_(std::make_unique<Value>(text)) {}
Json::Json(bool value) : value_(std::make_unique<Value>(value)) {}
Json::Json(double value) : value_(std::make_unique<Value>(value)) {}
Json::Json(Signed number) : value_(std::make_unique<Value>(number.value)) {}
Json::Json(Unsigned number) : value_(std::make_unique<Value>(number.value)) {}
Json::Json(const std::map<std::string, std::string>& texts) : Json(object()) {
  for (const auto& [name, text] : texts) set(name, text);
}

Json::Json(Json&&) noexcept = default;
Json& Json::operator=(Json&&) noexcept = default;
Json::~Json() = default;

Json& Json::set(std::string_view name, Json value) {
  (*value_)[std::string(name)] = std::move(*value.value_);
  return *this;
}

Json& Json::set_bytes(const std::string& name, std::string_view bytes) {
  if (is_utf8(bytes)) return set(name, bytes);
  return set(name + "_base64", base64(bytes));
}

Json& Json::add(Json value) {
  value_->push_back(std::move(*value.value_));
  return *this;
}

std::string Json::line() const { return dump(*value_, -1); }

std::string Json::pretty() const { return dump(*value_, 2); }

Result<std::map<std::string, std::string>> parse_texts(std::string_view json) {
  const Error wrong{Code::invalid_argument, "not a JSON object of texts"};
  // Without exceptions: a text that is no JSON gives a discarded value.
  const Value value = Value::parse(json, nullptr, false);
  if (!value.is_object()) return wrong;
  std::map<std::string, std::string> texts;
  for (const auto& [name, text] : value.items()) {
    if (!text.is_string()) return wrong;
    texts[name] = text.get<std::string>();
  }
  return texts;
}

}  // namespace jack::app

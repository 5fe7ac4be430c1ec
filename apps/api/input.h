// What clients hand in, and what is wrong with it.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include <jack_engine/error.h>
#include <jack_engine/time.h>

namespace jack::api {

// An error, and which part of the input is to blame ("tasks[2].priority"; empty: the whole).
struct InputError {
  InputError() = default;
  InputError(Error the_error, std::string the_field)
      : error(std::move(the_error)), field(std::move(the_field)) {}

  Error error;
  std::string field;
};

// "FIELD WHAT", as invalid_argument.
InputError wrong_input(const std::string& field, const std::string& what);

// How long one request may wait for something to happen; longer ones are cut to this, so that
// proxies between do not lose patience.
inline constexpr Duration kWaitMax = std::chrono::minutes{5};
inline constexpr const char* kDurationRule = "must be a duration such as 500ms, 30s or 5m";

// Either what was read, or what is wrong with it.
template <typename T>
class Input {
 public:
  Input(T value) : value_(std::move(value)) {}
  Input(InputError error) : error_(std::move(error)) {}

  explicit operator bool() const { return value_.has_value(); }
  T& operator*() { return *value_; }
  T* operator->() { return &*value_; }
  const InputError& error() const { return error_; }

 private:
  std::optional<T> value_;
  InputError error_;
};

// Bytes and what they are.
struct Content {
  std::string bytes;
  std::string type;  // media type; may be empty
};

// The fields of a JSON object. Readers give a default where there is none of that name.
class Fields {
 public:
  // `place` comes before the names in errors ("tasks[2]"); may be empty.
  explicit Fields(nlohmann::ordered_json object = nlohmann::ordered_json::object(),
                  std::string place = {})
      : object_(std::move(object)), place_(std::move(place)) {}

  bool has(const char* name) const { return object_.contains(name); }
  const nlohmann::ordered_json& object() const { return object_; }
  const std::string& place() const { return place_; }

  Input<std::string> text(const std::string& name) const;
  Input<bool> flag(const char* name, bool otherwise) const;
  Input<std::optional<Duration>> span(const char* name) const;  // whole milliseconds, or null
  Input<double> fraction(const char* name) const;               // 0 to 1; must be there
  // `name` as a JSON value, `name`_text or `name`_base64, and its content_type; one of them at
  // most.
  Input<Content> content(const std::string& name) const;

  // Refuses a field that is none of these.
  std::optional<InputError> unknown_but(std::span<const std::string_view> names) const;

  InputError wrong(const std::string& field, const std::string& what) const;

 private:
  nlohmann::ordered_json object_;
  std::string place_;
};

}  // namespace jack::api

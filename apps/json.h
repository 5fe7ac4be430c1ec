// JSON values to print. The library behind it is heavy to compile and is in json.cc alone.
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include <jack_engine/error.h>

namespace jack::app {

// A value; names in objects keep the order in which they were set. Texts that are not UTF-8 have
// their bad bytes replaced by U+FFFD when printed: see set_bytes().
class Json {
 public:
  static Json object();
  static Json array();
  // Nothing where `text` is not JSON, or beyond the bounds of strict_json.h.
  static std::optional<Json> parse(std::string_view text);

  Json();  // null
  Json(std::string_view text);
  Json(const std::string& text) : Json(std::string_view(text)) {}
  Json(const char* text) : Json(std::string_view(text)) {}
  Json(bool value);
  Json(double value);
  template <std::signed_integral T>
  Json(T value) : Json(Signed{value}) {}
  template <std::unsigned_integral T>
  Json(T value) : Json(Unsigned{value}) {}
  Json(const std::map<std::string, std::string>& texts);

  Json(Json&&) noexcept;
  Json& operator=(Json&&) noexcept;
  ~Json();

  // Of an object.
  Json& set(std::string_view name, Json value);
  // Bytes that somebody handed in: as `name` where they are UTF-8, else as `name`_base64.
  Json& set_bytes(const std::string& name, std::string_view bytes);
  // Of an array.
  Json& add(Json value);

  std::string line() const;    // on one line
  std::string pretty() const;  // indented

 private:
  struct Signed {
    std::int64_t value;
  };
  struct Unsigned {
    std::uint64_t value;
  };
  explicit Json(Signed number);
  explicit Json(Unsigned number);

  std::unique_ptr<nlohmann::ordered_json> value_;
};

// What Json(map).line() wrote.
// Errors: invalid_argument  anything but an object of texts
Result<std::map<std::string, std::string>> parse_texts(std::string_view json);

}  // namespace jack::app

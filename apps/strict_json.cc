#include "apps/strict_json.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace jack::app {
namespace {

using Value = nlohmann::ordered_json;
using Object = Value::object_t;

// Up to here names are looked for one by one.
constexpr std::size_t kFewNames = 16;

// Builds the value from what the library's parser tells (its SAX interface), and stops it at what
// the parser itself would let pass. Its own objects look through all of their names for each new
// one; here members are appended.
class Builder {
 public:
  using number_integer_t = Value::number_integer_t;
  using number_unsigned_t = Value::number_unsigned_t;
  using number_float_t = Value::number_float_t;
  using string_t = Value::string_t;
  using binary_t = Value::binary_t;

  Value take() { return std::move(root_); }
  std::string take_refusal() { return std::move(refusal_); }

  bool null() { return add(nullptr) != nullptr; }
  bool boolean(bool value) { return add(value) != nullptr; }
  bool number_integer(number_integer_t value) {
    return value < -kWholeMax ? refuse_number() : add(value) != nullptr;
  }
  bool number_unsigned(number_unsigned_t value) {
    return value > number_unsigned_t{kWholeMax} ? refuse_number() : add(value) != nullptr;
  }
  // Whole numbers beyond 64 bits come as these, without a word.
  bool number_float(number_float_t value, const string_t& text) {
    const bool is_whole = text.find_first_of(".eE") == text.npos;
    return is_whole ? refuse_number() : add(value) != nullptr;
  }
  bool string(string_t& value) { return add(std::move(value)) != nullptr; }
  bool binary(binary_t&) { return false; }

  bool start_object(std::size_t) { return open(Value::object()); }
  bool key(string_t& name) {
    Level& level = open_.back();
    if (is_there(level, name)) return refuse("has the name \"" + name + "\" twice in one object");
    name_ = std::move(name);
    return true;
  }
  bool end_object() { return close(); }
  bool start_array(std::size_t) { return open(Value::array()); }
  bool end_array() { return close(); }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: …"
    const std::string_view what = error.what();
    const std::size_t begin = what.find("] ");
    return refuse("is wrong: " + std::string(what.substr(begin == what.npos ? 0 : begin + 2)));
  }

 private:
  static constexpr std::int64_t kWholeMax = std::int64_t{1} << 53;

  struct Level {
    Value* value;
    std::unordered_set<std::string> names;  // of an object with more than a few
  };

  static bool is_there(Level& level, const std::string& name) {
    const Object& members = level.value->get_ref<const Object&>();
    if (members.size() < kFewNames) {
      return std::any_of(members.begin(), members.end(),
                         [&](const auto& member) { return member.first == name; });
    }
    if (level.names.empty()) {
      for (const auto& member : members) level.names.insert(member.first);
    }
    return !level.names.insert(name).second;
  }

  // Where the value is now; null, and refused, beyond the bounds.
  Value* add(Value value) {
    if (++values_ > kJsonValuesMax) {
      refuse("has too many values");
      return nullptr;
    }
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Value& parent = *open_.back().value;
    if (parent.is_array()) {
      auto& elements = parent.get_ref<Value::array_t&>();
      return &elements.emplace_back(std::move(value));
    }
    // As a vector: as a map it would search.
    Object::Container& members = parent.get_ref<Object&>();
    return &members.emplace_back(std::move(name_), std::move(value)).second;
  }

  // What is open stands at the end of its parent, which gets no more until it is closed.
  bool open(Value value) {
    if (open_.size() == kJsonDepthMax) return refuse("is nested too deep");
    Value* const added = add(std::move(value));
    if (added != nullptr) open_.push_back({added, {}});
    return added != nullptr;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  bool refuse_number() {
    return refuse(
        "has a whole number beyond 2^53, which many readers would change: send it as a text");
  }
  bool refuse(std::string why) {
    if (refusal_.empty()) refusal_ = std::move(why);
    return false;
  }

  Value root_;
  std::vector<Level> open_;
  std::string name_;  // of the member to come
  std::size_t values_ = 0;
  std::string refusal_;
};

}  // namespace

Result<Value> parse_json(std::string_view text) {
  Builder builder;
  if (Value::sax_parse(text, &builder)) return builder.take();
  return Error{Code::invalid_argument, "the JSON " + builder.take_refusal()};
}

}  // namespace jack::app

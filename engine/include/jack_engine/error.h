// Errors as values: one vocabulary of codes for every layer, and Result<T>, which is a value or an
// error. The same code shows in the C++ API, on the wire and as the exit status of the program.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace jack {

// What the caller can do next depends on the code; the message is for people.
// Part of the wire and journal formats: never renumber, never reuse a retired value.
enum class Code : std::uint8_t {
  ok = 0,
  invalid_argument = 1,      // the request itself is wrong; repeating it will not help
  not_found = 2,             // no such task, or its retention has ended
  already_exists = 3,        // this id is taken by a task with another spec
  lease_lost = 4,            // the lease has ended; whoever holds it now decides the task
  payload_too_large = 5,     // beyond Limits::payload_bytes_max or result_bytes_max
  queue_full = 6,            // a bound on unfinished tasks is reached; try again later
  storage_full = 7,          // the disk is full; running tasks can still be settled
  unavailable = 8,           // engine or transport out of reach; the fate of the request is unknown
  unsupported = 9,           // this engine or transport does not have the feature
  unauthenticated = 10,      // no known key
  permission_denied = 11,    // the key may not do this
  failed_precondition = 12,  // not in the task's or queue's present state
  position_gone = 13,        // the history before this position is no longer kept
  rate_limited = 14,         // too many requests from this key
  stopped = 15,              // the engine has stopped taking work (failed disk, or shutting down)
  corruption = 16,           // stored bytes are not what was written
  internal = 17,             // a bug in JACK
  timed_out = 18,            // the caller's own deadline passed; nothing is known to be wrong
};

// "lease_lost" for Code::lease_lost; "internal" for a number outside the vocabulary.
std::string_view name_of(Code code);

struct Error {
  Code code = Code::internal;
  std::string message;  // what was wrong and what to do, one line, without secrets and payloads

  friend bool operator==(const Error&, const Error&) = default;
};

// "lease_lost: the lease of task … has ended", for logs and terminals.
std::string to_string(const Error& error);

// A value or an error, with the member names of std::expected. Not thread-safe, like any value.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const { return content_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  // The value; throws std::bad_variant_access where there is an error.
  T& value() & { return std::get<0>(content_); }
  const T& value() const& { return std::get<0>(content_); }
  T&& value() && { return std::get<0>(std::move(content_)); }
  T value_or(T other) && {
    return has_value() ? std::get<0>(std::move(content_)) : std::move(other);
  }

  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  Error& error() & { return std::get<1>(content_); }
  const Error& error() const& { return std::get<1>(content_); }
  Error&& error() && { return std::get<1>(std::move(content_)); }

 private:
  std::variant<T, Error> content_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), failed_(true) {}

  bool has_value() const { return !failed_; }
  explicit operator bool() const { return has_value(); }

  // Throws std::bad_variant_access where there is an error, like the general form.
  void value() const {
    if (failed_) throw std::bad_variant_access();
  }

  Error& error() & { return error_; }
  const Error& error() const& { return error_; }
  Error&& error() && { return std::move(error_); }

 private:
  Error error_;
  bool failed_ = false;
};

}  // namespace jack

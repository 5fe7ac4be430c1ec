// Reading msgpack that may come from anyone: an entry, a wire message, a stored row.
//
// Unpacker runs msgpack-c's parser once over the bytes and keeps what it met as a flat list of
// tokens (nothing is allocated on the word of a declared length); Fields then reads the tokens in
// order. Text and bytes are views into the input.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <jack_engine/error.h>
#include <jack_engine/id.h>

namespace jack {

struct Token {
  enum class Kind : std::uint8_t {
    nil,
    boolean,
    unsigned_integer,
    negative_integer,
    text,
    bytes,
    array,
    map
  };

  Kind kind = Kind::nil;
  std::uint32_t size = 0;  // of text and bytes; elements of an array, pairs of a map
  std::uint32_t end = 0;   // arrays and maps: the token after the last one inside
  union {
    std::uint64_t number = 0;  // two's complement where negative
    const char* data;
  };

  std::string_view view() const { return {data, size}; }
};

// The elements of an array (or keys and values of a map), read one after the other. A wrong kind,
// a number out of range or a missing element makes the reader fail: it then yields empty values,
// and failed() tells. Elements beyond those read are left alone: newer writers may add some.
class Fields {
 public:
  Fields() = default;
  Fields(const Token* tokens, std::uint32_t begin, std::uint32_t end)
      : tokens_(tokens), next_(begin), end_(end) {}

  bool failed() const { return failed_; }
  bool more() const { return next_ < end_ && !failed_; }

  std::uint64_t u64(std::uint64_t max = UINT64_MAX);
  std::int64_t i64();
  bool boolean();
  std::string_view text();
  std::string_view bytes();
  TaskId id();                      // 16 bytes
  Fields array();                   // what is in an array
  Fields map();                     // keys and values in turn
  bool nil();                       // reads a nil if there is one, else nothing
  void skip();                      // one element with all that is in it
  std::uint32_t remaining() const;  // elements not read yet (keys and values counted apart)

  // Marks the input as wrong; for values that have the right kind and a wrong content.
  void fail() { failed_ = true; }

 private:
  const Token* take(Token::Kind kind);

  const Token* tokens_ = nullptr;
  std::uint32_t next_ = 0;
  std::uint32_t end_ = 0;
  bool failed_ = false;
};

// Reusable; the Fields of one unpack() are valid until the next, and as long as the input is.
class Unpacker {
 public:
  // Nesting deeper than this is refused.
  static constexpr std::uint32_t kDepthMax = 16;

  // What input of strangers may hold: it bounds memory by 8 times the input and 64 KiB. Formats
  // with more values than that in so many bytes have a bound of their own.
  static std::size_t tokens_max(std::string_view bytes) { return bytes.size() / 3 + 2700; }

  // Reads exactly one msgpack value, which must be an array and fill `bytes`.
  //
  // Errors: invalid_argument  not msgpack, not an array, too deep, too many elements, trailing
  //                           bytes, a float or an extension (no format of JACK has them)
  Result<Fields> unpack(std::string_view bytes) { return unpack(bytes, tokens_max(bytes)); }
  Result<Fields> unpack(std::string_view bytes, std::size_t tokens_max);

  // The first elements of an array, at most `count` and as many as can be read, whatever follows.
  // For messages that are refused as a whole; only numbers and texts among them.
  Fields unpack_begin(std::string_view bytes, std::size_t count);

 private:
  std::vector<Token> tokens_;
};

}  // namespace jack

#include "engine/format/unpack.h"

#include <limits>

#include <msgpack.hpp>

namespace jack {
namespace {

// What msgpack-c's parser meets, as tokens. Returning false stops the parser.
class TokenVisitor : public msgpack::null_visitor {
 public:
  TokenVisitor(std::vector<Token>& tokens, std::size_t tokens_max)
      : tokens_(tokens), tokens_max_(tokens_max) {}

  bool visit_nil() { return add(Token::Kind::nil, 0, 0); }
  bool visit_boolean(bool value) { return add(Token::Kind::boolean, 0, value ? 1 : 0); }
  bool visit_positive_integer(std::uint64_t value) {
    return add(Token::Kind::unsigned_integer, 0, value);
  }
  bool visit_negative_integer(std::int64_t value) {
    return add(Token::Kind::negative_integer, 0, static_cast<std::uint64_t>(value));
  }
  bool visit_float32(float) { return false; }
  bool visit_float64(double) { return false; }
  bool visit_str(const char* data, std::uint32_t size) {
    return add_view(Token::Kind::text, data, size);
  }
  bool visit_bin(const char* data, std::uint32_t size) {
    return add_view(Token::Kind::bytes, data, size);
  }
  bool visit_ext(const char*, std::uint32_t) { return false; }
  bool start_array(std::uint32_t count) { return open(Token::Kind::array, count); }
  bool end_array() { return close(); }
  bool start_map(std::uint32_t count) { return open(Token::Kind::map, count); }
  bool end_map() { return close(); }
  void parse_error(std::size_t, std::size_t) {}
  void insufficient_bytes(std::size_t, std::size_t) {}

 private:
  bool add(Token::Kind kind, std::uint32_t size, std::uint64_t number) {
    if (tokens_.size() >= tokens_max_) return false;
    Token token;
    token.kind = kind;
    token.size = size;
    token.number = number;
    tokens_.push_back(token);
    return true;
  }
  bool add_view(Token::Kind kind, const char* data, std::uint32_t size) {
    if (!add(kind, size, 0)) return false;
    tokens_.back().data = data;
    return true;
  }
  bool open(Token::Kind kind, std::uint32_t count) {
    if (depth_ == Unpacker::kDepthMax) return false;
    open_[depth_++] = static_cast<std::uint32_t>(tokens_.size());
    return add(kind, count, 0);
  }
  bool close() {
    tokens_[open_[--depth_]].end = static_cast<std::uint32_t>(tokens_.size());
    return true;
  }

  std::vector<Token>& tokens_;
  std::size_t tokens_max_;
  std::uint32_t open_[Unpacker::kDepthMax] = {};
  std::uint32_t depth_ = 0;
};

}  // namespace

Result<Fields> Unpacker::unpack(std::string_view bytes, std::size_t tokens_max) {
  const Error malformed{Code::invalid_argument, "not a well-formed msgpack array"};
  tokens_.clear();
  TokenVisitor visitor(tokens_, tokens_max);
  std::size_t offset = 0;
  if (!msgpack::parse(bytes.data(), bytes.size(), offset, visitor)) return malformed;
  if (offset != bytes.size() || tokens_.front().kind != Token::Kind::array) return malformed;
  return Fields(tokens_.data(), 1, static_cast<std::uint32_t>(tokens_.size()));
}

Fields Unpacker::unpack_begin(std::string_view bytes, std::size_t count) {
  tokens_.clear();
  TokenVisitor visitor(tokens_, 1 + count);
  std::size_t offset = 0;
  static_cast<void>(msgpack::parse(bytes.data(), bytes.size(), offset, visitor));
  if (tokens_.empty() || tokens_.front().kind != Token::Kind::array) return {};
  return {tokens_.data(), 1, static_cast<std::uint32_t>(tokens_.size())};
}

const Token* Fields::take(Token::Kind kind) {
  if (failed_ || next_ == end_ || tokens_[next_].kind != kind) {
    failed_ = true;
    return nullptr;
  }
  return &tokens_[next_++];
}

std::uint64_t Fields::u64(std::uint64_t max) {
  const Token* token = take(Token::Kind::unsigned_integer);
  if (token == nullptr) return 0;
  if (token->number > max) {
    failed_ = true;
    return 0;
  }
  return token->number;
}

std::int64_t Fields::i64() {
  if (more() && tokens_[next_].kind == Token::Kind::negative_integer) {
    return static_cast<std::int64_t>(tokens_[next_++].number);
  }
  return static_cast<std::int64_t>(
      u64(static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())));
}

bool Fields::boolean() {
  const Token* token = take(Token::Kind::boolean);
  return token != nullptr && token->number != 0;
}

std::string_view Fields::text() {
  const Token* token = take(Token::Kind::text);
  return token == nullptr ? std::string_view() : token->view();
}

std::string_view Fields::bytes() {
  const Token* token = take(Token::Kind::bytes);
  return token == nullptr ? std::string_view() : token->view();
}

TaskId Fields::id() {
  const std::optional<TaskId> id = TaskId::from_bytes(bytes());
  if (!id) failed_ = true;
  return id.value_or(TaskId{});
}

Fields Fields::array() {
  const Token* token = take(Token::Kind::array);
  if (token == nullptr) return {};
  const std::uint32_t begin = next_;
  next_ = token->end;
  return {tokens_, begin, next_};
}

Fields Fields::map() {
  const Token* token = take(Token::Kind::map);
  if (token == nullptr) return {};
  const std::uint32_t begin = next_;
  next_ = token->end;
  return {tokens_, begin, next_};
}

bool Fields::nil() {
  if (!more() || tokens_[next_].kind != Token::Kind::nil) return false;
  ++next_;
  return true;
}

void Fields::skip() {
  if (!more()) {
    failed_ = true;
    return;
  }
  const Token& token = tokens_[next_];
  const bool nested = token.kind == Token::Kind::array || token.kind == Token::Kind::map;
  next_ = nested ? token.end : next_ + 1;
}

std::uint32_t Fields::remaining() const {
  if (failed_) return 0;
  std::uint32_t count = 0;
  for (Fields rest = *this; rest.more(); rest.skip()) ++count;
  return count;
}

}  // namespace jack

// Writing msgpack: what every format of JACK is written with. Appends to a std::string.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <msgpack/pack.hpp>

#include <jack_engine/id.h>

namespace jack {

// Pure, not thread-safe. The caller sees to it that as many elements follow as a header says.
class Packer {
 public:
  explicit Packer(std::string& out) : sink_{out}, packer_(sink_) {}

  Packer& array(std::size_t count) { return done(packer_.pack_array(narrow(count))); }
  Packer& map(std::size_t count) { return done(packer_.pack_map(narrow(count))); }
  Packer& u64(std::uint64_t value) { return done(packer_.pack_uint64(value)); }
  Packer& i64(std::int64_t value) { return done(packer_.pack_int64(value)); }
  Packer& boolean(bool value) { return done(value ? packer_.pack_true() : packer_.pack_false()); }
  Packer& nil() { return done(packer_.pack_nil()); }
  Packer& text(std::string_view value) {
    packer_.pack_str(narrow(value.size()));
    return done(packer_.pack_str_body(value.data(), narrow(value.size())));
  }
  Packer& bytes(std::string_view value) {
    packer_.pack_bin(narrow(value.size()));
    return done(packer_.pack_bin_body(value.data(), narrow(value.size())));
  }
  Packer& id(const TaskId& value) { return bytes(value.view()); }

  // 9 bytes whatever the value, so that it can be filled in later with overwrite_fixed_u64().
  Packer& fixed_u64(std::uint64_t value) { return done(packer_.pack_fix_uint64(value)); }

  // Bytes that are msgpack already.
  Packer& packed(std::string_view value) {
    sink_.write(value.data(), value.size());
    return *this;
  }

 private:
  struct Sink {
    std::string& out;
    void write(const char* data, std::size_t size) { out.append(data, size); }
  };

  static std::uint32_t narrow(std::size_t size) { return static_cast<std::uint32_t>(size); }
  Packer& done(msgpack::packer<Sink>&) { return *this; }

  Sink sink_;
  msgpack::packer<Sink> packer_;
};

}  // namespace jack

#include "storage/seal.h"

#include <array>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace jack {

Seal::Seal(Sealed what, std::int64_t number)
    : digest_(static_cast<std::uint64_t>(what)), what_(what), number_(number) {
  add(number);
}

Seal::Seal(Sealed what, const TaskId& id)
    : digest_(static_cast<std::uint64_t>(what)), what_(what), id_(id) {
  add(id.view());
}

Seal& Seal::add(std::int64_t number) {
  std::array<char, 8> bytes{};  // little-endian
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(static_cast<std::uint64_t>(number) >> (8 * i));
  }
  return add(std::string_view(bytes.data(), bytes.size()));
}

Seal& Seal::add(std::string_view bytes) {
  digest_ = XXH3_64bits_withSeed(bytes.data(), bytes.size(), digest_);
  return *this;
}

Result<void> Seal::check(std::int64_t stored) const {
  if (stored == column()) return {};
  return Error{Code::corruption, name() +
                                     " is not what was written to the task store; `jack doctor` "
                                     "tells what else is damaged: restore a backup"};
}

std::string Seal::name() const {
  switch (what_) {
    case Sealed::meta: return "the state at entry " + std::to_string(number_);
    case Sealed::queue: return "the record of queue " + std::to_string(number_);
    case Sealed::hour: return "the stage of hour " + std::to_string(number_);
    case Sealed::events: return "the history from entry " + std::to_string(number_) + " on";
    case Sealed::status: return "the status of task " + to_string(id_);
    case Sealed::spec: return "the spec of task " + to_string(id_);
    case Sealed::result: return "the result of task " + to_string(id_);
    case Sealed::output: return "the output of task " + to_string(id_);
    case Sealed::numbers: return "the tasks from number " + std::to_string(number_) + " on";
  }
  return "a value";
}

}  // namespace jack

// JACK_ASSERT states what is true if our code is right. It stays on in release: an engine that is
// wrong about its own state must not go on writing.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace jack {

[[noreturn]] inline void assertion_failed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: this must hold and does not: %s\n", file, line, condition);
  std::abort();
}

}  // namespace jack

// Never for input from outside, which is refused instead.
#define JACK_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : ::jack::assertion_failed(__FILE__, __LINE__, #condition))

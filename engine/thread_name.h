// Names the calling thread for people: `top -H`, a debugger and a profiler show it.
#pragma once

#include <cstddef>

#include <pthread.h>

namespace jack {

// At most 15 bytes, the limit of Linux; a longer name would leave the thread without one.
template <std::size_t size>
void name_thread(const char (&name)[size]) {
  static_assert(size <= 16);
  pthread_setname_np(pthread_self(), name);
}

}  // namespace jack

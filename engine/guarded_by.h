// JACK_GUARDED_BY(mutex) beside a member says which mutex must be held to touch it. It is read by
// people; the standard library's mutexes carry no annotations that clang could check it with.
#pragma once

#define JACK_GUARDED_BY(mutex)

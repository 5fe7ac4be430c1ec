// A fuzz target: one kind of bytes that come from outside, in a file and a program of its own. What
// decodes them must not crash, nor read beyond them, nor take more memory than they are worth.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "engine/assert.h"

namespace jack {

void fuzz(std::string_view bytes);

}  // namespace jack

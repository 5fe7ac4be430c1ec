// Small files and folders that only their owner may read: keys, and where an engine is reached.
#pragma once

#include <string>
#include <string_view>

#include <jack_engine/error.h>

namespace jack::wire {

// Errors: not_found, permission_denied
//         invalid_argument  beyond 1 MiB, or not a file
Result<std::string> read_small_file(const std::string& path);

// Errors: already_exists     whatever has this name stays as it is
//         permission_denied, storage_full, unavailable
Result<void> create_private_file(const std::string& path, std::string_view text);

// Readers see the text of before or this one, never a part.
// Errors: permission_denied, storage_full, unavailable
Result<void> replace_private_file(const std::string& path, std::string_view text);

// Makes the folder, and those above it, where missing.
// Errors: permission_denied  it is another user's, or others may enter it
Result<void> make_private_folder(const std::string& path);

// What errno means to callers.
Error error_of_errno(int number, const std::string& path);

}  // namespace jack::wire

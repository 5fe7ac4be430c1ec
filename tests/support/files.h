// Files as the tests see them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace jack::test {

// In one read: byte by byte takes minutes where nothing is optimised. Empty if there is no file.
inline std::string content_of(const std::string& path) {
  std::error_code missing;
  const std::uintmax_t bytes = std::filesystem::file_size(path, missing);
  std::string content(missing ? 0 : bytes, '\0');
  std::ifstream(path, std::ios::binary)
      .read(content.data(), static_cast<std::streamsize>(content.size()));
  return content;
}

}  // namespace jack::test

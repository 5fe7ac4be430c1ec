#include "apps/import/input_files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "apps/descriptor.h"
#include "apps/import/parse.h"

namespace jack::app {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kReadBytes = 1u << 20;

bool seems_ours(const std::string& name) {
  if (name.ends_with(".json")) return true;
  const Result<Mailbox> mailbox = mailbox_of(name);
  return mailbox || mailbox.error().code != Code::not_found;
}

// What is in a folder, that of its folders included.
void search(const fs::path& folder, InputFiles& found) {
  std::error_code failed;
  std::vector<fs::directory_entry> entries;
  for (fs::directory_iterator next(folder, failed); !failed && next != fs::directory_iterator();
       next.increment(failed)) {
    entries.push_back(*next);
  }
  if (failed) {
    found.problems.push_back(
        {Code::invalid_argument,
         fmt::format("cannot read {}: {}", folder.string(), failed.message())});
  }
  std::ranges::sort(entries);
  for (const fs::directory_entry& entry : entries) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory(failed) && !entry.is_symlink(failed)) {
      if (!name.starts_with('.')) search(entry.path(), found);
    } else if (!name.starts_with('.') && seems_ours(name) && !entry.is_directory(failed)) {
      found.paths.push_back(entry.path().string());
    } else {
      ++found.others;
    }
  }
}

Result<std::string> read_file(const std::string& path) {
  const auto failure = [&](const char* act) {
    return Error{Code::invalid_argument,
                 fmt::format("cannot {} it: {}", act, std::strerror(errno))};
  };
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return failure("open");
  std::string bytes;
  while (bytes.size() <= kImportFileBytesMax) {
    const std::size_t before = bytes.size();
    bytes.resize(before + kReadBytes);
    const ssize_t got = ::read(file.get(), bytes.data() + before, kReadBytes);
    bytes.resize(before + static_cast<std::size_t>(got > 0 ? got : 0));
    if (got == 0) return bytes;
    if (got < 0 && errno != EINTR) return failure("read");
  }
  return Error{Code::payload_too_large,
               fmt::format("has more than {} MiB; split it into parts", kImportFileBytesMax >> 20)};
}

}  // namespace

InputFiles find_files(const std::vector<std::string>& paths) {
  InputFiles found;
  for (const std::string& path : paths) {
    std::error_code failed;
    if (fs::is_directory(path, failed)) {
      search(path, found);
    } else {
      found.paths.push_back(path);
    }
  }
  std::set<fs::path> seen;
  std::erase_if(found.paths, [&](const std::string& path) {
    std::error_code failed;
    const fs::path real = fs::canonical(path, failed);
    return !failed && !seen.insert(real).second;
  });
  return found;
}

Result<ParsedFile> parse_file(const std::string& path) {
  const std::string name = fs::path(path).filename().string();
  const Result<Mailbox> mailbox = mailbox_of(name);
  const bool is_mailbox = name.ends_with(".md");
  if (is_mailbox && !mailbox) return Error{Code::invalid_argument, mailbox.error().message};
  const Result<std::string> bytes = read_file(path);
  if (!bytes) return bytes.error();
  return is_mailbox ? parse_mailbox(*mailbox, *bytes) : parse_json_file(*bytes);
}

}  // namespace jack::app

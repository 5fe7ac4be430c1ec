#include "apps/doctor/files.h"

#include <array>
#include <filesystem>

#include <fmt/format.h>
#include <sys/stat.h>

#include "apps/text/date.h"
#include "storage/data_directory.h"
#include "storage/reserve.h"

namespace jack::app {
namespace {

namespace fs = std::filesystem;

std::uint64_t size_of(const std::string& path) {
  std::error_code failed;
  const std::uintmax_t bytes = fs::file_size(path, failed);
  return failed ? 0 : bytes;
}

// What the file takes on the disk; the reserve may be a file of its size without any blocks.
std::uint64_t space_of(const std::string& path) {
  struct stat facts {};
  return ::stat(path.c_str(), &facts) == 0 ? static_cast<std::uint64_t>(facts.st_blocks) * 512 : 0;
}

void check_sizes(const std::string& data_dir, Findings& findings) {
  static constexpr std::array<std::pair<const char*, const char*>, 2> kFiles = {
      {{"journal file", "journal.db"}, {"store file", "tasks.db"}}};
  for (const auto& [name, file] : kFiles) {
    const std::string path = data_dir + "/" + file;
    findings.tell(name, fmt::format("{}, and {} in its WAL", size_text(size_of(path)),
                                    size_text(size_of(path + "-wal"))));
  }
}

void check_space(const std::string& data_dir, Findings& findings) {
  const Result<std::uint64_t> free = free_bytes_at(data_dir);
  if (!free) return findings.complain("free space", free.error());
  const std::uint64_t reserve = space_of(data_dir + "/reserve");
  const std::string text =
      fmt::format("{} free, {} held in reserve", size_text(*free), size_text(reserve));
  if (reserve == 0 && fs::exists(data_dir + "/reserve")) {
    return findings.complain(
        "free space",
        {Code::storage_full,
         fmt::format("{}: new tasks are refused until there is room; running ones can "
                     "be settled. Free some space on this volume",
                     text)});
  }
  findings.tell("free space", text);
}

void check_last_stop(const std::string& data_dir, bool running, Findings& findings) {
  const Result<LastStop> last = DataDirectory::read_last_stop(data_dir);
  if (!last) return findings.complain("last stop", last.error());
  switch (last->kind) {
    case LastStop::Kind::never_ran: return findings.tell("last stop", "no engine has run here yet");
    case LastStop::Kind::clean:
      return findings.tell("last stop", fmt::format("in order, {}", local_date_text(last->at)));
    case LastStop::Kind::unclean:
      findings.tell(running ? "started" : "last stop",
                    running ? local_date_text(last->at)
                            : fmt::format("not in order: begun {}, then killed, crashed or without "
                                          "power; the next start recovers",
                                          local_date_text(last->at)));
  }
}

}  // namespace

void check_files(const std::string& data_dir, bool running, Findings& findings) {
  check_last_stop(data_dir, running, findings);
  check_sizes(data_dir, findings);
  check_space(data_dir, findings);
}

std::string size_text(std::uint64_t bytes) {
  static constexpr std::array<const char*, 4> kUnits = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return fmt::format("{} bytes", bytes);
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace jack::app

#include "apps/config/toml_file.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "apps/config/setting.h"
#include "storage/system_error.h"

namespace jack::app {
namespace {

namespace fs = std::filesystem;

// No configuration is longer.
constexpr std::uintmax_t kFileBytesMax = 1 << 20;

Error at_line(const std::string& path, const toml::source_region& source, const Error& error) {
  return {error.code, fmt::format("{}:{}: {}", path, source.begin.line, error.message)};
}

std::optional<std::string> text_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  return std::nullopt;
}

// A text stands for a list of one, so that `listen = "…"` works.
Result<std::vector<std::string>> texts_of(const Setting& setting, const toml::node& node) {
  const Error wrong{Code::invalid_argument,
                    fmt::format("{}: wants a {}", setting.key,
                                setting.kind == SettingKind::count      ? "whole number"
                                : setting.kind == SettingKind::duration ? "text like \"30s\""
                                : setting.kind == SettingKind::texts    ? "list of texts"
                                                                        : "text")};
  if (setting.kind == SettingKind::texts && node.is_array()) {
    std::vector<std::string> texts;
    for (const toml::node& element : *node.as_array()) {
      if (!element.is_string()) return wrong;
      texts.push_back(element.as_string()->get());
    }
    return texts;
  }
  const bool is_number = setting.kind == SettingKind::count;
  const std::optional<std::string> text = text_of(node);
  if (!text || node.is_integer() != is_number) return wrong;
  return std::vector<std::string>{*text};
}

class FileReader {
 public:
  explicit FileReader(std::string path) : path_(std::move(path)) {}

  Result<void> read(const toml::table& table, const std::string& prefix) {
    for (const auto& [name, node] : table) {
      const std::string key = prefix + std::string(name.str());
      const toml::table* const inner = node.as_table();
      if (inner != nullptr && find_setting(key) == nullptr && is_table(key)) {
        if (Result<void> inside = read(*inner, key + "."); !inside) return inside;
        continue;
      }
      if (const Result<void> taken = take(key, node); !taken) {
        return at_line(path_, node.source(), taken.error());
      }
    }
    return {};
  }

  FileSettings settings;

 private:
  static bool is_table(const std::string& key) {
    for (const Setting& setting : all_settings()) {
      if (setting.key.starts_with(key + ".")) return true;
    }
    return false;
  }

  Result<void> take(const std::string& key, const toml::node& node) {
    const Setting* const setting = find_setting(key);
    if (setting == nullptr) return unknown_setting(key);
    Result<std::vector<std::string>> texts = texts_of(*setting, node);
    if (!texts) return texts.error();
    if (Result<void> checked = check_value(*setting, *texts); !checked) return checked;
    if (setting->kind == SettingKind::path) {
      texts->front() = (fs::absolute(path_).parent_path() / texts->front()).lexically_normal();
    }
    settings[key] =
        with_listen_paths(*setting, std::move(*texts), fs::absolute(path_).parent_path());
    return {};
  }

  const std::string path_;
};

Result<std::optional<std::string>> read_file(const std::string& path) {
  std::error_code failed;
  const std::uintmax_t bytes = fs::file_size(path, failed);
  if (failed == std::errc::no_such_file_or_directory || failed == std::errc::not_a_directory) {
    return std::optional<std::string>();
  }
  if (failed) return system_error("cannot read " + path, failed.value());
  if (bytes > kFileBytesMax) {
    return Error{Code::invalid_argument, fmt::format("{}: longer than 1 MiB", path)};
  }
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) return system_error("cannot read " + path);
  return std::optional<std::string>(std::move(text));
}

}  // namespace

Result<std::optional<FileSettings>> read_toml_file(const std::string& path) {
  const Result<std::optional<std::string>> text = read_file(path);
  if (!text) return text.error();
  if (!*text) return std::optional<FileSettings>();
  try {
    const toml::table table = toml::parse(std::string_view(**text), std::string_view(path));
    FileReader reader(path);
    if (Result<void> read = reader.read(table, ""); !read) return read.error();
    return std::optional<FileSettings>(std::move(reader.settings));
  } catch (const toml::parse_error& error) {
    return at_line(path, error.source(),
                   {Code::invalid_argument, std::string(error.description())});
  }
}

}  // namespace jack::app

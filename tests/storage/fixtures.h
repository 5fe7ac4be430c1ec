// What the tests of storage and transports share.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>
#include <stdlib.h>

#include "engine/store.h"
#include "engine/transport.h"
#include "tests/catch.hpp"
#include "tests/support/files.h"

namespace jack::test {

// A private folder that goes away with the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string path = (std::filesystem::temp_directory_path() / "jack-test-XXXXXX").string();
    REQUIRE(::mkdtemp(path.data()) != nullptr);
    path_ = path;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Moved by hand.
class TestClock final : public Clock {
 public:
  SteadyTime now() const override { return steady; }
  WallTime wall_now() const override { return wall; }

  SteadyTime steady{};
  WallTime wall{std::chrono::milliseconds{1'700'000'000'000}};
};

inline void write_file(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

// What a crash of the process leaves: the files as they are, with nothing closed.
inline void copy_files(const std::string& from, const std::string& to) {
  for (const auto& file : std::filesystem::directory_iterator(from)) {
    if (!file.is_regular_file()) continue;
    std::filesystem::copy_file(file.path(), std::filesystem::path(to) / file.path().filename(),
                               std::filesystem::copy_options::overwrite_existing);
  }
}

// Waits until the other side has something to tell. The minute is only for tests that fail.
inline void await(int descriptor) {
  if (descriptor < 0) return;
  pollfd waiting{descriptor, POLLIN, 0};
  REQUIRE(::poll(&waiting, 1, 60'000) == 1);
}

inline Buffer buffer(std::string bytes) {
  return std::make_shared<const std::string>(std::move(bytes));
}

// Appends and waits for the fate. Entries that come meanwhile are added to `entries`.
inline AppendFate append(Transport& transport, Buffer entry,
                         std::vector<JournalEntry>* entries = nullptr) {
  const AppendTicket ticket = transport.append(std::move(entry));
  Polled polled;
  while (polled.fates.empty()) {
    await(transport.descriptor());
    transport.poll(polled);
  }
  REQUIRE(polled.fates.size() == 1);
  CHECK(polled.fates[0].ticket == ticket);
  if (entries != nullptr) {
    entries->insert(entries->end(), polled.entries.begin(), polled.entries.end());
  }
  return polled.fates[0];
}

// Reads everything after `after` up to the head.
inline std::vector<JournalEntry> read_all(Transport& transport, Index after) {
  Polled polled;
  REQUIRE(transport.read_from(after));
  while (after < transport.head() &&
         (polled.entries.empty() || polled.entries.back().index < transport.head())) {
    await(transport.descriptor());
    transport.poll(polled);
    if (polled.failed) FAIL(polled.failed->message);
  }
  return polled.entries;
}

inline std::vector<std::string> bytes_of(const std::vector<JournalEntry>& entries) {
  std::vector<std::string> all;
  for (const JournalEntry& entry : entries) all.push_back(*entry.bytes);
  return all;
}

// An id of its own for each number, in the same order.
inline TaskId id_of(std::uint64_t number) {
  return TaskId::from(WallTime(std::chrono::milliseconds(1'700'000'000'000 + number)), number,
                      number);
}

// Flushes and waits for the end of it.
inline Result<void> flush(Store& store, Flush changes) {
  store.begin_flush(std::make_shared<const Flush>(std::move(changes)));
  for (;;) {
    await(store.descriptor());
    if (std::optional<Result<void>> end = store.flushed()) return *end;
  }
}

// What load() told.
struct Loaded final : StoreReader {
  Result<void> on_meta(Index at, std::string_view bytes) override {
    index = at;
    meta = bytes;
    return {};
  }
  Result<void> on_queue(std::uint32_t number, std::string_view name,
                        std::string_view record) override {
    queues.push_back(std::to_string(number) + " " + std::string(name) + " " + std::string(record));
    return {};
  }
  Result<void> on_live(const TaskId& id, std::string_view status) override {
    live.emplace_back(id, status);
    return {};
  }

  Index index = 0;
  std::string meta;
  std::vector<std::string> queues;
  std::vector<std::pair<TaskId, std::string>> live;
};

}  // namespace jack::test

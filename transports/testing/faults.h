// A transport and a store that do what others do, until they are told to fail.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/store.h"
#include "engine/transport.h"

namespace jack::testing {

// What the next append meets instead of success.
struct AppendFault {
  Error error{Code::unavailable, "a fault of the test"};
  bool certain = true;   // as in AppendFate
  bool written = false;  // the entry is in the journal all the same; only if not certain
};

// Remembers every entry that came by. One thread.
class FaultyTransport final : public Transport {
 public:
  // `seen` outlives the transport, so that it holds the journal from its first entry over restarts.
  FaultyTransport(std::unique_ptr<Transport> inner, std::vector<JournalEntry>& seen)
      : inner_(std::move(inner)), seen_(seen) {}

  void fail_next(AppendFault fault) { faults_.push_back(std::move(fault)); }
  // Appends wait until release(): they are not in the journal and have no fate.
  void hold() { hold_ = true; }
  void release();
  bool is_holding() const { return held_.has_value(); }
  // poll() has something to yield of which the descriptor knows nothing.
  bool has_news() const { return !made_up_.empty(); }
  // Nothing can be read any more.
  void fail_reading(Error error) { read_fault_ = std::move(error); }
  // A transport that is shared has several engines; the loop of a rig is told that it is one.
  void pretend_shared() { pretend_shared_ = true; }

  Result<void> read_from(Index after) override { return inner_->read_from(after); }
  Index head() const override { return inner_->head(); }
  AppendTicket append(Buffer entry) override;
  void poll(Polled& out) override;
  int descriptor() const override { return inner_->descriptor(); }
  void trim(Index index) override { inner_->trim(index); }
  Capabilities capabilities() const override {
    Capabilities capabilities = inner_->capabilities();
    capabilities.shared = pretend_shared_;
    return capabilities;
  }
  std::string guarantee() const override { return inner_->guarantee(); }

 private:
  void pass_on(AppendTicket ticket, Buffer entry);

  std::unique_ptr<Transport> inner_;
  std::vector<JournalEntry>& seen_;
  std::deque<AppendFault> faults_;
  bool hold_ = false;
  std::optional<std::pair<AppendTicket, Buffer>> held_;
  std::optional<Error> read_fault_;
  bool pretend_shared_ = false;
  std::vector<AppendFate> made_up_;  // fates that the inner transport does not know
  std::vector<std::pair<AppendTicket, AppendTicket>> tickets_;  // the inner one's, and ours
  std::optional<Error> error_of_written_;
  AppendTicket last_ticket_ = 0;
};

class FaultyStore final : public Store {
 public:
  explicit FaultyStore(std::unique_ptr<Store> inner) : inner_(std::move(inner)) {}

  // The next flush writes nothing and ends with `error`; stopped is for good.
  void fail_next_flush(Error error) { fault_ = std::move(error); }
  // Every read fails from now on; nothing: they go on.
  void fail_reads(std::optional<Error> error) { read_fault_ = std::move(error); }
  // Specs are not found, and events come as bytes that are none.
  void damage_rows(bool damage) { damage_ = damage; }
  void hold_flushes() { hold_ = true; }
  void release_flushes();
  // The flush that is held ends now, with this error or as it should. The next one is held again.
  void end_flush(std::optional<Error> error);
  void set_room_bytes(std::optional<std::uint64_t> bytes) { room_bytes_ = bytes; }
  bool is_holding() const { return held_ != nullptr; }
  std::uint64_t flushes_begun() const { return flushes_begun_; }
  // The same for flushed().
  bool has_news() const { return failed_.has_value(); }

  Result<void> load(StoreReader& reader) override { return inner_->load(reader); }
  void begin_flush(std::shared_ptr<const Flush> flush) override;
  std::optional<Result<void>> flushed() override;
  int descriptor() const override { return inner_->descriptor(); }
  Result<std::optional<StoredTask>> find(const TaskId& id) override;
  Result<std::optional<std::string>> spec(const TaskId& id) override;
  Result<std::optional<std::string>> result(const TaskId& id) override;
  Result<std::string> output(const TaskId& id, std::uint64_t offset,
                             std::uint64_t bytes_max) override;
  Result<std::vector<std::string>> events_after(std::uint64_t entry,
                                                std::uint64_t bytes_max) override;
  Result<std::optional<std::uint64_t>> first_event() override;
  Result<std::optional<TaskId>> find_number(std::uint64_t number) override;
  Result<ListPage> list(const ListQuery& query) override;
  std::uint64_t room_bytes() override { return room_bytes_.value_or(inner_->room_bytes()); }

 private:
  std::unique_ptr<Store> inner_;
  std::optional<Error> fault_;
  std::optional<Error> failed_;  // what the next flushed() tells
  std::optional<Error> stopped_;
  std::optional<Error> read_fault_;
  bool damage_ = false;
  bool hold_ = false;
  std::shared_ptr<const Flush> held_;
  std::uint64_t flushes_begun_ = 0;
  std::optional<std::uint64_t> room_bytes_;
};

}  // namespace jack::testing

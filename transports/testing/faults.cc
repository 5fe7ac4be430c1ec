#include "transports/testing/faults.h"

#include <algorithm>
#include <iterator>

namespace jack::testing {

AppendTicket FaultyTransport::append(Buffer entry) {
  const AppendTicket ticket = ++last_ticket_;
  if (hold_) {
    held_.emplace(ticket, std::move(entry));
    return ticket;
  }
  pass_on(ticket, std::move(entry));
  return ticket;
}

void FaultyTransport::release() {
  hold_ = false;
  if (!held_) return;
  auto [ticket, entry] = *std::exchange(held_, std::nullopt);
  pass_on(ticket, std::move(entry));
}

void FaultyTransport::pass_on(AppendTicket ticket, Buffer entry) {
  if (faults_.empty()) {
    tickets_.emplace_back(inner_->append(std::move(entry)), ticket);
    return;
  }
  AppendFault fault = std::move(faults_.front());
  faults_.pop_front();
  if (fault.written) {
    tickets_.emplace_back(inner_->append(std::move(entry)), ticket);
    error_of_written_ = std::move(fault.error);
    return;
  }
  made_up_.push_back({ticket, std::move(fault.error), fault.certain});
}

void FaultyTransport::poll(Polled& out) {
  const std::size_t before = out.entries.size();
  Polled polled;
  inner_->poll(polled);
  for (JournalEntry& entry : polled.entries) out.entries.push_back(std::move(entry));
  for (std::size_t i = before; i < out.entries.size(); ++i) {
    if (seen_.empty() || out.entries[i].index > seen_.back().index) seen_.push_back(out.entries[i]);
  }
  for (AppendFate& fate : polled.fates) {
    const auto known = std::find_if(tickets_.begin(), tickets_.end(),
                                    [&](const auto& pair) { return pair.first == fate.ticket; });
    fate.ticket = known->second;
    tickets_.erase(known);
    if (error_of_written_) {
      fate.result = *std::exchange(error_of_written_, std::nullopt);
      fate.certain = false;
    }
    out.fates.push_back(std::move(fate));
  }
  std::move(made_up_.begin(), made_up_.end(), std::back_inserter(out.fates));
  made_up_.clear();
  out.failed = read_fault_ ? std::exchange(read_fault_, std::nullopt) : std::move(polled.failed);
}

void FaultyStore::begin_flush(std::shared_ptr<const Flush> flush) {
  ++flushes_begun_;
  if (stopped_ || fault_) {
    failed_ = stopped_ ? *stopped_ : *std::exchange(fault_, std::nullopt);
    if (failed_->code == Code::stopped) stopped_ = failed_;
    return;
  }
  if (hold_) {
    held_ = std::move(flush);
    return;
  }
  inner_->begin_flush(std::move(flush));
}

void FaultyStore::release_flushes() {
  hold_ = false;
  end_flush({});
}

void FaultyStore::end_flush(std::optional<Error> error) {
  if (held_ == nullptr) return;
  const std::shared_ptr<const Flush> flush = std::exchange(held_, nullptr);
  if (!error) {
    inner_->begin_flush(flush);
    return;
  }
  failed_ = std::move(error);
  if (failed_->code == Code::stopped) stopped_ = failed_;
}

std::optional<Result<void>> FaultyStore::flushed() {
  if (failed_) return Result<void>(*std::exchange(failed_, std::nullopt));
  if (held_ != nullptr) return std::nullopt;
  return inner_->flushed();
}

Result<std::optional<StoredTask>> FaultyStore::find(const TaskId& id) {
  if (read_fault_) return *read_fault_;
  return inner_->find(id);
}

Result<std::optional<std::string>> FaultyStore::spec(const TaskId& id) {
  if (read_fault_) return *read_fault_;
  if (damage_) return std::optional<std::string>();
  return inner_->spec(id);
}

Result<std::optional<std::string>> FaultyStore::result(const TaskId& id) {
  if (read_fault_) return *read_fault_;
  return inner_->result(id);
}

Result<std::string> FaultyStore::output(const TaskId& id, std::uint64_t offset,
                                        std::uint64_t bytes_max) {
  if (read_fault_) return *read_fault_;
  return inner_->output(id, offset, bytes_max);
}

Result<std::vector<std::string>> FaultyStore::events_after(std::uint64_t entry,
                                                           std::uint64_t bytes_max) {
  if (read_fault_) return *read_fault_;
  if (damage_) return std::vector<std::string>{"no events"};
  return inner_->events_after(entry, bytes_max);
}

Result<std::optional<TaskId>> FaultyStore::find_number(std::uint64_t number) {
  if (read_fault_) return *read_fault_;
  return inner_->find_number(number);
}

Result<std::optional<std::uint64_t>> FaultyStore::first_event() {
  if (read_fault_) return *read_fault_;
  return inner_->first_event();
}

Result<ListPage> FaultyStore::list(const ListQuery& query) {
  if (read_fault_) return *read_fault_;
  return inner_->list(query);
}

}  // namespace jack::testing

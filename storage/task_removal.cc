// The part of TaskWriter that removes what is dropped or emptied: row by row in small portions,
// because dropping a large table at once would keep flushes waiting for as long as it takes to read
// all of it.
#include <array>
#include <utility>

#include "storage/task_writer.h"

namespace jack {
namespace {

// Of one portion: a few milliseconds.
constexpr std::uint64_t kRemovedBytes = 4 << 20;
constexpr int kRemovedRows = 2000;

}  // namespace

Result<bool> TaskWriter::remove_some() {
  if (removals_.empty()) return false;
  const Partition partition = removals_.begin()->first;
  const Removal removal = removals_.begin()->second;
  const Result<std::optional<std::string>> end = end_of_chunk(partition, removal.after);
  if (!end) return end.error();

  const Result<void> removed =
      *end ? remove_chunk(partition, removal, **end) : finish_removal(partition, removal.stage);
  if (!removed) return removed.error();
  if (*end) removals_.begin()->second.after = **end;
  return has_to_remove();
}

// The id of the last row of the next portion; nothing where no row is left.
Result<std::optional<std::string>> TaskWriter::end_of_chunk(Partition partition,
                                                            const std::string& after) {
  Result<Statement> select = database_->prepare(
      "SELECT id, length(status) + coalesce(length(spec), 0) + coalesce(length(result), 0) +"
      " coalesce(length(output), 0) FROM " +
      table_of(partition) + " WHERE id > ?1 ORDER BY id");
  if (!select) return select.error();
  select->bind_bytes(1, after);
  std::optional<std::string> end;
  std::uint64_t bytes = 0;
  for (int rows = 0; rows < kRemovedRows && bytes < kRemovedBytes; ++rows) {
    const Result<bool> row = select->step();
    if (!row) return row.error();
    if (!*row) break;
    end = std::string(select->bytes(0));
    bytes += static_cast<std::uint64_t>(select->integer(1));
  }
  return end;
}

Result<void> TaskWriter::remove_chunk(Partition partition, const Removal& removal,
                                      const std::string& end) {
  const std::string table = table_of(partition);
  const std::string rows = " WHERE id > ?1 AND id <= ?2";
  Result<Transaction> transaction = Transaction::begin(*database_);
  if (!transaction) return transaction.error();
  Result<void> removed;
  {
    Result<Statement> statement = database_->prepare(
        removal.stage == PartitionStage::dropping
            ? "DELETE FROM " + table + rows
            : "UPDATE " + table +
                  " SET spec = NULL, result = NULL, output = NULL, spec_seal = NULL,"
                  " result_seal = NULL, output_seal = NULL" +
                  rows);
    if (!statement) return std::move(*transaction).abandon(statement.error());
    statement->bind_bytes(1, removal.after).bind_bytes(2, end);
    removed = statement->run();
  }
  if (!removed) return std::move(*transaction).abandon(removed.error());
  return std::move(*transaction).commit();
}

Result<void> TaskWriter::finish_removal(Partition partition, PartitionStage stage) {
  inserts_.erase(partition);
  Result<Transaction> transaction = Transaction::begin(*database_);
  if (!transaction) return transaction.error();
  Result<void> done;
  if (stage == PartitionStage::dropping) {
    done = database_->execute("DROP TABLE " + table_of(partition));
    if (done) {
      drop_partition_.bind(1, partition);
      done = drop_partition_.run();
    }
  } else {
    done = put_stage(partition, PartitionStage::emptied);
  }
  if (!done) return std::move(*transaction).abandon(done.error());
  if (Result<void> committed = std::move(*transaction).commit(); !committed) return committed;

  removals_.erase(partition);
  if (stage == PartitionStage::dropping) {
    stages_.erase(partition);
  } else {
    stages_[partition] = PartitionStage::emptied;
  }
  return {};
}

}  // namespace jack

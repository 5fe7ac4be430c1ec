#include "storage/task_writer.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "engine/assert.h"

namespace jack {
namespace {

constexpr std::int64_t kRowsPrunedPerFlush = 64;  // of events, and of numbers: each flush adds one

std::int64_t to_column(TaskState state) { return static_cast<std::int64_t>(state); }
std::int64_t to_column(PartitionStage stage) { return static_cast<std::int64_t>(stage); }
std::int64_t to_column(std::uint64_t number) {
  JACK_ASSERT(number <= INT64_MAX);
  return static_cast<std::int64_t>(number);
}

// Of a live row or a finished one.
template <typename Row>
Seal seal_of(const Row& row) {
  return seal_of_status(row.id, to_column(row.state), row.queue, row.status);
}

Partition partition_of(const LiveRow&) { return 0; }
Partition partition_of(const FinishedRow& row) { return row.partition; }

// Rows in the order of their tree: each then goes to the page that the one before it went to.
template <typename Row>
std::vector<const Row*> sorted(std::span<const Row> rows) {
  std::vector<const Row*> order;
  order.reserve(rows.size());
  for (const Row& row : rows) order.push_back(&row);
  std::sort(order.begin(), order.end(), [](const Row* a, const Row* b) {
    if (partition_of(*a) != partition_of(*b)) return partition_of(*a) < partition_of(*b);
    return a->id.view() < b->id.view();
  });
  return order;
}

// The ids of `rows`, for binary search.
template <typename Row>
std::vector<TaskId> sorted_ids(std::span<const Row> rows) {
  std::vector<TaskId> ids;
  ids.reserve(rows.size());
  for (const Row& row : rows) ids.push_back(row.id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

bool contains(std::span<const TaskId> ids, const TaskId& id) {
  return std::binary_search(ids.begin(), ids.end(), id);
}

}  // namespace

Result<std::unique_ptr<TaskWriter>> TaskWriter::open(const TaskWriterOptions& options) {
  DatabaseOptions file;
  file.path = options.path;
  file.schema = task_schema();
  file.cache_bytes = 48 << 20;
  file.row_bytes_max = kTaskRowBytesMax;
  file.wal_kept_bytes = 2 * options.wal_bytes;
  file.vfs = options.vfs;
  Result<std::unique_ptr<Database>> database = Database::open(file);
  if (!database) return database.error();
  std::unique_ptr<TaskWriter> writer(new TaskWriter(std::move(*database), options.wal_bytes));
  if (Result<void> done = writer->prepare(); !done) return done.error();
  if (Result<void> done = writer->load_stages(); !done) return done.error();
  return writer;
}

TaskWriter::TaskWriter(std::unique_ptr<Database> database, std::int64_t wal_bytes)
    : database_(std::move(database)), wal_bytes_(wal_bytes) {}

Result<void> TaskWriter::prepare() {
  const std::array<std::pair<Statement*, const char*>, 18> statements{{
      {&put_queue_, "INSERT OR REPLACE INTO queue VALUES(?1, ?2, ?3, ?4)"},
      {&drop_queue_, "DELETE FROM queue WHERE number = ?1"},
      {&put_live_, "INSERT OR REPLACE INTO live VALUES(?1, ?2, ?3, ?4, ?5)"},
      {&drop_live_, "DELETE FROM live WHERE id = ?1"},
      {&put_spec_, "INSERT OR REPLACE INTO spec VALUES(?1, ?2, ?3)"},
      {&get_spec_, "SELECT spec, spec_seal FROM spec WHERE id = ?1"},
      {&drop_spec_, "DELETE FROM spec WHERE id = ?1"},
      {&put_output_, "INSERT OR REPLACE INTO output VALUES(?1, ?2, ?3, ?4)"},
      {&get_output_, "SELECT start, output, output_seal FROM output WHERE id = ?1 ORDER BY start"},
      {&drop_output_, "DELETE FROM output WHERE id = ?1"},
      {&put_events_, "INSERT OR REPLACE INTO events VALUES(?1, ?2, ?3, ?4, ?5)"},
      {&old_events_, "SELECT first, at_ms FROM events ORDER BY first LIMIT ?1"},
      {&drop_events_, "DELETE FROM events WHERE first <= ?1"},
      {&put_numbers_, "INSERT OR REPLACE INTO numbers VALUES(?1, ?2, ?3, ?4)"},
      {&drop_numbers_,
       "DELETE FROM numbers WHERE first IN (SELECT first FROM numbers WHERE first +"
       " length(ids) / 16 <= ?1 AND at_ms < ?2 ORDER BY first LIMIT ?3)"},
      {&put_meta_, "INSERT OR REPLACE INTO meta VALUES(1, ?1, ?2, ?3)"},
      {&put_partition_, "INSERT OR REPLACE INTO partition VALUES(?1, ?2, ?3)"},
      {&drop_partition_, "DELETE FROM partition WHERE hour = ?1"},
  }};
  for (const auto& [statement, sql] : statements) {
    Result<Statement> prepared = database_->prepare(sql);
    if (!prepared) return prepared.error();
    *statement = std::move(*prepared);
  }
  return {};
}

// What is under way is in the file, so that a restart, or a flush that was rolled back, finds it.
Result<void> TaskWriter::load_stages() {
  stages_.clear();
  removals_.clear();
  inserts_.clear();
  Result<Statement> select = database_->prepare("SELECT hour, stage, seal FROM partition");
  if (!select) return select.error();
  for (;;) {
    const Result<bool> row = select->step();
    if (!row) return row.error();
    if (!*row) return {};
    const Partition partition = select->integer(0);
    const Seal seal = seal_of_stage(partition, select->integer(1));
    if (Result<void> intact = seal.check(select->integer(2)); !intact) return intact;
    const auto stage = static_cast<PartitionStage>(select->integer(1));
    stages_[partition] = stage;
    const bool under_way = stage == PartitionStage::emptying || stage == PartitionStage::dropping;
    if (under_way) removals_[partition] = Removal{stage, {}};
  }
}

Result<std::vector<PartitionGrowth>> TaskWriter::write(const Flush& flush) {
  growth_.clear();
  Result<Transaction> transaction = Transaction::begin(*database_);
  if (!transaction) return transaction.error();
  Result<void> written = write_all(flush);
  if (!written) {
    written = std::move(*transaction).abandon(written.error());
  } else {
    written = std::move(*transaction).commit();
  }
  if (written) return std::move(growth_);

  if (Result<void> back = load_stages(); !back) return Error{Code::stopped, back.error().message};
  return written.error();
}

Result<void> TaskWriter::write_all(const Flush& flush) {
  // In this order: a task may be revived, given output and finished in one flush.
  if (Result<void> done = write_queues(flush); !done) return done;
  if (Result<void> done = write_revived(flush); !done) return done;
  if (Result<void> done = write_live(flush); !done) return done;
  if (Result<void> done = write_output(flush); !done) return done;
  if (Result<void> done = write_finished(flush); !done) return done;
  if (Result<void> done = write_restated(flush); !done) return done;
  if (Result<void> done = write_numbers(flush); !done) return done;
  if (Result<void> done = write_events(flush); !done) return done;
  for (const Partition partition : flush.emptied) {
    if (Result<void> done = mark(partition, PartitionStage::emptying); !done) return done;
  }
  for (const Partition partition : flush.dropped) {
    if (Result<void> done = mark(partition, PartitionStage::dropping); !done) return done;
  }
  return write_meta(flush);
}

Result<void> TaskWriter::write_queues(const Flush& flush) {
  for (const std::uint32_t number : flush.queues_gone) {
    drop_queue_.bind(1, number);
    if (Result<void> done = drop_queue_.run(); !done) return done;
  }
  for (const QueueRow& row : flush.queues) {
    put_queue_.bind(1, row.number)
        .bind_text(2, row.name)
        .bind_bytes(3, row.record)
        .bind(4, seal_of_queue(row.number, row.name, row.record).column());
    if (Result<void> done = put_queue_.run(); !done) return done;
  }
  return {};
}

Result<void> TaskWriter::write_revived(const Flush& flush) {
  for (const RevivedRow& row : flush.revived) {
    const std::string table = table_of(row.partition);
    if (!stages_.contains(row.partition)) {
      return Error{Code::corruption, "the task to retry is not in the task store"};
    }
    const std::array<std::string, 3> moves{
        "INSERT OR REPLACE INTO spec SELECT id, spec, spec_seal FROM " + table + " WHERE id = ?1",
        "INSERT OR REPLACE INTO output SELECT id, 0, output, output_seal FROM " + table +
            " WHERE id = ?1 AND output IS NOT NULL",
        "DELETE FROM " + table + " WHERE id = ?1"};
    for (const std::string& sql : moves) {
      Result<Statement> move = database_->prepare(sql);
      if (!move) return move.error();
      move->bind_bytes(1, row.id.view());
      if (Result<void> done = move->run(); !done) return done;
    }
  }
  return {};
}

Result<void> TaskWriter::write_live(const Flush& flush) {
  const std::vector<const LiveRow*> rows = sorted(std::span(flush.live));
  for (const LiveRow* row : rows) {
    put_live_.bind_bytes(1, row->id.view())
        .bind(2, to_column(row->state))
        .bind_text(3, row->queue)
        .bind_bytes(4, row->status)
        .bind(5, seal_of(*row).column());
    if (Result<void> done = put_live_.run(); !done) return done;
  }
  for (const LiveRow* row : rows) {
    if (row->spec.empty()) continue;
    put_spec_.bind_bytes(1, row->id.view())
        .bind_bytes(2, row->spec)
        .bind(3, seal_of_spec(row->id, row->spec).column());
    if (Result<void> done = put_spec_.run(); !done) return done;
  }
  return {};
}

Result<void> TaskWriter::write_output(const Flush& flush) {
  for (const OutputRow& row : flush.output) {
    put_output_.bind_bytes(1, row.id.view())
        .bind(2, to_column(row.offset))
        .bind_bytes(3, row.bytes)
        .bind(4, seal_of_output(row.id, to_column(row.offset), row.bytes).column());
    if (Result<void> done = put_output_.run(); !done) return done;
  }
  return {};
}

Result<void> TaskWriter::write_finished(const Flush& flush) {
  const std::vector<TaskId> revived = sorted_ids(std::span(flush.revived));
  const std::vector<TaskId> with_output = sorted_ids(std::span(flush.output));
  for (const FinishedRow* row : sorted(std::span(flush.finished))) {
    const bool stored = row->was_live || row->spec.empty() || contains(revived, row->id) ||
                        contains(with_output, row->id);
    if (Result<void> done = write_finished_row(*row, stored); !done) return done;
    grew(*row);
  }
  return {};
}

// `stored`: something of the task is in the tables of live tasks and moves from there.
Result<void> TaskWriter::write_finished_row(const FinishedRow& row, bool stored) {
  const Result<Statement*> insert = insert_into(row.partition);
  if (!insert) return insert.error();
  std::optional<Taken> spec;
  std::optional<Taken> output;
  if (stored) {
    if (row.spec.empty()) {
      Result<Taken> taken = take_spec(row.id);
      if (!taken) return taken.error();
      spec = std::move(*taken);
    }
    Result<std::optional<Taken>> chunks = take_output(row.id);
    if (!chunks) return chunks.error();
    output = std::move(*chunks);
    if (Result<void> done = remove(drop_live_, row.id); !done) return done;
    if (Result<void> done = remove(drop_spec_, row.id); !done) return done;
  }

  Statement& statement = **insert;
  statement.bind_bytes(1, row.id.view())
      .bind(2, to_column(row.state))
      .bind_text(3, row.queue)
      .bind_bytes(4, row.status)
      .bind(5, seal_of(row).column())
      .bind(6, spec ? spec->seal : seal_of_spec(row.id, row.spec).column())
      .bind(7, seal_of_result(row.id, row.result).column())
      .bind_bytes(9, spec ? std::string_view(spec->bytes) : row.spec)
      .bind_bytes(10, row.result);
  if (output) {
    statement.bind(8, output->seal).bind_bytes(11, output->bytes);
  } else {
    statement.bind_null(8).bind_null(11);
  }
  return statement.run();
}

Result<void> TaskWriter::write_restated(const Flush& flush) {
  for (const RestatedRow& row : flush.restated) {
    Result<Statement> update = database_->prepare(
        "UPDATE " + table_of(row.partition) + " SET state = ?2, status = ?3, status_seal = ?4" +
        (row.removed ? ", spec = NULL, result = NULL, output = NULL, spec_seal = NULL,"
                       " result_seal = NULL, output_seal = NULL"
                     : "") +
        " WHERE id = ?1");
    if (!update) return update.error();
    const std::int64_t state = row.removed ? kRemovedState : to_column(row.state);
    update->bind_bytes(1, row.id.view())
        .bind(2, state)
        .bind_bytes(3, row.status)
        .bind(4, seal_of_status(row.id, state, row.queue, row.status).column());
    if (Result<void> done = update->run(); !done) return done;
  }
  return {};
}

Result<void> TaskWriter::write_numbers(const Flush& flush) {
  if (flush.numbers) {
    const auto first = to_column(flush.numbers->first);
    put_numbers_.bind(1, first)
        .bind(2, flush.numbers->at_ms)
        .bind_bytes(3, flush.numbers->ids)
        .bind(4, seal_of_numbers(first, flush.numbers->at_ms, flush.numbers->ids).column());
    if (Result<void> done = put_numbers_.run(); !done) return done;
  }
  drop_numbers_.bind(1, to_column(flush.numbers_below))
      .bind(2, flush.numbers_before_ms)
      .bind(3, kRowsPrunedPerFlush);
  return drop_numbers_.run();
}

// The flush's rows come sorted, so a partition's first and last are the ends of its range.
void TaskWriter::grew(const FinishedRow& row) {
  if (growth_.empty() || growth_.back().partition != row.partition) {
    growth_.push_back({row.partition, row.id, row.id});
  }
  growth_.back().last = row.id;
}

Result<Statement*> TaskWriter::insert_into(Partition partition) {
  if (const auto found = inserts_.find(partition); found != inserts_.end()) return &found->second;
  const auto known = stages_.find(partition);
  if (known != stages_.end() && known->second == PartitionStage::dropping) {
    return Error{Code::internal, "a task finished in an hour that was dropped already"};
  }
  if (known == stages_.end()) {
    if (Result<void> made = database_->execute(make_table_of(partition)); !made) {
      return made.error();
    }
    if (Result<void> done = mark(partition, PartitionStage::whole); !done) return done.error();
  }
  Result<Statement> insert =
      database_->prepare("INSERT OR REPLACE INTO " + table_of(partition) +
                         " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)");
  if (!insert) return insert.error();
  // Tasks finish in the hour that passes or the one before it.
  if (inserts_.size() >= 4) inserts_.erase(inserts_.begin());
  return &inserts_.insert_or_assign(partition, std::move(*insert)).first->second;
}

Result<TaskWriter::Taken> TaskWriter::take_spec(const TaskId& id) {
  const Reading reading(get_spec_);
  get_spec_.bind_bytes(1, id.view());
  const Result<bool> row = get_spec_.step();
  if (!row) return row.error();
  if (*row) return Taken{std::string(get_spec_.bytes(0)), get_spec_.integer(1)};
  return Error{Code::corruption, "the spec of task " + to_string(id) +
                                     " is not in the task store, where it was flushed to"};
}

Result<std::optional<TaskWriter::Taken>> TaskWriter::take_output(const TaskId& id) {
  std::optional<Taken> output;
  bool whole = true;
  {
    const Reading reading(get_output_);
    get_output_.bind_bytes(1, id.view());
    for (;;) {
      const Result<bool> row = get_output_.step();
      if (!row) return row.error();
      if (!*row) break;
      if (!output) output.emplace();
      const std::string_view chunk = get_output_.bytes(1);
      const Seal seal = seal_of_output(id, get_output_.integer(0), chunk);
      if (Result<void> intact = seal.check(get_output_.integer(2)); !intact) whole = false;
      output->bytes += chunk;
    }
  }
  if (!output) return output;
  output->seal = seal_of_output(id, 0, output->bytes).column();
  if (!whole) output->seal = ~output->seal;  // damage is not sealed anew
  if (Result<void> done = remove(drop_output_, id); !done) return done.error();
  return output;
}

Result<void> TaskWriter::remove(Statement& statement, const TaskId& id) {
  statement.bind_bytes(1, id.view());
  return statement.run();
}

Result<void> TaskWriter::write_events(const Flush& flush) {
  if (flush.events) {
    put_events_.bind(1, to_column(flush.events->first))
        .bind(2, to_column(flush.events->last))
        .bind(3, flush.events->at_ms)
        .bind_bytes(4, flush.events->bytes)
        .bind(5, seal_of_events(to_column(flush.events->first), to_column(flush.events->last),
                                flush.events->at_ms, flush.events->bytes)
                     .column());
    if (Result<void> done = put_events_.run(); !done) return done;
  }
  return prune_events(flush.events_before_ms);
}

// Journal time never goes back, so what may go is a beginning of the table.
Result<void> TaskWriter::prune_events(std::int64_t before_ms) {
  std::optional<std::int64_t> end;
  {
    const Reading reading(old_events_);
    old_events_.bind(1, kRowsPrunedPerFlush);
    for (;;) {
      const Result<bool> row = old_events_.step();
      if (!row) return row.error();
      if (!*row || old_events_.integer(1) >= before_ms) break;
      end = old_events_.integer(0);
    }
  }
  if (!end) return {};
  drop_events_.bind(1, *end);
  return drop_events_.run();
}

Result<void> TaskWriter::write_meta(const Flush& flush) {
  const std::int64_t entry = to_column(flush.index);
  put_meta_.bind(1, entry)
      .bind_bytes(2, flush.meta)
      .bind(3, seal_of_meta(entry, flush.meta).column());
  return put_meta_.run();
}

// A stage only rises. Emptying or dropping what is not there, or is on its way, changes nothing.
Result<void> TaskWriter::mark(Partition partition, PartitionStage stage) {
  const auto known = stages_.find(partition);
  const bool exists = known != stages_.end();
  if (exists ? known->second >= stage : stage != PartitionStage::whole) return {};
  if (Result<void> done = put_stage(partition, stage); !done) return done;
  stages_[partition] = stage;
  if (stage != PartitionStage::whole) removals_[partition] = Removal{stage, {}};
  return {};
}

Result<void> TaskWriter::put_stage(Partition partition, PartitionStage stage) {
  put_partition_.bind(1, partition)
      .bind(2, to_column(stage))
      .bind(3, seal_of_stage(partition, to_column(stage)).column());
  return put_partition_.run();
}

Result<void> TaskWriter::checkpoint_if_due() {
  if (database_->wal_bytes() < wal_bytes_) return {};
  // A reader in the way, somebody's sqlite3 shell say, is waited for only when it really matters.
  const bool urgent = database_->wal_bytes() >= 8 * wal_bytes_;
  const auto mode = urgent ? Database::Mode::restart : Database::Mode::passive;
  const Result<Checkpoint> copied = database_->checkpoint(mode);
  if (!copied) return copied.error();
  return {};
}

}  // namespace jack

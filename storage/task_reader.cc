#include "storage/task_reader.h"

#include <algorithm>
#include <array>
#include <utility>

#include "storage/task_list.h"
#include "storage/task_schema.h"

namespace jack {
namespace {

// One moment of the file for several statements. Declared before what reads, so that it ends last.
class Moment {
 public:
  static Result<Moment> begin(Database& database) {
    if (Result<void> begun = database.begin_read(); !begun) return begun.error();
    return Moment(database);
  }
  Moment(Moment&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Moment& operator=(Moment&&) = delete;
  ~Moment() {
    if (database_ != nullptr) database_->end_read();
  }

 private:
  explicit Moment(Database& database) : database_(&database) {}

  Database* database_;
};

}  // namespace

Result<std::unique_ptr<TaskReader>> TaskReader::open(const std::string& path,
                                                     const std::string& vfs) {
  DatabaseOptions file;
  file.path = path;
  file.schema = task_schema();
  file.read_only = true;
  file.row_bytes_max = kTaskRowBytesMax;
  file.vfs = vfs;
  Result<std::unique_ptr<Database>> database = Database::open(file);
  if (!database) return database.error();
  std::unique_ptr<TaskReader> reader(new TaskReader(std::move(*database)));
  if (Result<void> done = reader->prepare(); !done) return done.error();
  return reader;
}

Result<void> TaskReader::prepare() {
  const std::array<std::pair<Statement*, const char*>, 6> statements{{
      {&live_, "SELECT status, status_seal, state, queue FROM live WHERE id = ?1"},
      {&spec_, "SELECT spec, spec_seal FROM spec WHERE id = ?1"},
      {&output_, "SELECT start, output, output_seal FROM output WHERE id = ?1 ORDER BY start"},
      // From the row that holds the entry after ?1, if one does, or else the next.
      {&events_,
       "SELECT first, last, at_ms, bytes, seal FROM events WHERE first >="
       " coalesce((SELECT max(first) FROM events WHERE first <= ?1), 0) ORDER BY first"},
      {&first_event_, "SELECT min(first) FROM events"},
      {&numbers_,
       "SELECT first, at_ms, ids, seal FROM numbers WHERE first <= ?1 ORDER BY first DESC LIMIT 1"},
  }};
  for (const auto& [statement, sql] : statements) {
    Result<Statement> prepared = database_->prepare(sql);
    if (!prepared) return prepared.error();
    *statement = std::move(*prepared);
  }
  return {};
}

Result<void> TaskReader::load(StoreReader& reader, Partitions& partitions) {
  const Result<Moment> moment = Moment::begin(*database_);
  if (!moment) return moment.error();
  if (Result<void> done = load_meta(reader); !done) return done;
  if (Result<void> done = load_queues(reader); !done) return done;
  if (Result<void> done = load_live(reader); !done) return done;
  return load_partitions(partitions);
}

Result<void> TaskReader::load_meta(StoreReader& reader) {
  Result<Statement> select = database_->prepare("SELECT entry, bytes, seal FROM meta");
  if (!select) return select.error();
  const Result<bool> row = select->step();
  if (!row) return row.error();
  if (!*row) return {};
  const Seal seal = seal_of_meta(select->integer(0), select->bytes(1));
  if (Result<void> intact = seal.check(select->integer(2)); !intact) return intact;
  return reader.on_meta(static_cast<Index>(select->integer(0)), select->bytes(1));
}

Result<void> TaskReader::load_queues(StoreReader& reader) {
  Result<Statement> select =
      database_->prepare("SELECT number, name, record, seal FROM queue ORDER BY number");
  if (!select) return select.error();
  for (;;) {
    const Result<bool> row = select->step();
    if (!row) return row.error();
    if (!*row) return {};
    const std::int64_t number = select->integer(0);
    const Seal seal = seal_of_queue(number, select->bytes(1), select->bytes(2));
    if (Result<void> intact = seal.check(select->integer(3)); !intact) return intact;
    if (number < 0 || number > UINT32_MAX) {
      return Error{Code::corruption, "the task store holds a queue with an impossible number"};
    }
    Result<void> taken =
        reader.on_queue(static_cast<std::uint32_t>(number), select->bytes(1), select->bytes(2));
    if (!taken) return taken;
  }
}

Result<void> TaskReader::load_live(StoreReader& reader) {
  Result<Statement> select =
      database_->prepare("SELECT id, status, status_seal, state, queue FROM live ORDER BY id");
  if (!select) return select.error();
  for (;;) {
    const Result<bool> row = select->step();
    if (!row) return row.error();
    if (!*row) return {};
    const Result<TaskId> id = id_from(select->bytes(0));
    if (!id) return id.error();
    const Result<std::string_view> status = unseal_some(*select, 1, Sealed::status, *id);
    if (!status) return status.error();
    if (Result<void> taken = reader.on_live(*id, *status); !taken) return taken;
  }
}

Result<void> TaskReader::load_partitions(Partitions& partitions) {
  Result<Statement> select =
      database_->prepare("SELECT hour, stage, seal FROM partition ORDER BY hour");
  if (!select) return select.error();
  for (;;) {
    const Result<bool> row = select->step();
    if (!row) return row.error();
    if (!*row) return {};
    const Seal seal = seal_of_stage(select->integer(0), select->integer(1));
    if (Result<void> intact = seal.check(select->integer(2)); !intact) return intact;
    const auto stage = static_cast<PartitionStage>(select->integer(1));
    if (stage == PartitionStage::dropping) continue;
    const bool emptied = stage != PartitionStage::whole;
    if (Result<void> done = load_range(select->integer(0), emptied, partitions); !done) return done;
  }
}

Result<void> TaskReader::load_range(Partition partition, bool emptied, Partitions& partitions) {
  const std::string table = table_of(partition);
  Result<Statement> select = database_->prepare("SELECT (SELECT min(id) FROM " + table +
                                                "), (SELECT max(id) FROM " + table + ")");
  if (!select) return select.error();
  const Result<bool> row = select->step();
  if (!row) return row.error();
  if (select->is_null(0)) return {};  // all its tasks were retried
  const Result<TaskId> first = id_from(select->bytes(0));
  if (!first) return first.error();
  const Result<TaskId> last = id_from(select->bytes(1));
  if (!last) return last.error();
  partitions.add(partition, *first, *last);
  if (emptied) partitions.empty(partition);
  return {};
}

Result<std::optional<TaskReader::Found>> TaskReader::find_finished(const TaskId& id, Sealed what,
                                                                   const Partitions& partitions) {
  for (const auto& [partition, range] : partitions.ranges()) {
    if (!range.holds(id) || (range.emptied && what != Sealed::status)) continue;
    Result<Statement> select =
        database_->prepare("SELECT " + std::string(columns_of(what)) + " FROM " +
                           table_of(partition) + " WHERE id = ?1");
    if (!select) return select.error();
    select->bind_bytes(1, id.view());
    const Result<bool> row = select->step();
    if (!row) return row.error();
    if (!*row) continue;
    const Result<std::optional<std::string_view>> value = unseal(*select, 0, what, id);
    if (!value) return value.error();
    if (!*value) return std::optional<Found>();
    Found found{partition, std::string(**value), {}};
    if (what == Sealed::status) found.queue = select->bytes(3);
    return std::optional(std::move(found));
  }
  return std::optional<Found>();
}

Result<std::optional<std::string>> TaskReader::finished_value(const TaskId& id, Sealed what,
                                                              const Partitions& partitions) {
  Result<std::optional<Found>> found = find_finished(id, what, partitions);
  if (!found) return found.error();
  if (!*found) return std::optional<std::string>();
  return std::optional(std::move((*found)->bytes));
}

Result<std::optional<StoredTask>> TaskReader::find(const TaskId& id, const Partitions& partitions) {
  const Result<Moment> moment = Moment::begin(*database_);
  if (!moment) return moment.error();
  {
    const Reading reading(live_);
    live_.bind_bytes(1, id.view());
    const Result<bool> row = live_.step();
    if (!row) return row.error();
    if (*row) {
      const Result<std::string_view> status = unseal_some(live_, 0, Sealed::status, id);
      if (!status) return status.error();
      return std::optional(StoredTask{false, 0, std::string(*status), std::string(live_.bytes(3))});
    }
  }
  Result<std::optional<Found>> found = find_finished(id, Sealed::status, partitions);
  if (!found) return found.error();
  if (!*found) return std::optional<StoredTask>();
  return std::optional(StoredTask{true, (*found)->partition, std::move((*found)->bytes),
                                  std::move((*found)->queue)});
}

Result<std::optional<std::string>> TaskReader::spec(const TaskId& id,
                                                    const Partitions& partitions) {
  const Result<Moment> moment = Moment::begin(*database_);
  if (!moment) return moment.error();
  {
    const Reading reading(spec_);
    spec_.bind_bytes(1, id.view());
    const Result<bool> row = spec_.step();
    if (!row) return row.error();
    if (*row) {
      const Result<std::string_view> spec = unseal_some(spec_, 0, Sealed::spec, id);
      if (!spec) return spec.error();
      return std::optional(std::string(*spec));
    }
  }
  return finished_value(id, Sealed::spec, partitions);
}

Result<std::optional<std::string>> TaskReader::result(const TaskId& id,
                                                      const Partitions& partitions) {
  const Result<Moment> moment = Moment::begin(*database_);
  if (!moment) return moment.error();
  return finished_value(id, Sealed::result, partitions);
}

Result<bool> TaskReader::is_live(const TaskId& id) {
  const Reading reading(live_);
  live_.bind_bytes(1, id.view());
  return live_.step();
}

Result<std::string> TaskReader::output(const TaskId& id, std::uint64_t offset,
                                       std::uint64_t bytes_max, const Partitions& partitions) {
  const Result<Moment> moment = Moment::begin(*database_);
  if (!moment) return moment.error();
  const Result<bool> live = is_live(id);
  if (!live) return live.error();
  if (*live) return live_output(id, offset, bytes_max);

  const Result<std::optional<std::string>> whole = finished_value(id, Sealed::output, partitions);
  if (!whole) return whole.error();
  if (!*whole || offset >= (*whole)->size()) return std::string();
  return (*whole)->substr(offset, bytes_max);
}

Result<std::string> TaskReader::live_output(const TaskId& id, std::uint64_t offset,
                                            std::uint64_t bytes_max) {
  const Reading reading(output_);
  output_.bind_bytes(1, id.view());
  std::string output;
  while (output.size() < bytes_max) {
    const Result<bool> row = output_.step();
    if (!row) return row.error();
    if (!*row) break;
    const auto start = static_cast<std::uint64_t>(output_.integer(0));
    const std::string_view chunk = output_.bytes(1);
    const Seal seal = seal_of_output(id, output_.integer(0), chunk);
    if (Result<void> intact = seal.check(output_.integer(2)); !intact) return intact.error();
    if (start + chunk.size() <= offset) continue;
    const std::uint64_t skipped = offset > start ? offset - start : 0;
    output += chunk.substr(skipped, bytes_max - output.size());
  }
  return output;
}

Result<std::optional<TaskId>> TaskReader::find_number(std::uint64_t number) {
  const Reading reading(numbers_);
  numbers_.bind(1, static_cast<std::int64_t>(std::min<std::uint64_t>(number, INT64_MAX)));
  const Result<bool> row = numbers_.step();
  if (!row) return row.error();
  if (!*row) return std::optional<TaskId>();
  const std::int64_t first = numbers_.integer(0);
  const std::string_view ids = numbers_.bytes(2);
  const Seal seal = seal_of_numbers(first, numbers_.integer(1), ids);
  if (Result<void> intact = seal.check(numbers_.integer(3)); !intact) return intact.error();
  const std::uint64_t place = (number - static_cast<std::uint64_t>(first)) * sizeof(TaskId);
  if (place >= ids.size()) return std::optional<TaskId>();
  const Result<TaskId> id = id_from(ids.substr(place, sizeof(TaskId)));
  if (!id) return id.error();
  return std::optional(*id);
}

Result<std::vector<std::string>> TaskReader::events_after(std::uint64_t entry,
                                                          std::uint64_t bytes_max) {
  const Reading reading(events_);
  events_.bind(1, static_cast<std::int64_t>(std::min<std::uint64_t>(entry, INT64_MAX - 1)) + 1);
  std::vector<std::string> blobs;
  for (std::uint64_t bytes = 0; bytes < bytes_max || blobs.empty();) {
    const Result<bool> row = events_.step();
    if (!row) return row.error();
    if (!*row) break;
    const std::string_view blob = events_.bytes(3);
    const Seal seal =
        seal_of_events(events_.integer(0), events_.integer(1), events_.integer(2), blob);
    if (Result<void> intact = seal.check(events_.integer(4)); !intact) return intact.error();
    if (static_cast<std::uint64_t>(events_.integer(1)) <= entry) continue;
    if (!blobs.empty() && bytes + blob.size() > bytes_max) break;
    bytes += blob.size();
    blobs.emplace_back(blob);
  }
  return blobs;
}

Result<std::optional<std::uint64_t>> TaskReader::first_event() {
  const Reading reading(first_event_);
  const Result<bool> row = first_event_.step();
  if (!row) return row.error();
  if (!*row || first_event_.is_null(0)) return std::optional<std::uint64_t>();
  return std::optional(static_cast<std::uint64_t>(first_event_.integer(0)));
}

Result<ListPage> TaskReader::list(const ListQuery& query, const Partitions& partitions) {
  const Result<Moment> moment = Moment::begin(*database_);
  if (!moment) return moment.error();
  return TaskList(*database_, partitions, query).read();
}

}  // namespace jack

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

std::optional<std::string> value_of(std::optional<FoundValue> found) {
  if (!found) return std::nullopt;
  return std::move(found->bytes);
}

}  // namespace

Result<std::optional<FoundValue>> find_finished(Database& database, const Partitions& partitions,
                                                const TaskId& id, std::string_view column,
                                                bool emptied_too) {
  for (const auto& [partition, range] : partitions.ranges()) {
    if (!range.holds(id) || (range.emptied && !emptied_too)) continue;
    Result<Statement> select = database.prepare("SELECT " + std::string(column) + " FROM " +
                                                table_of(partition) + " WHERE id = ?1");
    if (!select) return select.error();
    select->bind_bytes(1, id.view());
    const Result<bool> row = select->step();
    if (!row) return row.error();
    if (!*row) continue;
    if (select->is_null(0)) return std::optional<FoundValue>();
    return std::optional(FoundValue{partition, std::string(select->bytes(0))});
  }
  return std::optional<FoundValue>();
}

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
  const std::array<std::pair<Statement*, const char*>, 5> statements{{
      {&live_, "SELECT status FROM live WHERE id = ?1"},
      {&spec_, "SELECT bytes FROM spec WHERE id = ?1"},
      {&output_, "SELECT start, bytes FROM output WHERE id = ?1 ORDER BY start"},
      // From the row that holds the entry after ?1, if one does, or else the next.
      {&events_,
       "SELECT last, bytes FROM events WHERE first >="
       " coalesce((SELECT max(first) FROM events WHERE first <= ?1), 0) ORDER BY first"},
      {&first_event_, "SELECT min(first) FROM events"},
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
  return load_partitions(reader, partitions);
}

Result<void> TaskReader::load_meta(StoreReader& reader) {
  Result<Statement> select = database_->prepare("SELECT entry, bytes FROM meta");
  if (!select) return select.error();
  const Result<bool> row = select->step();
  if (!row) return row.error();
  if (!*row) return {};
  return reader.on_meta(static_cast<Index>(select->integer(0)), select->bytes(1));
}

Result<void> TaskReader::load_queues(StoreReader& reader) {
  Result<Statement> select =
      database_->prepare("SELECT number, name, record FROM queue ORDER BY number");
  if (!select) return select.error();
  for (;;) {
    const Result<bool> row = select->step();
    if (!row) return row.error();
    if (!*row) return {};
    const std::int64_t number = select->integer(0);
    if (number < 0 || number > UINT32_MAX) {
      return Error{Code::corruption, "the task store holds a queue with an impossible number"};
    }
    Result<void> taken =
        reader.on_queue(static_cast<std::uint32_t>(number), select->bytes(1), select->bytes(2));
    if (!taken) return taken;
  }
}

Result<void> TaskReader::load_live(StoreReader& reader) {
  Result<Statement> select = database_->prepare("SELECT id, status FROM live ORDER BY id");
  if (!select) return select.error();
  for (;;) {
    const Result<bool> row = select->step();
    if (!row) return row.error();
    if (!*row) return {};
    const Result<TaskId> id = id_from(select->bytes(0));
    if (!id) return id.error();
    if (Result<void> taken = reader.on_live(*id, select->bytes(1)); !taken) return taken;
  }
}

Result<void> TaskReader::load_partitions(StoreReader& reader, Partitions& partitions) {
  Result<Statement> select =
      database_->prepare("SELECT hour, stage FROM partition WHERE stage <> ?1 ORDER BY hour");
  if (!select) return select.error();
  select->bind(1, static_cast<std::int64_t>(PartitionStage::dropping));
  for (;;) {
    const Result<bool> row = select->step();
    if (!row) return row.error();
    if (!*row) return {};
    const bool emptied = select->integer(1) != static_cast<std::int64_t>(PartitionStage::whole);
    if (Result<void> done = load_range(reader, select->integer(0), emptied, partitions); !done) {
      return done;
    }
  }
}

Result<void> TaskReader::load_range(StoreReader& reader, Partition partition, bool emptied,
                                    Partitions& partitions) {
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
  return reader.on_partition(partition, *first, *last);
}

Result<std::optional<StoredTask>> TaskReader::find(const TaskId& id, const Partitions& partitions) {
  const Result<Moment> moment = Moment::begin(*database_);
  if (!moment) return moment.error();
  {
    const Reading reading(live_);
    live_.bind_bytes(1, id.view());
    const Result<bool> row = live_.step();
    if (!row) return row.error();
    if (*row) return std::optional(StoredTask{false, 0, std::string(live_.bytes(0))});
  }
  Result<std::optional<FoundValue>> found =
      find_finished(*database_, partitions, id, "status", true);
  if (!found) return found.error();
  if (!*found) return std::optional<StoredTask>();
  return std::optional(StoredTask{true, (*found)->partition, std::move((*found)->bytes)});
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
    if (*row) return std::optional(std::string(spec_.bytes(0)));
  }
  Result<std::optional<FoundValue>> found =
      find_finished(*database_, partitions, id, "spec", false);
  if (!found) return found.error();
  return value_of(std::move(*found));
}

Result<std::optional<std::string>> TaskReader::result(const TaskId& id,
                                                      const Partitions& partitions) {
  const Result<Moment> moment = Moment::begin(*database_);
  if (!moment) return moment.error();
  Result<std::optional<FoundValue>> found =
      find_finished(*database_, partitions, id, "result", false);
  if (!found) return found.error();
  return value_of(std::move(*found));
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

  const Result<std::optional<FoundValue>> found =
      find_finished(*database_, partitions, id, "output", false);
  if (!found) return found.error();
  if (!*found || offset >= (*found)->bytes.size()) return std::string();
  return (*found)->bytes.substr(offset, bytes_max);
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
    if (start + chunk.size() <= offset) continue;
    const std::uint64_t skipped = offset > start ? offset - start : 0;
    output += chunk.substr(skipped, bytes_max - output.size());
  }
  return output;
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
    if (static_cast<std::uint64_t>(events_.integer(0)) <= entry) continue;
    const std::string_view blob = events_.bytes(1);
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

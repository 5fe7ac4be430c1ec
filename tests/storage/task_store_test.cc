#include "storage/task_store.h"

#include <cerrno>

#include <sqlite3.h>

#include "tests/storage/fixtures.h"
#include "tests/storage/golden/tasks_v1.h"
#include "tests/support/fault_vfs.h"

namespace jack::test {
namespace {

using Operation = FaultVfs::Operation;

TaskStoreOptions at(const std::string& directory) {
  TaskStoreOptions options;
  options.path = directory + "/tasks.db";
  return options;
}

std::unique_ptr<TaskStore> opened(const TaskStoreOptions& options) {
  Result<std::unique_ptr<TaskStore>> store = TaskStore::open(options);
  if (!store) FAIL(store.error().message);
  return std::move(*store);
}

// Task `number` as it is after flush `index`: live until flush number + 2 finishes it.
Flush changes_at(Index index, std::size_t bytes = 3000) {
  Flush changes;
  changes.index = index;
  changes.meta = "state " + std::to_string(index);
  changes.arena = std::string(bytes, 'x');
  changes.live = {{id_of(index), "mail", TaskState::queued, "queued", {}}};
  if (index > 2) {
    FinishedRow row{
        id_of(index - 2), Partition(index / 8), "mail", TaskState::succeeded, "done", {}, {}, true};
    changes.finished = {row};
  }
  changes.dropped = {Partition(index / 8) - 2};
  return changes;
}

Result<void> flush_at(Store& store, Index index) {
  auto changes = std::make_shared<Flush>(changes_at(index));
  changes->live[0].spec = changes->arena;
  for (FinishedRow& row : changes->finished) row.result = changes->arena;
  store.begin_flush(changes);
  for (;;) {
    await(store.descriptor());
    if (std::optional<Result<void>> end = store.flushed()) return *end;
  }
}

// The file holds exactly what was flushed up to some index, which it names.
Index check_whole(Store& store) {
  Loaded loaded;
  REQUIRE(store.load(loaded));
  if (loaded.index == 0) return 0;
  CHECK(loaded.meta == "state " + std::to_string(loaded.index));
  CHECK(loaded.live.size() == std::min<std::size_t>(loaded.index, 2));
  for (Index i = loaded.index; i > 0 && i + 2 >= loaded.index; --i) {
    const Result<std::optional<std::string>> spec = store.spec(id_of(i));
    REQUIRE(spec);
    REQUIRE(*spec);
    CHECK((*spec)->size() == 3000);
  }
  return loaded.index;
}

std::int64_t number_in(const std::string& path, const std::string& sql) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READONLY, nullptr) == SQLITE_OK);
  sqlite3_stmt* statement = nullptr;
  REQUIRE(sqlite3_prepare_v2(database, sql.c_str(), -1, &statement, nullptr) == SQLITE_OK);
  REQUIRE(sqlite3_step(statement) == SQLITE_ROW);
  const std::int64_t number = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  sqlite3_close(database);
  return number;
}

void execute(const std::string& path, const std::string& sql) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
  REQUIRE(sqlite3_exec(database, "PRAGMA synchronous = OFF", nullptr, nullptr, nullptr) ==
          SQLITE_OK);
  REQUIRE(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(database);
}

// "the spec of task 1" with the task's id.
std::string with_id(std::string name, std::uint64_t number) {
  name.pop_back();
  return name + to_string(id_of(number));
}

}  // namespace

TEST_CASE("a crash at any moment leaves a flush whole or not at all") {
  const TemporaryDirectory directory;
  const std::unique_ptr<TaskStore> store = opened(at(directory.path()));
  for (Index index = 1; index <= 40; ++index) {
    REQUIRE(flush_at(*store, index));
    const TemporaryDirectory crashed;
    copy_files(directory.path(), crashed.path());

    CHECK(check_whole(*opened(at(crashed.path()))) == index);
  }
}

TEST_CASE("a power cut keeps every flush that was told of") {
  const TemporaryDirectory directory;
  FaultVfs vfs;
  TaskStoreOptions options = at(directory.path());
  options.vfs = vfs.name();
  options.wal_bytes = 1 << 20;  // so that checkpoints fall among the cuts
  const std::unique_ptr<TaskStore> store = opened(options);
  for (Index index = 1; index <= 40; ++index) {
    REQUIRE(flush_at(*store, index));
    const TemporaryDirectory cut;
    vfs.cut_power(directory.path(), cut.path());

    CHECK(check_whole(*opened(at(cut.path()))) >= index);
  }
}

TEST_CASE("whichever write or sync fails, the file holds the last flush that was told of") {
  const auto operation = GENERATE(Operation::write, Operation::sync);
  const int error = GENERATE(EIO, ENOSPC);
  const bool for_ever = GENERATE(false, true);
  CAPTURE(operation, error, for_ever);
  bool failed = true;
  for (int at_call = 1; failed && at_call < 800; at_call += 1 + at_call / 4) {
    CAPTURE(at_call);
    const TemporaryDirectory directory;
    FaultVfs vfs;
    TaskStoreOptions options = at(directory.path());
    options.vfs = vfs.name();
    options.wal_bytes = 1 << 20;
    std::unique_ptr<TaskStore> store = opened(options);
    vfs.fail({operation, at_call, error, for_ever});
    Index told = 0;
    for (Index index = 1; index <= 24; ++index) {
      const Result<void> end = flush_at(*store, index);
      if (!end) break;
      told = index;
    }
    store.reset();
    failed = vfs.has_failed();
    vfs.heal();

    store = opened(at(directory.path()));

    const Index found = check_whole(*store);
    CHECK((found == told || found == told + 1));
    CHECK(store->quick_check());
  }
  CHECK_FALSE(failed);  // the sweep came to an end
}

TEST_CASE("a flush without room writes nothing and can be begun again") {
  const TemporaryDirectory directory;
  FaultVfs vfs;
  TaskStoreOptions options = at(directory.path());
  options.vfs = vfs.name();
  const std::unique_ptr<TaskStore> store = opened(options);
  REQUIRE(flush_at(*store, 1));
  REQUIRE(flush_at(*store, 2));

  vfs.fail({Operation::write, 2, ENOSPC, true});
  const Result<void> refused = flush_at(*store, 3);
  vfs.heal();

  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::storage_full);
  CHECK(check_whole(*store) == 2);
  CHECK(flush_at(*store, 3));
  CHECK(check_whole(*store) == 3);
}

// Its hour counted as empty before the flush had moved it: the engine stopped as if it were
// damaged.
TEST_CASE("a task that a retry brings back is read while its hour is emptied by the same flush") {
  const TemporaryDirectory directory;
  FaultVfs vfs;
  TaskStoreOptions options = at(directory.path());
  options.vfs = vfs.name();
  const std::unique_ptr<TaskStore> store = opened(options);
  Flush finished;
  for (const std::uint64_t i : {1u, 2u}) {
    finished.finished.push_back(
        {id_of(i), 7, "mail", TaskState::failed, "failed", "spec", "", false});
  }
  REQUIRE(flush(*store, finished));
  Flush changes;
  changes.revived = {{id_of(1), 7}};
  changes.live = {{id_of(1), "mail", TaskState::queued, "queued", ""}};
  changes.emptied = {7};

  vfs.fail({Operation::write, 1, ENOSPC, true});
  REQUIRE(flush(*store, changes).error().code == Code::storage_full);
  CHECK(*store->spec(id_of(1)) == "spec");
  vfs.heal();

  REQUIRE(flush(*store, changes));
  CHECK(*store->spec(id_of(1)) == "spec");
  CHECK_FALSE(*store->spec(id_of(2)));
}

TEST_CASE("after a failed sync the store takes no flush but answers reads") {
  const TemporaryDirectory directory;
  FaultVfs vfs;
  TaskStoreOptions options = at(directory.path());
  options.vfs = vfs.name();
  const std::unique_ptr<TaskStore> store = opened(options);
  REQUIRE(flush_at(*store, 1));

  vfs.fail({Operation::sync, 1, EIO, false});
  CHECK(flush_at(*store, 2).error().code == Code::stopped);
  vfs.heal();

  CHECK(flush_at(*store, 2).error().code == Code::stopped);
  CHECK(check_whole(*store) == 1);
}

TEST_CASE("a full disk takes the reserve, refuses new tasks, and recovers when room returns") {
  const TemporaryDirectory directory;
  TestClock clock;
  DataDirectoryOptions folder;
  folder.path = directory.path();
  folder.reserve_bytes = 1 << 20;
  const Result<std::unique_ptr<DataDirectory>> data = DataDirectory::open(folder, clock);
  REQUIRE(data);
  FaultVfs vfs;
  TaskStoreOptions options = at(directory.path());
  options.vfs = vfs.name();
  options.directory = data->get();
  const std::unique_ptr<TaskStore> store = opened(options);
  CHECK(store->room_bytes() > 0);

  vfs.fail({Operation::write, 1, ENOSPC, false});
  CHECK(flush_at(*store, 1));  // by the reserve
  CHECK_FALSE((*data)->reserve().held());
  CHECK(store->room_bytes() == 0);  // and asks for it to be set aside again
  REQUIRE(flush_at(*store, 2));     // done by then, because one thread does both in order

  for (Index index = 3; store->room_bytes() == 0; ++index) REQUIRE(flush_at(*store, index));
  CHECK((*data)->reserve().held());
}

TEST_CASE("a dropped hour is removed from the file, in portions") {
  const TemporaryDirectory directory;
  {
    const std::unique_ptr<TaskStore> store = opened(at(directory.path()));
    auto changes = std::make_shared<Flush>();
    for (std::uint64_t i = 1; i <= 6000; ++i) {
      changes->finished.push_back(
          {id_of(i), 7, "mail", TaskState::succeeded, "done", "spec", "", false});
    }
    REQUIRE(flush(*store, *changes));
    Flush dropping;
    dropping.dropped = {7};
    REQUIRE(flush(*store, dropping));
    CHECK_FALSE(*store->find(id_of(5)));
    for (int i = 0; i < 6; ++i) REQUIRE(flush(*store, Flush()));  // a portion after each
  }

  const std::string path = directory.file("tasks.db");
  CHECK(number_in(path, "SELECT count(*) FROM sqlite_schema WHERE name = 'finished_7'") == 0);
  CHECK(number_in(path, "SELECT count(*) FROM partition") == 0);
}

TEST_CASE("a removal that a crash interrupted goes on after the restart") {
  const TemporaryDirectory directory;
  Flush changes;
  for (std::uint64_t i = 1; i <= 5000; ++i) {
    const Partition hour = i % 2 == 0 ? 7 : 8;
    changes.finished.push_back(
        {id_of(i), hour, "mail", TaskState::succeeded, "done", "spec", "", false});
  }
  REQUIRE(flush(*opened(at(directory.path())), changes));
  for (const auto& [hour, stage] : {std::pair(7, 3), std::pair(8, 1)}) {
    execute(directory.file("tasks.db"),
            "UPDATE partition SET stage = " + std::to_string(stage) +
                ", seal = " + std::to_string(seal_of_stage(hour, stage).column()) +
                " WHERE hour = " + std::to_string(hour));
  }
  {
    const std::unique_ptr<TaskStore> store = opened(at(directory.path()));
    Loaded loaded;
    REQUIRE(store->load(loaded));
    CHECK_FALSE(*store->find(id_of(2)));
    CHECK(*store->find(id_of(3)));
    CHECK_FALSE(*store->spec(id_of(3)));
    for (int i = 0; i < 8; ++i) REQUIRE(flush(*store, Flush()));
  }

  const std::string path = directory.file("tasks.db");
  CHECK(number_in(path, "SELECT sum(stage) FROM partition") == 2);
  CHECK(number_in(path, "SELECT count(spec) FROM finished_8") == 0);
  CHECK(number_in(path, "SELECT count(*) FROM finished_8") == 2500);
}

TEST_CASE("a list looks at a bounded number of tasks and says where to go on") {
  const TemporaryDirectory directory;
  const std::unique_ptr<TaskStore> store = opened(at(directory.path()));
  Flush changes;
  for (std::uint64_t i = 1; i <= 12'000; ++i) {
    const char* queue = i == 1 ? "rare" : "mail";
    changes.live.push_back({id_of(i), queue, TaskState::queued, "queued", "spec"});
  }
  REQUIRE(flush(*store, changes));

  ListQuery query;
  query.queue = "rare";
  int pages = 0;
  for (;;) {
    const Result<ListPage> page = store->list(query);
    REQUIRE(page);
    ++pages;
    if (!page->tasks.empty()) CHECK(page->tasks[0].id == id_of(1));
    if (page->next.empty()) {
      CHECK(page->tasks.size() == 1);
      break;
    }
    CHECK(page->tasks.empty());
    query.before = page->next;
  }
  CHECK(pages == 3);
}

TEST_CASE("the WAL of the store stays bounded") {
  const TemporaryDirectory directory;
  TaskStoreOptions options = at(directory.path());
  options.wal_bytes = 2 << 20;
  const std::unique_ptr<TaskStore> store = opened(options);
  for (Index index = 1; index <= 200; ++index) REQUIRE(flush_at(*store, index));

  CHECK(std::filesystem::file_size(directory.file("tasks.db-wal")) < 6 << 20);
}

TEST_CASE("a store as version 1 wrote it opens, and reads as it was written") {
  const TemporaryDirectory directory;
  execute(directory.file("tasks.db"), kGoldenTasksV1);

  const std::unique_ptr<TaskStore> store = opened(at(directory.path()));
  Loaded loaded;
  REQUIRE(store->load(loaded));

  CHECK(loaded.index == 42);
  CHECK(loaded.meta == "state");
  CHECK(loaded.queues == std::vector<std::string>{"1 mail record"});
  CHECK(loaded.live.size() == 1);
  CHECK(**store->spec(id_of(1)) == "spec1");
  CHECK(*store->output(id_of(1), 0, 100) == "out1");
  CHECK((*store->find(id_of(2)))->status == "status2");
  CHECK(**store->result(id_of(2)) == "result2");
  CHECK(*store->output(id_of(2), 0, 100) == "out2");
  CHECK(*store->events_after(0, 100) == std::vector<std::string>{"events"});
}

TEST_CASE("a value that is not what was written is named, and the others are read") {
  struct Damage {
    const char* sql;
    const char* name;
  };
  // Of the golden file: task 1 is live, task 2 finished.
  const auto [sql, name] = GENERATE(values<Damage>({
      {"UPDATE meta SET bytes = CAST('statE' AS BLOB)", "the state at entry 42"},
      {"UPDATE meta SET entry = 41", "the state at entry 41"},
      {"UPDATE queue SET record = CAST('recorD' AS BLOB)", "the record of queue 1"},
      {"UPDATE queue SET name = 'mall'", "the record of queue 1"},
      {"UPDATE queue SET number = 2", "the record of queue 2"},
      {"UPDATE partition SET stage = 3", "the stage of hour 472222"},
      {"UPDATE events SET bytes = CAST('event5' AS BLOB)", "the history from entry 1 on"},
      {"UPDATE events SET last = 43", "the history from entry 1 on"},
      {"UPDATE events SET at_ms = 0", "the history from entry 1 on"},
      {"UPDATE live SET status = CAST('statuS1' AS BLOB)", "the status of task 1"},
      {"UPDATE live SET state = 2", "the status of task 1"},
      {"UPDATE live SET queue = 'mall'", "the status of task 1"},
      {"UPDATE live SET status_seal = status_seal + 1", "the status of task 1"},
      {"UPDATE spec SET spec = CAST('spec7' AS BLOB)", "the spec of task 1"},
      {"UPDATE output SET output = CAST('0ut' AS BLOB) WHERE start = 0", "the output of task 1"},
      {"UPDATE output SET start = 4 WHERE start = 3", "the output of task 1"},
      {"UPDATE finished_472222 SET status = CAST('' AS BLOB)", "the status of task 2"},
      {"UPDATE finished_472222 SET state = 5", "the status of task 2"},
      {"UPDATE finished_472222 SET spec = CAST('Spec2' AS BLOB)", "the spec of task 2"},
      {"UPDATE finished_472222 SET spec = NULL", "the spec of task 2"},
      {"UPDATE finished_472222 SET result = CAST('result2+' AS BLOB)", "the result of task 2"},
      {"UPDATE finished_472222 SET result = spec, result_seal = spec_seal", "the result of task 2"},
      {"UPDATE finished_472222 SET output = CAST('out1' AS BLOB)", "the output of task 2"},
      {"UPDATE finished_472222 SET output_seal = NULL", "the output of task 2"},
  }));
  CAPTURE(sql);
  const TemporaryDirectory directory;
  execute(directory.file("tasks.db"), kGoldenTasksV1);
  execute(directory.file("tasks.db"), sql);

  Result<std::unique_ptr<TaskReader>> reader = TaskReader::open(directory.file("tasks.db"), "");
  REQUIRE(reader);
  const Result<ValueCheck> check = (*reader)->check_values();
  REQUIRE(check);
  CHECK(check->damaged == 1);
  std::string named = name;
  if (named.substr(named.size() - 6) == "task 1") named = with_id(named, 1);
  if (named.substr(named.size() - 6) == "task 2") named = with_id(named, 2);
  CHECK(check->named == std::vector<std::string>{named});

  std::vector<std::string> refused;
  const auto note = [&](const auto& read) {
    if (read) return;
    CHECK(read.error().code == Code::corruption);
    CHECK_THAT(read.error().message, ::test::ContainsSubstring(named));
    refused.push_back(read.error().message);
  };
  Loaded loaded;
  Partitions partitions;
  note((*reader)->load(loaded, partitions));
  partitions = Partitions();
  partitions.add(472222, id_of(2), id_of(2));
  for (const std::uint64_t task : {std::uint64_t{1}, std::uint64_t{2}}) {
    note((*reader)->find(id_of(task), partitions));
    note((*reader)->spec(id_of(task), partitions));
    note((*reader)->result(id_of(task), partitions));
    note((*reader)->output(id_of(task), 0, 100, partitions));
  }
  note((*reader)->events_after(0, 100));
  note((*reader)->list({}, partitions));
  CHECK_FALSE(refused.empty());
  CHECK(refused.size() <= 3);  // a live status: load, find, list
}

TEST_CASE("a row under another key is not taken for that one's") {
  const TemporaryDirectory directory;
  execute(directory.file("tasks.db"), kGoldenTasksV1);
  const std::string other = "X'018BCFE5680270028000000000000003'";
  for (const char* table : {"spec", "live", "output", "finished_472222"}) {
    execute(directory.file("tasks.db"), "UPDATE " + std::string(table) + " SET id = " + other);
  }

  const Result<std::unique_ptr<TaskReader>> reader =
      TaskReader::open(directory.file("tasks.db"), "");
  REQUIRE(reader);
  const Result<ValueCheck> check = (*reader)->check_values();

  REQUIRE(check);
  CHECK(check->damaged == 8);
}

TEST_CASE("without damage every value is counted, and of many damaged ones the first are named") {
  const TemporaryDirectory directory;
  execute(directory.file("tasks.db"), kGoldenTasksV1);
  const auto check = [&] {
    const Result<std::unique_ptr<TaskReader>> reader =
        TaskReader::open(directory.file("tasks.db"), "");
    REQUIRE(reader);
    const Result<ValueCheck> found = (*reader)->check_values();
    REQUIRE(found);
    return *found;
  };
  CHECK(check().values == 12);
  CHECK(check().damaged == 0);

  std::string many;
  for (int i = 10; i < 40; ++i) {
    many += "INSERT INTO queue VALUES(" + std::to_string(i) + ", 'q', CAST('r' AS BLOB), 7);";
  }
  execute(directory.file("tasks.db"), many);

  CHECK(check().damaged == 30);
  CHECK(check().named.size() == ValueCheck::kNamedMax);
}

TEST_CASE("a store whose hours are damaged does not open, so that none is removed by mistake") {
  const TemporaryDirectory directory;
  execute(directory.file("tasks.db"), kGoldenTasksV1);
  execute(directory.file("tasks.db"), "UPDATE partition SET stage = 3");

  const Result<std::unique_ptr<TaskStore>> store = TaskStore::open(at(directory.path()));

  REQUIRE_FALSE(store);
  CHECK(store.error().code == Code::corruption);
}

TEST_CASE("a damaged value that moves stays damaged, and keeps no other task from moving") {
  const TemporaryDirectory directory;
  execute(directory.file("tasks.db"), kGoldenTasksV1);
  execute(directory.file("tasks.db"),
          "UPDATE spec SET spec = CAST('spec7' AS BLOB);"
          "UPDATE output SET output = CAST('0ut' AS BLOB) WHERE start = 0;"
          "UPDATE finished_472222 SET spec = CAST('Spec2' AS BLOB)");
  const std::unique_ptr<TaskStore> store = opened(at(directory.path()));
  Loaded loaded;
  REQUIRE(store->load(loaded));

  Flush changes;
  FinishedRow done{id_of(1), 472223, "mail", TaskState::succeeded, "done", {}, "result", true};
  changes.finished = {done};
  changes.revived = {{id_of(2), 472222}};
  changes.live = {{id_of(2), "mail", TaskState::queued, "queued", {}}};
  REQUIRE(flush(*store, changes));

  CHECK(**store->result(id_of(1)) == "result");
  CHECK(store->spec(id_of(1)).error().code == Code::corruption);
  CHECK(store->output(id_of(1), 0, 100).error().code == Code::corruption);
  CHECK(store->spec(id_of(2)).error().code == Code::corruption);
  CHECK(*store->output(id_of(2), 0, 100) == "out2");
}

TEST_CASE("a new store has exactly the layout of the golden file of its version") {
  const TemporaryDirectory directory;
  opened(at(directory.path()));
  execute(directory.file("golden.db"), kGoldenTasksV1);
  for (const char* name : {"meta", "queue", "live", "spec", "output", "events", "partition"}) {
    CAPTURE(name);
    sqlite3* database = nullptr;
    std::vector<std::string> layouts;
    for (const char* file : {"tasks.db", "golden.db"}) {
      REQUIRE(sqlite3_open(directory.file(file).c_str(), &database) == SQLITE_OK);
      sqlite3_stmt* select = nullptr;
      const std::string sql =
          "SELECT sql FROM sqlite_schema WHERE name = '" + std::string(name) + "'";
      REQUIRE(sqlite3_prepare_v2(database, sql.c_str(), -1, &select, nullptr) == SQLITE_OK);
      REQUIRE(sqlite3_step(select) == SQLITE_ROW);
      layouts.emplace_back(reinterpret_cast<const char*>(sqlite3_column_text(select, 0)));
      sqlite3_finalize(select);
      sqlite3_close(database);
    }
    CHECK(layouts[0] == layouts[1]);
  }
}

}  // namespace jack::test

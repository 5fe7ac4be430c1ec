#include "storage/value_check.h"

#include <functional>
#include <optional>
#include <string_view>
#include <utility>

#include "storage/task_schema.h"

namespace jack {
namespace {

class Walk {
 public:
  explicit Walk(Database& database) : database_(database) {}

  Result<void> run();
  ValueCheck found;

 private:
  using OnRow = std::function<void(const Statement& row)>;

  Result<void> each(const std::string& sql, const OnRow& on_row);
  bool hold(const Seal& seal, std::int64_t stored);
  void hold_value(const Statement& row, int column, Sealed what, const TaskId& id);
  void damaged(std::string name);
  std::optional<TaskId> id_of(const Statement& row, const std::string& table);

  Result<void> check_others();
  Result<void> check_live();
  Result<void> check_finished(Partition partition);

  Database& database_;
  std::vector<Partition> partitions_;
};

Result<void> Walk::run() {
  if (Result<void> done = check_others(); !done) return done;
  if (Result<void> done = check_live(); !done) return done;
  for (const Partition partition : partitions_) {
    if (Result<void> done = check_finished(partition); !done) return done;
  }
  return {};
}

Result<void> Walk::each(const std::string& sql, const OnRow& on_row) {
  Result<Statement> select = database_.prepare(sql);
  if (!select) return select.error();
  for (;;) {
    const Result<bool> row = select->step();
    if (!row) return row.error();
    if (!*row) return {};
    on_row(*select);
  }
}

bool Walk::hold(const Seal& seal, std::int64_t stored) {
  ++found.values;
  const bool intact = seal.check(stored).has_value();
  if (!intact) damaged(seal.name());
  return intact;
}

void Walk::hold_value(const Statement& row, int column, Sealed what, const TaskId& id) {
  const Result<std::optional<std::string_view>> value = unseal(row, column, what, id);
  if (!value) damaged(Seal(what, id).name());
  if (!value || *value) ++found.values;
}

void Walk::damaged(std::string name) {
  ++found.damaged;
  if (found.named.size() < ValueCheck::kNamedMax) found.named.push_back(std::move(name));
}

std::optional<TaskId> Walk::id_of(const Statement& row, const std::string& table) {
  const Result<TaskId> id = id_from(row.bytes(0));
  if (id) return *id;
  damaged("an id in the table " + table);
  return std::nullopt;
}

Result<void> Walk::check_others() {
  Result<void> done = each("SELECT entry, bytes, seal FROM meta", [&](const Statement& row) {
    hold(seal_of_meta(row.integer(0), row.bytes(1)), row.integer(2));
  });
  if (!done) return done;
  done = each("SELECT number, name, record, seal FROM queue", [&](const Statement& row) {
    hold(seal_of_queue(row.integer(0), row.bytes(1), row.bytes(2)), row.integer(3));
  });
  if (!done) return done;
  done = each("SELECT first, last, at_ms, bytes, seal FROM events", [&](const Statement& row) {
    hold(seal_of_events(row.integer(0), row.integer(1), row.integer(2), row.bytes(3)),
         row.integer(4));
  });
  if (!done) return done;
  done = each("SELECT first, at_ms, ids, seal FROM numbers", [&](const Statement& row) {
    hold(seal_of_numbers(row.integer(0), row.integer(1), row.bytes(2)), row.integer(3));
  });
  if (!done) return done;
  return each("SELECT hour, stage, seal FROM partition", [&](const Statement& row) {
    if (!hold(seal_of_stage(row.integer(0), row.integer(1)), row.integer(2))) return;
    const bool dropping = row.integer(1) == static_cast<std::int64_t>(PartitionStage::dropping);
    if (!dropping) partitions_.push_back(row.integer(0));
  });
}

Result<void> Walk::check_live() {
  for (const auto& [table, what] :
       {std::pair("live", Sealed::status), std::pair("spec", Sealed::spec)}) {
    Result<void> done = each("SELECT id, " + std::string(columns_of(what)) + " FROM " + table,
                             [&, table = table, what = what](const Statement& row) {
                               if (const auto id = id_of(row, table)) hold_value(row, 1, what, *id);
                             });
    if (!done) return done;
  }
  return each("SELECT id, start, output, output_seal FROM output", [&](const Statement& row) {
    const auto id = id_of(row, "output");
    if (id) hold(seal_of_output(*id, row.integer(1), row.bytes(2)), row.integer(3));
  });
}

Result<void> Walk::check_finished(Partition partition) {
  const std::string table = table_of(partition);
  std::string sql = "SELECT id";
  for (const Sealed what : {Sealed::status, Sealed::spec, Sealed::result, Sealed::output}) {
    sql += ", " + std::string(columns_of(what));
  }
  return each(sql + " FROM " + table, [&](const Statement& row) {
    const auto id = id_of(row, table);
    if (!id) return;
    hold_value(row, 1, Sealed::status, *id);
    hold_value(row, 5, Sealed::spec, *id);
    hold_value(row, 7, Sealed::result, *id);
    hold_value(row, 9, Sealed::output, *id);
  });
}

}  // namespace

Result<ValueCheck> check_values(Database& database) {
  Walk walk(database);
  if (Result<void> done = walk.run(); !done) return done.error();
  return std::move(walk.found);
}

}  // namespace jack

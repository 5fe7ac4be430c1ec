#include "storage/task_list.h"

#include "storage/task_schema.h"

namespace jack {
namespace {

constexpr std::uint32_t kScannedMax = 5000;  // tasks looked at for one page
constexpr std::size_t kPageBytes = 8 << 20;  // a page ends behind the task that goes beyond this

}  // namespace

TaskList::TaskList(Database& database, const Partitions& partitions, const ListQuery& query)
    : database_(database), partitions_(partitions), query_(query) {}

Result<ListPage> TaskList::read() {
  if (Result<void> opened = open_sources(); !opened) return opened.error();
  ListPage page;
  TaskId last;
  for (std::uint32_t scanned = 0;; ++scanned) {
    Source* const source = newest();
    if (source == nullptr) return page;
    if (scanned == kScannedMax || page.tasks.size() == query_.count_max || bytes_ > kPageBytes) {
      page.next = last;
      return page;
    }
    last = source->id;
    if (fits(*source)) {
      if (Result<void> added = add(*source, page); !added) return added.error();
    }
    const Result<bool> more = advance(*source);
    if (!more) return more.error();
    if (!*more) sources_.erase(sources_.begin() + (source - sources_.data()));
  }
}

Result<void> TaskList::open_sources() {
  if (Result<void> opened = open_source(std::nullopt, false); !opened) return opened;
  if (!query_.finished_too) return {};
  if (query_.state && !is_terminal(*query_.state)) return {};
  for (const auto& [partition, range] : partitions_.ranges()) {
    if (range.emptied || (!query_.before.empty() && range.first >= query_.before)) continue;
    if (Result<void> opened = open_source(partition, range.emptied); !opened) return opened;
  }
  return {};
}

Result<void> TaskList::open_source(std::optional<Partition> partition, bool emptied) {
  const std::string table = partition ? table_of(*partition) : "live";
  Result<Statement> select =
      database_.prepare("SELECT id, " + std::string(columns_of(Sealed::status)) + " FROM " + table +
                        " WHERE id < ?1 ORDER BY id DESC");
  if (!select) return select.error();
  // No id is above sixteen bytes of 0xff, which is none of version 7.
  static constexpr std::string_view kHighest =
      "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
  select->bind_bytes(1, query_.before.empty() ? kHighest : query_.before.view());
  Source source{std::move(*select), partition, emptied, {}, {}, {}, {}, false};
  const Result<bool> any = advance(source);
  if (!any) return any.error();
  if (*any) sources_.push_back(std::move(source));
  return {};
}

Result<bool> TaskList::advance(Source& source) {
  const Result<bool> row = source.select.step();
  if (!row || !*row) return row;
  const Result<TaskId> id = id_from(source.select.bytes(0));
  if (!id) return id.error();
  // Of each row, whether it fits or not: a damaged one must not be left out in silence.
  const Result<std::string_view> status = unseal_some(source.select, 1, Sealed::status, *id);
  if (!status) return status.error();
  source.id = *id;
  source.status = *status;
  source.removed = source.select.integer(3) == kRemovedState;
  if (!source.removed) source.state = static_cast<TaskState>(source.select.integer(3));
  source.queue = source.select.bytes(4);
  return true;
}

// Some hundred sources at most: one per hour of retention.
TaskList::Source* TaskList::newest() {
  Source* best = nullptr;
  for (Source& source : sources_) {
    if (best == nullptr || source.id > best->id) best = &source;
  }
  return best;
}

bool TaskList::fits(const Source& source) const {
  if (source.removed) return false;
  if (query_.state && *query_.state != source.state) return false;
  if (query_.shows && !query_.shows(source.queue)) return false;
  return query_.queue.empty() || query_.queue == source.queue;
}

Result<void> TaskList::add(const Source& source, ListPage& page) {
  ListedTask task{source.id, source.state, source.status, {}};
  if (!source.emptied) {
    Result<std::string> spec = this->spec(source);
    if (!spec) return spec.error();
    task.spec = std::move(*spec);
  }
  bytes_ += task.status.size() + task.spec.size();
  page.tasks.push_back(std::move(task));
  return {};
}

Result<std::string> TaskList::spec(const Source& source) {
  const std::string table = source.partition ? table_of(*source.partition) : "spec";
  Result<Statement> select = database_.prepare("SELECT " + std::string(columns_of(Sealed::spec)) +
                                               " FROM " + table + " WHERE id = ?1");
  if (!select) return select.error();
  select->bind_bytes(1, source.id.view());
  const Result<bool> row = select->step();
  if (!row) return row.error();
  if (!*row) return std::string();
  const Result<std::optional<std::string_view>> spec = unseal(*select, 0, Sealed::spec, source.id);
  if (!spec) return spec.error();
  return std::string(spec->value_or(std::string_view()));
}

}  // namespace jack

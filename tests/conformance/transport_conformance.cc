// What every transport must keep. A new transport adds its fixture to the list at the end of each
// case's name; brokers that are not there make the run incomplete, they do not skip.
#include <memory>

#include "tests/storage/fixtures.h"
#include "transports/local/local_transport.h"
#include "transports/memory/memory_transport.h"

namespace jack::test {
namespace {

// open() attaches to the same journal each time, as an engine does after a restart.
struct OnMemory {
  std::unique_ptr<Transport> open() { return std::make_unique<MemoryTransport>(journal); }

  std::shared_ptr<MemoryJournal> journal = std::make_shared<MemoryJournal>();
};

template <Durability durability>
struct OnLocal {
  std::unique_ptr<Transport> open() {
    LocalTransportOptions options;
    options.path = directory.file("journal.db");
    options.durability = durability;
    Result<std::unique_ptr<LocalTransport>> transport = LocalTransport::open(options);
    REQUIRE(transport);
    return std::move(*transport);
  }

  TemporaryDirectory directory;
};
using OnLocalFull = OnLocal<Durability::full>;
using OnLocalNormal = OnLocal<Durability::normal>;

void append_each(Transport& transport, std::initializer_list<const char*> entries) {
  for (const char* entry : entries) REQUIRE(append(transport, buffer(entry)).result);
}

}  // namespace

TEMPLATE_TEST_CASE("an empty journal has no head and yields nothing", "[conformance]", OnMemory,
                   OnLocalFull, OnLocalNormal) {
  TestType fixture;
  const std::unique_ptr<Transport> transport = fixture.open();

  CHECK(transport->head() == 0);
  CHECK(read_all(*transport, 0).empty());
  CHECK_FALSE(transport->guarantee().empty());
  CHECK(transport->capabilities().entry_bytes_max >= 12u << 20);
}

TEMPLATE_TEST_CASE("an append yields its own buffer before or with its fate", "[conformance]",
                   OnMemory, OnLocalFull, OnLocalNormal) {
  TestType fixture;
  const std::unique_ptr<Transport> transport = fixture.open();
  REQUIRE(transport->read_from(0));
  const Buffer entry = buffer("one");

  std::vector<JournalEntry> entries;
  const AppendFate fate = append(*transport, entry, &entries);

  CHECK(fate.result);
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].bytes == entry);
  CHECK(entries[0].index == transport->head());
}

TEMPLATE_TEST_CASE("entries come in the order of their appends, with growing indices",
                   "[conformance]", OnMemory, OnLocalFull, OnLocalNormal) {
  TestType fixture;
  const std::unique_ptr<Transport> transport = fixture.open();
  REQUIRE(transport->read_from(0));

  std::vector<JournalEntry> entries;
  for (const char* entry : {"a", "b", "c"}) append(*transport, buffer(entry), &entries);

  CHECK(bytes_of(entries) == std::vector<std::string>{"a", "b", "c"});
  REQUIRE(entries.size() == 3);
  CHECK(entries[0].index < entries[1].index);
  CHECK(entries[1].index < entries[2].index);
}

TEMPLATE_TEST_CASE("a restarted engine reads what was appended, at the same indices",
                   "[conformance]", OnMemory, OnLocalFull, OnLocalNormal) {
  TestType fixture;
  std::unique_ptr<Transport> transport = fixture.open();
  REQUIRE(transport->read_from(0));
  std::vector<JournalEntry> before;
  for (const char* entry : {"a", "b", "c"}) append(*transport, buffer(entry), &before);
  transport.reset();

  transport = fixture.open();
  const std::vector<JournalEntry> after = read_all(*transport, 0);

  CHECK(bytes_of(after) == bytes_of(before));
  REQUIRE(after.size() == 3);
  CHECK(after[2].index == before[2].index);
  CHECK(bytes_of(read_all(*transport, before[0].index)) == std::vector<std::string>{"b", "c"});
  CHECK(read_all(*transport, before[2].index).empty());
}

TEMPLATE_TEST_CASE("reading begins anywhere and goes on with what is appended then",
                   "[conformance]", OnMemory, OnLocalFull, OnLocalNormal) {
  TestType fixture;
  std::unique_ptr<Transport> transport = fixture.open();
  append_each(*transport, {"a", "b"});
  transport.reset();

  transport = fixture.open();
  std::vector<JournalEntry> entries = read_all(*transport, 0);
  append(*transport, buffer("c"), &entries);

  CHECK(bytes_of(entries) == std::vector<std::string>{"a", "b", "c"});
}

TEMPLATE_TEST_CASE("an append while catching up comes after what was there", "[conformance]",
                   OnMemory, OnLocalFull, OnLocalNormal) {
  TestType fixture;
  std::unique_ptr<Transport> transport = fixture.open();
  append_each(*transport, {"a", "b"});
  transport.reset();

  transport = fixture.open();
  REQUIRE(transport->read_from(0));
  std::vector<JournalEntry> entries;
  const AppendFate fate = append(*transport, buffer("c"), &entries);

  CHECK(fate.result);
  CHECK(bytes_of(entries) == std::vector<std::string>{"a", "b", "c"});
}

TEMPLATE_TEST_CASE("a journal larger than one batch is read whole, also twice", "[conformance]",
                   OnMemory, OnLocalFull, OnLocalNormal) {
  TestType fixture;
  std::unique_ptr<Transport> transport = fixture.open();
  std::vector<std::string> written;
  for (char i = 0; i < 24; ++i) {
    written.emplace_back(512 << 10, static_cast<char>('a' + i));
    REQUIRE(append(*transport, buffer(written.back())).result);
  }
  transport.reset();

  transport = fixture.open();

  CHECK(bytes_of(read_all(*transport, 0)) == written);
  CHECK(bytes_of(read_all(*transport, 0)) == written);
}

TEMPLATE_TEST_CASE("the largest entry is taken and comes back whole", "[conformance]", OnMemory,
                   OnLocalFull, OnLocalNormal) {
  TestType fixture;
  std::unique_ptr<Transport> transport = fixture.open();
  const Buffer entry = buffer(std::string(transport->capabilities().entry_bytes_max, 'x'));
  REQUIRE(append(*transport, entry).result);
  transport.reset();

  transport = fixture.open();

  const std::vector<JournalEntry> entries = read_all(*transport, 0);
  REQUIRE(entries.size() == 1);
  CHECK(*entries[0].bytes == *entry);
}

TEMPLATE_TEST_CASE("trim keeps what comes after it and gives no index twice", "[conformance]",
                   OnMemory, OnLocalFull, OnLocalNormal) {
  TestType fixture;
  std::unique_ptr<Transport> transport = fixture.open();
  REQUIRE(transport->read_from(0));
  std::vector<JournalEntry> entries;
  for (int i = 0; i < 40; ++i) append(*transport, buffer(std::to_string(i)), &entries);
  const Index all = entries.back().index;

  transport->trim(all);
  append(*transport, buffer("more"), &entries);
  transport.reset();
  transport = fixture.open();

  CHECK(transport->head() == entries.back().index);
  CHECK(bytes_of(read_all(*transport, all)) == std::vector<std::string>{"more"});
  append(*transport, buffer("last"), &entries);
  CHECK(entries.back().index > entries[40].index);
}

TEMPLATE_TEST_CASE("reading before what is retained says that the position is gone",
                   "[conformance]", OnMemory, OnLocalFull, OnLocalNormal) {
  TestType fixture;
  std::unique_ptr<Transport> transport = fixture.open();
  REQUIRE(transport->read_from(0));
  std::vector<JournalEntry> entries;
  for (int i = 0; i < 80; ++i) {
    append(*transport, buffer(std::to_string(i)), &entries);
    transport->trim(entries.back().index);  // much of it happens with the appends that follow
  }
  transport.reset();

  transport = fixture.open();
  const Result<void> gone = transport->read_from(0);

  REQUIRE_FALSE(gone);
  CHECK(gone.error().code == Code::position_gone);
}

}  // namespace jack::test

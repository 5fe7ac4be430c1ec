// SQLite's way to the disk with faults in it: the k-th write or sync fails, and power can be cut,
// which leaves of every file what was in it at its last sync.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "engine/guarded_by.h"

struct sqlite3_vfs;

namespace jack::test {

// Any thread. Files opened through it must be closed before it goes.
class FaultVfs {
 public:
  enum class Operation { write, sync };

  struct Fault {
    Operation operation = Operation::write;
    int at = 1;             // fails the at-th of these from now on
    int error = 0;          // ENOSPC, EDQUOT, EIO
    bool for_ever = false;  // and all after it
  };

  FaultVfs();
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;
  ~FaultVfs();

  const std::string& name() const { return name_; }  // for the option `vfs`

  void fail(const Fault& fault);
  void heal();

  // Since the last fail() or heal().
  int count(Operation operation) const;
  bool has_failed() const;

  // Writes what a power cut now would leave of the files in `from` to the existing folder `to`.
  void cut_power(const std::string& from, const std::string& to) const;

  // For the functions that SQLite calls.
  int before(Operation operation);  // an SQLite code
  void synced(const std::string& path);
  int error() const;

 private:
  const std::string name_;
  std::unique_ptr<sqlite3_vfs> vfs_;
  mutable std::mutex mutex_;  // the threads of journal and store come here, and the test's
  std::map<Operation, int> counts_ JACK_GUARDED_BY(mutex_);
  Fault fault_ JACK_GUARDED_BY(mutex_);
  bool armed_ JACK_GUARDED_BY(mutex_) = false;
  bool failed_ JACK_GUARDED_BY(mutex_) = false;
  std::map<std::string, std::string> durable_ JACK_GUARDED_BY(mutex_);  // by path
};

}  // namespace jack::test
